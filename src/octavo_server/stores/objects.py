"""The object store: content-addressed parts, movable refs, blobs.

A part is a JSON value stored under the digest of its canonical form, immutable. A ref is a name that points to a
digest and moves only by compare-and-swap inside a control transaction, so the event of the move commits with it.
Blobs (bytes too large for a row) are files under their digest. Everything belongs to one project.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson
from sqlalchemy import Column, Connection, Table, Text, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from octavo_server.core.digest import JSON, PREFIX, canonical_json, digest_bytes
from octavo_server.core.errors import Conflict, NotFound
from octavo_server.stores.control import Transaction, UtcDateTime, metadata

parts = Table(
    "parts",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

refs = Table(
    "refs",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
)


_AT_ONCE = 5_000
"""Rows of one statement: databases take only so many parameters."""


class RefMoved(Conflict):
    """Somebody else moved the ref first. `actual` is where it points now (None: it does not exist)."""

    code = "ref_moved"

    def __init__(self, name: str, *, expected: str | None, actual: str | None) -> None:
        super().__init__(
            f"ref {name!r} points to {actual or 'nothing'}, expected {expected or 'nothing'}: read it again and retry"
        )
        self.actual = actual


@dataclass(frozen=True, slots=True)
class Ref:
    """A movable name and where it points."""

    name: str
    digest: str
    moved_at: datetime


def put_part(transaction: Transaction, project_id: str, value: JSON, *, at: datetime) -> str:
    """Stores a part and returns its digest. Storing the same content again changes nothing."""
    body = canonical_json(value)
    digest = digest_bytes(body)
    connection = transaction.connection
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(
        dialect_insert(parts)
        .values(project_id=project_id, digest=digest, body=body.decode(), created_at=at)
        .on_conflict_do_nothing()
    )
    return digest


def put_parts(transaction: Transaction, project_id: str, bodies: Mapping[str, bytes], *, at: datetime) -> None:
    """Stores many parts at once: canonical JSON by its digest."""
    rows = [
        {"project_id": project_id, "digest": digest, "body": body.decode(), "created_at": at}
        for digest, body in bodies.items()
    ]
    dialect_insert = sqlite.insert if transaction.connection.dialect.name == "sqlite" else postgresql.insert
    for first in range(0, len(rows), _AT_ONCE):
        transaction.connection.execute(dialect_insert(parts).on_conflict_do_nothing(), rows[first : first + _AT_ONCE])


def get_parts(connection: Connection, project_id: str, digests: Sequence[str]) -> dict[str, JSON]:
    """The values stored under these digests, those that are there."""
    found: dict[str, JSON] = {}
    for first in range(0, len(digests), _AT_ONCE):
        rows = connection.execute(
            select(parts.c.digest, parts.c.body).where(
                parts.c.project_id == project_id, parts.c.digest.in_(digests[first : first + _AT_ONCE])
            )
        )
        found |= {row.digest: orjson.loads(row.body) for row in rows}
    return found


def get_part(connection: Connection, project_id: str, digest: str) -> JSON:
    """The value stored under `digest`. Raises NotFound."""
    body = connection.execute(
        select(parts.c.body).where(parts.c.project_id == project_id, parts.c.digest == digest)
    ).scalar_one_or_none()
    if body is None:
        raise NotFound(f"no part {digest!r} in this project")
    value: JSON = orjson.loads(body)
    return value


def get_ref(connection: Connection, project_id: str, name: str) -> Ref | None:
    """Where a ref points, or None."""
    row = connection.execute(select(refs).where(refs.c.project_id == project_id, refs.c.name == name)).one_or_none()
    return None if row is None else Ref(name=row.name, digest=row.digest, moved_at=row.moved_at)


def list_refs(connection: Connection, project_id: str, prefix: str = "") -> list[Ref]:
    """Refs of a project whose name starts with `prefix`, by name."""
    rows = connection.execute(
        select(refs)
        .where(refs.c.project_id == project_id, refs.c.name.startswith(prefix, autoescape=True))
        .order_by(refs.c.name)
    )
    return [Ref(name=row.name, digest=row.digest, moved_at=row.moved_at) for row in rows]


def move_ref(
    transaction: Transaction, project_id: str, name: str, *, expected: str | None, new: str | None, at: datetime
) -> None:
    """Moves a ref from `expected` to `new`. `expected=None` creates it, `new=None` deletes it. Raises RefMoved when it
    does not point to `expected` now. The caller records the event in the same transaction."""
    connection = transaction.connection
    found = get_ref(connection, project_id, name)
    actual = found.digest if found else None
    if actual != expected:
        raise RefMoved(name, expected=expected, actual=actual)
    here = (refs.c.project_id == project_id, refs.c.name == name)
    if new is None:
        connection.execute(delete(refs).where(*here))
    elif expected is None:
        connection.execute(insert(refs).values(project_id=project_id, name=name, digest=new, moved_at=at))
    else:
        connection.execute(update(refs).where(*here).values(digest=new, moved_at=at))


class BlobStore:
    """Bytes by digest, one file each: `<root>/<project>/ab/cdef…`. Written to the side, synced, then renamed, so a
    file under its digest is always whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, project_id: str, data: bytes) -> str:
        """Stores `data` and returns its digest, on disk when this returns."""
        digest = digest_bytes(data)
        path = self._path(project_id, digest)
        if path.exists():
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
        return digest

    def get(self, project_id: str, digest: str) -> bytes:
        """The bytes stored under `digest`. Raises NotFound."""
        return self.path(project_id, digest).read_bytes()

    def path(self, project_id: str, digest: str) -> Path:
        """The file of the bytes stored under `digest`, to be read. Raises NotFound."""
        path = self._path(project_id, digest)
        if not path.is_file():
            raise NotFound(f"no blob {digest!r} in this project")
        return path

    def delete(self, project_id: str, digest: str) -> None:
        """Deletes the bytes stored under `digest`, if they are there."""
        self._path(project_id, digest).unlink(missing_ok=True)

    def _path(self, project_id: str, digest: str) -> Path:
        name = digest.removeprefix(PREFIX)
        if len(name) != 64 or not set(name) <= set("0123456789abcdef") or not project_id.replace("_", "").isalnum():
            raise NotFound(f"no blob {digest!r} in this project")
        return self.root / project_id / name[:2] / name[2:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
