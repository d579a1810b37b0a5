"""Datasets, versions and items. A row of an item is one content of one case: it says in which versions it was, so a
version costs as many rows as it changes cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from octavo_server.core.events import Actor
from octavo_server.evals.datasets import Dataset, Item, Source, Version
from octavo_server.stores.control import Json, UtcDateTime, metadata

datasets = Table(
    "datasets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    # JSON as texts: what callers put there may hold what PostgreSQL's JSONB refuses.
    Column("metadata", Text, nullable=False),
    Column("input_schema", Text, nullable=False),
    Column("expected_schema", Text, nullable=False),
    Column("splits", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("next_position", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_datasets_name", datasets.c.project_id, datasets.c.name, unique=True)

versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("cases", Integer, nullable=False),
    Column("added", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    Column("splits", Json, nullable=False),
    Column("author_kind", Text, nullable=False),
    Column("author_id", Text, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
Index("ix_dataset_versions_digest", versions.c.dataset_id, versions.c.digest)

items = Table(
    "dataset_items",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("added", Integer, primary_key=True),
    Column("dataset_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    Column("source_trace_id", Text, nullable=False),
    Column("source_span_id", Text, nullable=False),
    Column("removed", Integer),
    Column("is_archived", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_dataset_items_position", items.c.dataset_id, items.c.position)

_AT_ONCE = 5_000
_JSON_FIELDS = ("metadata", "input_schema", "expected_schema")


def find_dataset(sql: Connection, project_id: str, reference: str) -> Dataset | None:
    """The dataset of this id or name, if there is one."""
    row = sql.execute(
        select(datasets)
        .where(datasets.c.project_id == project_id, or_(datasets.c.id == reference, datasets.c.name == reference))
        .order_by(datasets.c.id != reference)
        .limit(1)
    ).one_or_none()
    return None if row is None else _dataset(row)


def list_datasets(
    sql: Connection, project_id: str, *, search: str = "", after: str = "", limit: int, skip: int = 0
) -> list[Dataset]:
    """Datasets by name, those behind `after`."""
    rows = sql.execute(
        select(datasets)
        .where(_matching(project_id, search), datasets.c.name > after)
        .order_by(datasets.c.name)
        .limit(limit)
        .offset(skip)
    )
    return [_dataset(row) for row in rows]


def count_datasets(sql: Connection, project_id: str, *, search: str = "") -> int:
    """How many datasets fit."""
    return int(
        sql.execute(select(func.count()).select_from(datasets).where(_matching(project_id, search))).scalar_one()
    )


def put_dataset(sql: Connection, one: Dataset) -> None:
    """Writes a dataset, new or changed."""
    values = {
        "name": one.name,
        "description": one.description,
        **{name: orjson.dumps(getattr(one, name)).decode() for name in _JSON_FIELDS},
        "splits": dict(one.splits),
        "version": one.version,
        "next_position": one.next_position,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }
    if sql.execute(update(datasets).where(datasets.c.id == one.id).values(values)).rowcount == 0:
        sql.execute(insert(datasets).values(id=one.id, project_id=one.project_id, **values))


def delete_dataset(sql: Connection, dataset_id: str) -> None:
    """Forgets a dataset with its versions."""
    sql.execute(delete(items).where(items.c.dataset_id == dataset_id))
    sql.execute(delete(versions).where(versions.c.dataset_id == dataset_id))
    sql.execute(delete(datasets).where(datasets.c.id == dataset_id))


def insert_version(sql: Connection, one: Version) -> None:
    """Writes a new version."""
    sql.execute(
        insert(versions).values(
            dataset_id=one.dataset_id,
            number=one.number,
            digest=one.digest,
            cases=one.cases,
            added=one.added,
            removed=one.removed,
            splits=dict(one.splits),
            author_kind=one.author.kind,
            author_id=one.author.id,
            author_name=one.author.name,
            message=one.message,
            created_at=one.created_at,
        )
    )


def find_version(
    sql: Connection, dataset_id: str, wanted: int | str | None, *, until: datetime | None = None
) -> Version | None:
    """The version of this number or digest, or the newest; of those made until a time."""
    query = select(versions).where(versions.c.dataset_id == dataset_id)
    if isinstance(wanted, int):
        query = query.where(versions.c.number == wanted)
    elif wanted is not None:
        query = query.where(versions.c.digest == wanted)
    if until is not None:
        query = query.where(versions.c.created_at <= until)
    row = sql.execute(query.order_by(versions.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else _version(row)


def newest_versions(sql: Connection, found: Sequence[Dataset]) -> dict[str, Version]:
    """The newest version of each dataset, by its id."""
    newest = {one.id: one.version for one in found}
    rows = sql.execute(
        select(versions)
        .join(datasets, (datasets.c.id == versions.c.dataset_id) & (datasets.c.version == versions.c.number))
        .where(versions.c.dataset_id.in_(newest))
    )
    return {row.dataset_id: _version(row) for row in rows}


def list_versions(sql: Connection, dataset_id: str, *, below: int, limit: int) -> list[Version]:
    """Versions under a number, the newest first."""
    rows = sql.execute(
        select(versions)
        .where(versions.c.dataset_id == dataset_id, versions.c.number < below)
        .order_by(versions.c.number.desc())
        .limit(limit)
    )
    return [_version(row) for row in rows]


def digests_now(sql: Connection, dataset_id: str) -> list[str]:
    """The digests of the cases that are in the dataset now, in their order."""
    rows = sql.execute(
        select(items.c.digest)
        .where(items.c.dataset_id == dataset_id, items.c.removed.is_(None))
        .order_by(items.c.position)
    )
    return list(rows.scalars())


def list_items(sql: Connection, dataset_id: str, version: int, *, after: int = -1, limit: int) -> list[Item]:
    """Items of a version in their order, behind a position."""
    rows = sql.execute(
        select(items)
        .where(items.c.dataset_id == dataset_id, _in_version(version), items.c.position > after)
        .order_by(items.c.position)
        .limit(limit)
    )
    return [_item(row) for row in rows]


def page_items(
    sql: Connection,
    project_id: str,
    *,
    dataset_id: str = "",
    version: int | None = None,
    source: Source,
    limit: int,
    skip: int,
) -> tuple[list[Item], int]:
    """Items of one dataset, at a version, or of all datasets now, those made last first; and how many there are."""
    wanted = [
        items.c.project_id == project_id,
        items.c.removed.is_(None) if version is None else _in_version(version),
        *([items.c.dataset_id == dataset_id] if dataset_id else []),
        *([items.c.source_trace_id == source.trace_id] if source.trace_id else []),
        *([items.c.source_span_id == source.span_id] if source.span_id else []),
    ]
    count = sql.execute(select(func.count()).select_from(items).where(*wanted)).scalar_one()
    rows = sql.execute(
        select(items)
        .where(*wanted)
        .order_by(items.c.created_at.desc(), items.c.position.desc(), items.c.id)
        .limit(limit)
        .offset(skip)
    )
    return [_item(row) for row in rows], int(count)


def find_items(sql: Connection, project_id: str, ids: Sequence[str]) -> dict[str, Item]:
    """The newest state of items by their ids, of any dataset of the project."""
    found: dict[str, Item] = {}
    for first in range(0, len(ids), _AT_ONCE):
        rows = sql.execute(
            select(items)
            .where(items.c.project_id == project_id, items.c.id.in_(ids[first : first + _AT_ONCE]))
            .order_by(items.c.added)
        )
        found |= {row.id: _item(row) for row in rows}
    return found


def insert_items(sql: Connection, project_id: str, new: Sequence[Item]) -> None:
    """Writes items as they are from their version on."""
    rows = [
        {
            "project_id": project_id,
            "id": one.id,
            "added": one.added,
            "dataset_id": one.dataset_id,
            "position": one.position,
            "digest": one.digest,
            "source_trace_id": one.source.trace_id,
            "source_span_id": one.source.span_id,
            "removed": one.removed,
            "is_archived": one.is_archived,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
        }
        for one in new
    ]
    for first in range(0, len(rows), _AT_ONCE):
        sql.execute(insert(items), rows[first : first + _AT_ONCE])


def end_items(sql: Connection, project_id: str, ids: Sequence[str], *, removed: int, archived: bool) -> None:
    """Takes items out of a version and those after it."""
    for first in range(0, len(ids), _AT_ONCE):
        sql.execute(
            update(items)
            .where(
                items.c.project_id == project_id,
                items.c.id.in_(ids[first : first + _AT_ONCE]),
                items.c.removed.is_(None),
            )
            .values(removed=removed, is_archived=archived)
        )


def forget_archived(sql: Connection, project_id: str, item_id: str) -> None:
    """An item that was archived is deleted; the versions it was in keep it."""
    sql.execute(update(items).where(items.c.project_id == project_id, items.c.id == item_id).values(is_archived=False))


def _in_version(version: int) -> ColumnElement[bool]:
    return (items.c.added <= version) & or_(items.c.removed.is_(None), items.c.removed > version)


def _matching(project_id: str, search: str) -> ColumnElement[bool]:
    ours: ColumnElement[bool] = datasets.c.project_id == project_id
    return ours & func.lower(datasets.c.name).contains(search.lower(), autoescape=True) if search else ours


def _dataset(row: Any) -> Dataset:
    return Dataset(**{**row._mapping, **{name: orjson.loads(row._mapping[name]) for name in _JSON_FIELDS}})


def _version(row: Any) -> Version:
    fields: Mapping[str, Any] = row._mapping
    plain = {name: value for name, value in fields.items() if not name.startswith("author_")}
    author = Actor(kind=row.author_kind, id=row.author_id, name=row.author_name)
    return Version(**plain, author=author)


def _item(row: Any) -> Item:
    fields = dict(row._mapping)
    del fields["project_id"]
    source = Source(trace_id=fields.pop("source_trace_id"), span_id=fields.pop("source_span_id"))
    return Item(**fields, source=source)
