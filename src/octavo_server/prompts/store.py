"""Prompts, versions, labels and their history in the control store; bodies are parts of the object store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    Select,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from octavo_server.core.events import Actor
from octavo_server.prompts.model import LATEST, Move, Origin, Prompt, Reference, Version
from octavo_server.stores.control import BigId, Json, UtcDateTime, metadata

prompts = Table(
    "prompts",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tags", Json, nullable=False),
    Column("last_number", Integer, nullable=False),
    Column("origin", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

versions = Table(
    "prompt_versions",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("author_kind", Text, nullable=False),
    Column("author_id", Text, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
Index("ix_prompt_versions_digest", versions.c.project_id, versions.c.digest)

labels = Table(
    "prompt_labels",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("number", Integer, nullable=False),
)

moves = Table(
    "prompt_label_moves",
    metadata,
    Column("seq", BigId, primary_key=True, autoincrement=True),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("from_number", Integer),
    Column("to_number", Integer),
    Column("reason", Text, nullable=False),
)
Index("ix_prompt_label_moves_prompt", moves.c.project_id, moves.c.name, moves.c.seq)

protected = Table(
    "prompt_protected_labels",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("label", Text, primary_key=True),
)


def find_prompt(sql: Connection, project_id: str, name: str) -> Prompt | None:
    """The prompt of this name, if there is one."""
    row = sql.execute(select(prompts).where(prompts.c.project_id == project_id, prompts.c.name == name)).one_or_none()
    return None if row is None else _prompt(row)


def list_prompts(
    sql: Connection,
    project_id: str,
    *,
    name: str = "",
    search: str = "",
    tags: Sequence[str] = (),
    label: str = "",
    after: str = "",
    updated_from: datetime | None = None,
    updated_to: datetime | None = None,
    limit: int,
    skip: int = 0,
) -> list[Prompt]:
    """Prompts by name that fit, those behind `after`."""
    found = _matching(select(prompts), project_id, name, search, tags, label, updated_from, updated_to)
    rows = sql.execute(found.where(prompts.c.name > after).order_by(prompts.c.name).limit(limit).offset(skip))
    return [_prompt(row) for row in rows]


def count_prompts(
    sql: Connection,
    project_id: str,
    *,
    name: str = "",
    search: str = "",
    tags: Sequence[str] = (),
    label: str = "",
    updated_from: datetime | None = None,
    updated_to: datetime | None = None,
) -> int:
    """How many prompts fit."""
    counted = select(func.count()).select_from(prompts)
    found = _matching(counted, project_id, name, search, tags, label, updated_from, updated_to)
    return int(sql.execute(found).scalar_one())


def _matching(
    query: Select[Any],
    project_id: str,
    name: str,
    search: str,
    tags: Sequence[str],
    label: str,
    updated_from: datetime | None,
    updated_to: datetime | None,
) -> Select[Any]:
    query = query.where(prompts.c.project_id == project_id)
    if name:
        query = query.where(prompts.c.name == name)
    if search:
        folded, in_tags = search.lower(), cast(prompts.c.tags, Text)
        query = query.where(
            or_(
                func.lower(prompts.c.name).contains(folded, autoescape=True),
                func.lower(in_tags).contains(folded, autoescape=True),
            )
        )
    for tag in tags:
        # Tags have no quotes in them (the service refuses those), so this finds whole ones on both engines.
        query = query.where(cast(prompts.c.tags, Text).contains(f'"{tag}"', autoescape=True))
    if label and label != LATEST:
        named = select(labels.c.name).where(labels.c.project_id == project_id, labels.c.label == label)
        query = query.where(prompts.c.name.in_(named))
    if updated_from is not None:
        query = query.where(prompts.c.updated_at >= updated_from)
    if updated_to is not None:
        query = query.where(prompts.c.updated_at < updated_to)
    return query


def put_prompt(sql: Connection, one: Prompt) -> None:
    """Writes a prompt, new or changed."""
    here = (prompts.c.project_id == one.project_id, prompts.c.name == one.name)
    values = {
        "kind": one.kind,
        "tags": list(one.tags),
        "last_number": one.last_number,
        "origin": None if one.origin is None else asdict(one.origin),
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }
    if sql.execute(update(prompts).where(*here).values(values)).rowcount == 0:
        sql.execute(insert(prompts).values(project_id=one.project_id, name=one.name, **values))


def insert_version(sql: Connection, project_id: str, one: Version) -> None:
    """Writes a new version."""
    sql.execute(
        insert(versions).values(
            project_id=project_id,
            name=one.name,
            number=one.number,
            digest=one.digest,
            author_kind=one.author.kind,
            author_id=one.author.id,
            author_name=one.author.name,
            message=one.message,
            created_at=one.created_at,
        )
    )


def find_version(sql: Connection, project_id: str, reference: Reference) -> Version | None:
    """The version that a reference means now."""
    query = select(versions).where(versions.c.project_id == project_id, versions.c.name == reference.name)
    if reference.number is not None:
        query = query.where(versions.c.number == reference.number)
    elif reference.digest is not None:
        query = query.where(versions.c.digest == reference.digest)
    elif reference.label != LATEST:
        query = query.where(
            versions.c.number
            == select(labels.c.number)
            .where(
                labels.c.project_id == project_id, labels.c.name == reference.name, labels.c.label == reference.label
            )
            .scalar_subquery()
        )
    row = sql.execute(query.order_by(versions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _described(sql, project_id, reference.name, [row])[0]


def list_versions(sql: Connection, project_id: str, name: str, *, below: int = 2**31 - 1, limit: int) -> list[Version]:
    """Versions of a prompt under a number, the newest first."""
    rows = sql.execute(
        select(versions)
        .where(versions.c.project_id == project_id, versions.c.name == name, versions.c.number < below)
        .order_by(versions.c.number.desc())
        .limit(limit)
    ).all()
    return _described(sql, project_id, name, rows)


def numbers_of(sql: Connection, project_id: str, names: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the versions of some prompts."""
    found: dict[str, list[int]] = {name: [] for name in names}
    rows = sql.execute(
        select(versions.c.name, versions.c.number)
        .where(versions.c.project_id == project_id, versions.c.name.in_(names))
        .order_by(versions.c.number)
    )
    for row in rows:
        found[row.name].append(row.number)
    return found


def delete_version(sql: Connection, project_id: str, name: str, number: int) -> None:
    """Forgets a version; its number is never given again."""
    sql.execute(
        delete(versions).where(
            versions.c.project_id == project_id, versions.c.name == name, versions.c.number == number
        )
    )


def delete_prompt(sql: Connection, project_id: str, name: str) -> None:
    """Forgets a prompt that has no versions and labels any more. Its history stays."""
    sql.execute(delete(prompts).where(prompts.c.project_id == project_id, prompts.c.name == name))


def labels_of(sql: Connection, project_id: str, name: str) -> dict[str, int]:
    """Where the labels of a prompt point, `latest` too."""
    return labels_by_name(sql, project_id, [name])[name]


def labels_by_name(sql: Connection, project_id: str, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Where the labels of some prompts point, `latest` too."""
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    rows = sql.execute(
        select(labels.c.name, labels.c.label, labels.c.number)
        .where(labels.c.project_id == project_id, labels.c.name.in_(names))
        .order_by(labels.c.name, labels.c.label)
    )
    for row in rows:
        found[row.name][row.label] = row.number
    newest = sql.execute(
        select(versions.c.name, func.max(versions.c.number).label("number"))
        .where(versions.c.project_id == project_id, versions.c.name.in_(names))
        .group_by(versions.c.name)
    )
    for name, number in newest:
        found[name][LATEST] = number
    return found


def point(sql: Connection, project_id: str, name: str, label: str, number: int | None) -> None:
    """Points a label at a version, or forgets it."""
    here = (labels.c.project_id == project_id, labels.c.name == name, labels.c.label == label)
    if number is None:
        sql.execute(delete(labels).where(*here))
    elif sql.execute(update(labels).where(*here).values(number=number)).rowcount == 0:
        sql.execute(insert(labels).values(project_id=project_id, name=name, label=label, number=number))


def insert_move(sql: Connection, project_id: str, name: str, move: Move) -> None:
    """Notes that a label moved."""
    sql.execute(
        insert(moves).values(
            project_id=project_id,
            name=name,
            label=move.label,
            at=move.at,
            actor_kind=move.actor.kind,
            actor_id=move.actor.id,
            actor_name=move.actor.name,
            from_number=move.from_number,
            to_number=move.to_number,
            reason=move.reason,
        )
    )


def list_moves(sql: Connection, project_id: str, name: str, *, label: str = "", limit: int) -> list[Move]:
    """The steps of a prompt's labels, the newest first."""
    query = select(moves).where(moves.c.project_id == project_id, moves.c.name == name)
    if label:
        query = query.where(moves.c.label == label)
    return [
        Move(
            label=row.label,
            at=row.at,
            actor=Actor(kind=row.actor_kind, id=row.actor_id, name=row.actor_name),
            from_number=row.from_number,
            to_number=row.to_number,
            reason=row.reason,
        )
        for row in sql.execute(query.order_by(moves.c.seq.desc()).limit(limit))
    ]


def protected_labels(sql: Connection, project_id: str) -> list[str]:
    """The labels that only some may move."""
    query = select(protected.c.label).where(protected.c.project_id == project_id).order_by(protected.c.label)
    return list(sql.execute(query).scalars())


def protect(sql: Connection, project_id: str, wanted: Sequence[str]) -> None:
    """Says which labels only some may move."""
    sql.execute(delete(protected).where(protected.c.project_id == project_id))
    for label in wanted:
        sql.execute(insert(protected).values(project_id=project_id, label=label))


def _prompt(row: Any) -> Prompt:
    fields = dict(row._mapping)
    origin = fields.pop("origin")
    tags = tuple(fields.pop("tags"))
    return Prompt(**fields, tags=tags, origin=None if origin is None else Origin(**origin))


def _described(sql: Connection, project_id: str, name: str, rows: Sequence[Any]) -> list[Version]:
    """Versions with the labels and tags they have now."""
    pointing = labels_of(sql, project_id, name)
    prompt = find_prompt(sql, project_id, name)
    plain = (
        Version(
            name=row.name,
            number=row.number,
            digest=row.digest,
            author=Actor(kind=row.author_kind, id=row.author_id, name=row.author_name),
            message=row.message,
            created_at=row.created_at,
        )
        for row in rows
    )
    return [
        replace(
            one,
            labels=tuple(label for label, number in pointing.items() if number == one.number),
            tags=prompt.tags if prompt else (),
        )
        for one in plain
    ]
