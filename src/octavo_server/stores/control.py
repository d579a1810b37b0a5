"""The control store: SQLite or PostgreSQL behind SQLAlchemy Core, and the outbox of events.

Every change of state happens in `ControlStore.transaction()`, which writes the events of the change in the same
commit. Write transactions are serial on both engines (SQLite by nature, PostgreSQL by an advisory lock): a service
may read, decide and write without a retry loop, and the outbox's sequence numbers become visible in their order, so
a reader that remembers the last number it saw misses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.types import TypeDecorator

from octavo_server.core.errors import Unavailable
from octavo_server.core.events import Actor, Event
from octavo_server.stores.sqlite import BUSY_S, make_durable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON().with_variant(JSONB(), "postgresql")
"""A JSON column; JSONB on PostgreSQL."""

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit autoincrementing key; SQLite only autoincrements what is declared INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware datetimes in, UTC datetimes out, on both engines. Naive ones are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError(f"naive datetime {value!r}; pass one with a time zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


events = Table(
    "events",
    metadata,
    Column("seq", BigId, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("at", UtcDateTime, nullable=False),
    Column("project_id", Text),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("before_digest", Text),
    Column("after_digest", Text),
    Column("reason", Text),
    Column("details", Json, nullable=False),
    Column("request_id", Text),
    Index("ix_events_subject", "subject_kind", "subject_id", "seq"),
    Index("ix_events_project", "project_id", "seq"),
    sqlite_autoincrement=True,
)

# Any constant does, as long as every Octavo process uses the same one.
_POSTGRES_WRITER_LOCK = 0x0C7A40


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the outbox."""

    seq: int
    event: Event


class Transaction:
    """One write transaction: `connection` runs statements, `record` writes the event of the change."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.recorded = 0

    def record(self, event: Event) -> int:
        """Writes `event` to the outbox and returns its sequence number. It counts once the transaction commits."""
        result = self.connection.execute(
            insert(events)
            .values(
                id=event.id,
                at=event.at,
                project_id=event.project_id,
                actor_kind=event.actor.kind,
                actor_id=event.actor.id,
                actor_name=event.actor.name,
                action=event.action,
                subject_kind=event.subject_kind,
                subject_id=event.subject_id,
                before_digest=event.before_digest,
                after_digest=event.after_digest,
                reason=event.reason,
                details=event.details,
                request_id=event.request_id,
            )
            .returning(events.c.seq)
        )
        self.recorded += 1
        return int(result.scalar_one())


class ControlStore:
    """The control database. Thread-safe; every call blocks, so an event loop calls it from a thread."""

    def __init__(self, url: str) -> None:
        self.url = normalise_url(url)
        self.engine = make_engine(self.url)
        self._listeners: list[Callable[[], None]] = []

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction: committed at the end of the block, rolled back when it raises. Never nest two.

        Raises Unavailable when the database cannot be reached or stays locked."""
        with (
            _unavailable_when_unreachable(),
            self.engine.connect().execution_options(octavo_write=True) as connection,
            connection.begin(),
        ):
            if self.dialect == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_POSTGRES_WRITER_LOCK)))
            transaction = Transaction(connection)
            yield transaction
        if transaction.recorded:
            for listener in self._listeners:
                listener()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; all statements of the block see one state."""
        with _unavailable_when_unreachable(), self.engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Calls `listener` after each commit of this process that recorded events, in the committing thread. Changes
        made by other processes are seen by polling `last_event_seq`."""
        self._listeners.append(listener)

    def last_event_seq(self) -> int:
        """Sequence number of the newest event; 0 when there is none."""
        with self.read() as connection:
            return int(connection.execute(select(func.coalesce(func.max(events.c.seq), 0))).scalar_one())

    def events_after(self, seq: int, limit: int = 1000) -> list[StoredEvent]:
        """Up to `limit` events that follow `seq`, oldest first."""
        with self.read() as connection:
            rows = connection.execute(select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit))
            return [stored_event(row) for row in rows]

    def check(self) -> None:
        """Raises Unavailable when the database does not answer."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()


def stored_event(row: Row[Any]) -> StoredEvent:
    """A row of `events` as the noun it stands for."""
    return StoredEvent(
        seq=row.seq,
        event=Event(
            id=row.id,
            at=row.at,
            actor=Actor(kind=row.actor_kind, id=row.actor_id, name=row.actor_name),
            action=row.action,
            subject_kind=row.subject_kind,
            subject_id=row.subject_id,
            project_id=row.project_id,
            before_digest=row.before_digest,
            after_digest=row.after_digest,
            reason=row.reason,
            details=row.details,
            request_id=row.request_id,
        ),
    )


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{path}"


def normalise_url(url: str) -> str:
    """`postgres://` and `postgresql://` as SQLAlchemy wants them, with the psycopg 3 driver."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def make_engine(url: str) -> Engine:
    """An engine with this store's rules on it (see the module's docstring)."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=15, json_serializer=_dump_json)
    engine = create_engine(
        url, connect_args={"timeout": BUSY_S}, pool_size=5, max_overflow=15, json_serializer=_dump_json
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _dump_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # this module says BEGIN itself; the driver would begin too late and not for DDL
    make_durable(connection)
    connection.execute("PRAGMA foreign_keys=ON").close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the write lock first: a transaction that reads and then writes would otherwise fail with
    # "database is locked", however long the busy timeout, when another one wrote in between.
    writes = connection.get_execution_options().get("octavo_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _unavailable_when_unreachable() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise Unavailable(f"the control store does not answer ({_reason(error)}); try again shortly") from error


def _reason(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
