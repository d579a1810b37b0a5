"""Files that spans refer to, and what refers to them, in the control store; their bytes are blobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Column, Connection, Index, Integer, Table, Text, delete, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from octavo_server.core.errors import NotFound
from octavo_server.stores.control import UtcDateTime, metadata
from octavo_server.traces.media import Media, Subject

media = Table(
    "media",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("uploaded_at", UtcDateTime),
)

links = Table(
    "media_links",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("media_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
)
Index("ix_media_links_subject", links.c.project_id, links.c.kind, links.c.subject_id)

_linked = exists().where(links.c.project_id == media.c.project_id, links.c.media_id == media.c.id)


def get_media(sql: Connection, project_id: str, media_id: str) -> Media:
    """Raises NotFound."""
    found = find_media(sql, project_id, media_id)
    if found is None:
        raise NotFound(f"There is no media {media_id[:80]!r} in this project.")
    return found


def find_media(sql: Connection, project_id: str, media_id: str) -> Media | None:
    """A file, if there is one of this id."""
    row = sql.execute(select(media).where(media.c.project_id == project_id, media.c.id == media_id)).one_or_none()
    return None if row is None else Media(**row._mapping)


def insert_media(sql: Connection, one: Media) -> None:
    """Notes a file that is announced."""
    sql.execute(
        insert(media).values(
            project_id=one.project_id,
            id=one.id,
            digest=one.digest,
            content_type=one.content_type,
            size=one.size,
            created_at=one.created_at,
            uploaded_at=one.uploaded_at,
        )
    )


def mark_uploaded(sql: Connection, project_id: str, media_id: str, at: datetime) -> None:
    """Notes that the bytes are here."""
    sql.execute(update(media).where(media.c.project_id == project_id, media.c.id == media_id).values(uploaded_at=at))


def link(sql: Connection, one: Media, subject: Subject, at: datetime) -> None:
    """Notes that something refers to the file, now."""
    dialect_insert = sqlite.insert if sql.dialect.name == "sqlite" else postgresql.insert
    sql.execute(
        dialect_insert(links)
        .values(project_id=one.project_id, media_id=one.id, kind=subject.kind, subject_id=subject.id, seen_at=at)
        .on_conflict_do_update(index_elements=["project_id", "media_id", "kind", "subject_id"], set_={"seen_at": at})
    )


def unlink(sql: Connection, project_id: str, kind: str, subject_ids: Sequence[str]) -> list[str]:
    """Forgets what these subjects refer to, and tells the ids of those files."""
    here = (links.c.project_id == project_id, links.c.kind == kind, links.c.subject_id.in_(subject_ids))
    return list(sql.execute(delete(links).where(*here).returning(links.c.media_id)).scalars())


def unlink_older(sql: Connection, project_id: str, kind: str, before: datetime) -> None:
    """Forgets the references of this kind that were last seen before a time."""
    sql.execute(delete(links).where(links.c.project_id == project_id, links.c.kind == kind, links.c.seen_at < before))


def take_unlinked(
    sql: Connection, project_id: str, *, among: Sequence[str] | None = None, before: datetime | None = None
) -> list[Media]:
    """Takes out the files that nothing refers to, and tells them: those of these ids, and announced before a time."""
    here = [media.c.project_id == project_id, ~_linked]
    if among is not None:
        here.append(media.c.id.in_(among))
    if before is not None:
        here.append(media.c.created_at < before)
    rows = sql.execute(delete(media).where(*here).returning(*media.c)).all()
    return [Media(**row._mapping) for row in rows]
