"""The spool: what was accepted waits here, on disk, until the telemetry store has it.

One process appends (`Spool`), another reads (`SpoolReader`). Appends are collected and committed in groups by one
thread: all records of a group that share a kind and a meta become one row of length-prefixed frames, so ten thousand
small records cost a handful of inserts and one sync.

What is promised:
- `await append(...)` returns after the commit: what it acknowledged survives `kill -9` and power loss.
- `append_nowait(...)` returns at once; its records are committed within 50 ms. A `kill -9` may lose that tail, and the
  next start counts the lost records as dropped: a counter in a memory-mapped file outlives the process, not the power.
- The reader gets the same batch again until it acknowledges it, also after a crash, and `batch_token` names it, so
  inserting under that token stores each record exactly once.
- Always: accepted = stored + rejected + pending.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import secrets
import select
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from octavo_server.core.errors import Unavailable
from octavo_server.stores.sqlite import BUSY_S, make_durable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, meta BLOB NOT NULL,
    count INTEGER NOT NULL, at REAL NOT NULL, data BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_NUMBERS = ("accepted", "stored", "rejected", "dropped", "pending_bytes", "batch_end", "paused_until")
_LENGTH = struct.Struct("<I")
_SUBMITTED = struct.Struct("<Q")
_GROUP_S = 0.03
"""How long unhurried records wait for company; with the time of a commit this stays below the promised 50 ms."""
_ROW_BYTES = 4 << 20
_TAIL_BYTES = 256 << 20
_FREE_PAGES = 16384
"""Room (64 MiB) that the file keeps for the next records instead of giving it back to the disk."""


class SpoolFull(Unavailable):
    """The backlog has reached its limit; the worker has to catch up first."""

    status = 429
    code = "spool_full"
    retry_after_s = 5.0


class SpoolInUse(Unavailable):
    """Another process already appends to this spool."""

    code = "spool_in_use"


@dataclass(frozen=True, slots=True)
class Entry:
    """Records of one kind and meta that were committed together. `count` is the number of records that the appenders
    declared (a frame may hold many, such as an OTLP body)."""

    seq: int
    kind: str
    meta: bytes
    count: int
    at: float
    data: bytes

    def frames(self) -> Iterator[bytes]:
        """The payloads, in the order of appending."""
        return split_frames(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """What became of the records. `accepted` = `stored` + `rejected` + `pending`; `dropped` were never accepted."""

    accepted: int
    stored: int
    rejected: int
    dropped: int
    pending: int
    pending_bytes: int
    oldest_pending_s: float


def join_frames(payloads: Sequence[bytes]) -> bytes:
    """Length-prefixed concatenation."""
    pieces: list[bytes] = []
    for payload in payloads:
        pieces.append(_LENGTH.pack(len(payload)))
        pieces.append(payload)
    return b"".join(pieces)


def split_frames(data: bytes) -> Iterator[bytes]:
    """The inverse of `join_frames`."""
    position = 0
    while position < len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        yield data[position : position + length]
        position += length


class SpoolReader:
    """The worker's side: reads batches, acknowledges them, waits for more. Thread-safe; calls block."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._db = _open(path)
        self._id = _spool_id(self._db)
        self._bell = _Bell(path)

    def read(self, limit_bytes: int = 16 << 20) -> list[Entry]:
        """The oldest unacknowledged entries, at least one when there is any. Until they are acknowledged, each call,
        by this process or the next, gives the same entries."""
        with self._lock, _transaction(self._db):
            numbers = dict(self._db.execute("SELECT name, value FROM numbers").fetchall())
            batch_end = numbers["batch_end"]
            rows: list[Entry] = []
            if batch_end == 0 and numbers.get("paused_until", 0) > self._clock():
                return rows
            size = 0
            query = "SELECT seq, kind, meta, count, at, data FROM entries ORDER BY seq"
            with closing(self._db.execute(query)) as cursor:
                for row in cursor:
                    entry = Entry(*row)
                    size += len(entry.data)
                    if rows and not (entry.seq <= batch_end or (batch_end == 0 and size <= limit_bytes)):
                        break
                    rows.append(entry)
            if rows and batch_end == 0:
                self._db.execute("UPDATE numbers SET value = ? WHERE name = 'batch_end'", (rows[-1].seq,))
            return rows

    def batch_token(self, entries: Sequence[Entry]) -> str:
        """A name for a batch that `read` returned: the same batch always has the same name, and no other has it."""
        return f"{self._id}-{entries[0].seq}-{entries[-1].seq}"

    def acknowledge(self, upto_seq: int, *, stored: int, rejected: int = 0) -> None:
        """Forgets the entries up to `upto_seq`, of whose records `stored` are in the telemetry store and `rejected`
        were refused for good."""
        with self._lock:
            with _transaction(self._db):
                (size,) = self._db.execute(
                    "SELECT coalesce(sum(length(data)), 0) FROM entries WHERE seq <= ?", (upto_seq,)
                ).fetchone()
                self._db.execute("DELETE FROM entries WHERE seq <= ?", (upto_seq,))
                _add(self._db, stored=stored, rejected=rejected, pending_bytes=-size)
                self._db.execute("UPDATE numbers SET value = 0 WHERE name = 'batch_end'")
            (free_pages,) = self._db.execute("PRAGMA freelist_count").fetchone()
            if free_pages > _FREE_PAGES:
                self._db.execute("PRAGMA incremental_vacuum").fetchall()

    def accounting(self) -> Accounting:
        """The counters now, over all processes."""
        with self._lock:
            numbers = dict(self._db.execute("SELECT name, value FROM numbers").fetchall())
            oldest = self._db.execute("SELECT at FROM entries ORDER BY seq LIMIT 1").fetchone()
        return Accounting(
            accepted=numbers["accepted"],
            stored=numbers["stored"],
            rejected=numbers["rejected"],
            dropped=numbers["dropped"],
            pending=numbers["accepted"] - numbers["stored"] - numbers["rejected"],
            pending_bytes=numbers["pending_bytes"],
            oldest_pending_s=max(0.0, self._clock() - oldest[0]) if oldest else 0.0,
        )

    def wait_for_work(self, timeout_s: float) -> bool:
        """Sleeps until something was committed or `timeout_s` passed; True when there is something to read."""
        if not self._has_work():
            self._bell.wait(timeout_s)
        return self._has_work()

    def wake(self) -> None:
        """Ends a `wait_for_work` that another thread or process is in."""
        self._bell.ring()

    def close(self) -> None:
        self._bell.close()
        with self._lock:
            self._db.close()

    @contextmanager
    def paused(self, *, at_most_s: float = 3600.0, wait_s: float = 60.0) -> Iterator[None]:
        """While the block runs no reader, in any process, begins a batch, and none is under way: what the telemetry
        store has is then what the spool has not. Appending goes on. Ends by itself after `at_most_s`, should this
        process die. Raises Unavailable when the batch under way does not end within `wait_s`."""
        self._pause_until(self._clock() + at_most_s)
        try:
            deadline = time.monotonic() + wait_s
            while self._number("batch_end"):
                if time.monotonic() > deadline:
                    raise Unavailable("the worker does not finish its batch: see its log, then try again")
                time.sleep(0.02)
            yield
        finally:
            self._pause_until(0)
            self._bell.ring()

    def _pause_until(self, at: float) -> None:
        with self._lock, _transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO numbers VALUES ('paused_until', ?)", (int(at),))

    def _number(self, name: str) -> int:
        with self._lock:
            row = self._db.execute("SELECT value FROM numbers WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0

    def _has_work(self) -> bool:
        """Whether there are entries that may be read now: a batch under way may, in a pause nothing else."""
        if self._number("paused_until") > self._clock() and not self._number("batch_end"):
            return False
        with self._lock:
            return self._db.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is not None


class Spool(SpoolReader):
    """The server's side: appends, and everything the reader can. Only one process at a time opens it; a second one
    gets SpoolInUse."""

    def __init__(self, path: Path, max_bytes: int = 4 << 30, *, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = _take_writer_lock(path)
        super().__init__(path, clock=clock)
        self._max_bytes = max_bytes
        self._submitted = _SubmittedCounter(path, self._db)
        self._changed = threading.Condition()
        self._tail: list[tuple[str, bytes, bytes, int]] = []
        self._tail_bytes = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._dropped = 0
        self._backlog = self.accounting().pending_bytes
        self._closing = False
        self._thread = threading.Thread(target=self._commit_forever, name="octavo-spool", daemon=True)
        self._thread.start()

    def append_nowait(self, kind: str, payload: bytes, *, count: int = 1, meta: bytes = b"") -> bool:
        """Takes a record that is committed within 50 ms. False, and counted as dropped, when the spool is full."""
        with self._changed:
            if self._is_full():
                self._dropped += count
                return False
            self._take(kind, payload, meta, count)
            return True

    def append(self, kind: str, payload: bytes, *, count: int = 1, meta: bytes = b"") -> asyncio.Future[None]:
        """Takes a record and returns a future that is done after the commit. Raises SpoolFull at once; the future
        raises Unavailable when the disk refuses."""
        future = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._is_full():
                raise SpoolFull(
                    "records arrive faster than they can be stored and the backlog is full: send again later"
                )
            self._take(kind, payload, meta, count)
            self._waiters.append(future)
            if len(self._waiters) == 1:
                self._changed.notify()
        return future

    def close(self) -> None:
        """Commits what is left and gives everything back."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        super().close()
        self._submitted.close()
        self._lock_file.close()

    def _is_full(self) -> bool:
        return self._backlog + self._tail_bytes >= self._max_bytes or self._tail_bytes >= _TAIL_BYTES or self._closing

    def _take(self, kind: str, payload: bytes, meta: bytes, count: int) -> None:
        self._tail.append((kind, meta, payload, count))
        self._tail_bytes += len(payload) + _LENGTH.size
        self._submitted.add(count)
        if len(self._tail) == 1:
            self._changed.notify()

    def _commit_forever(self) -> None:
        db = _open(self.path)
        try:
            while True:
                with self._changed:
                    self._wait_for_a_group()
                    if self._closing and not self._tail and not self._dropped:
                        return
                    tail, waiters, dropped = self._tail, self._waiters, self._dropped
                    self._tail, self._waiters, self._dropped = [], [], 0
                try:
                    backlog = self._commit(db, tail, dropped)
                except sqlite3.Error as error:
                    self._keep_for_later(tail, waiters, dropped, error)
                    continue
                with self._changed:
                    self._tail_bytes -= sum(len(payload) + _LENGTH.size for _, _, payload, _ in tail)
                    self._backlog = backlog
                _settle(waiters, None)
                if tail:
                    self._bell.ring()
        finally:
            db.close()

    def _wait_for_a_group(self) -> None:
        """Returns when there is something to commit: at once for those who wait, a moment later for the others. While
        the spool is full it looks twice a second whether the reader has made room."""
        while not (self._tail or self._dropped or self._closing):
            full = self._is_full()
            self._changed.wait(0.5 if full else None)
            if full:
                return
        if not (self._waiters or self._closing):
            self._changed.wait(_GROUP_S)

    def _commit(self, db: sqlite3.Connection, tail: list[tuple[str, bytes, bytes, int]], dropped: int) -> int:
        now = self._clock()
        with _transaction(db):
            rows = [(kind, meta, count, now, data) for kind, meta, count, data in _rows(tail)]
            if rows:
                db.executemany("INSERT INTO entries (kind, meta, count, at, data) VALUES (?, ?, ?, ?, ?)", rows)
            _add(
                db,
                accepted=sum(row[2] for row in rows),
                dropped=dropped,
                pending_bytes=sum(len(row[4]) for row in rows),
            )
            (backlog,) = db.execute("SELECT value FROM numbers WHERE name = 'pending_bytes'").fetchone()
        return int(backlog)

    def _keep_for_later(
        self,
        tail: list[tuple[str, bytes, bytes, int]],
        waiters: list[asyncio.Future[None]],
        dropped: int,
        error: sqlite3.Error,
    ) -> None:
        """The disk refused (full, or failing): who waits learns of it; the records stay and are tried again."""
        _settle(waiters, Unavailable(f"the spool cannot be written ({error}); free disk space, then send again"))
        with self._changed:
            self._tail = tail + self._tail
            self._dropped += dropped
            closing = self._closing
            if closing:
                self._tail, self._dropped = [], 0
        if not closing:
            time.sleep(0.5)


class _SubmittedCounter:
    """How many records were taken, in a mapped file: it outlives a killed process, whose uncommitted tail is what was
    taken and neither accepted nor dropped. That difference is added to `dropped` at the next start."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        with path.with_name(path.name + "-taken").open("a+b") as file:
            file.truncate(_SUBMITTED.size)
            self._map = mmap.mmap(file.fileno(), _SUBMITTED.size)
        with _transaction(db):
            (accepted,) = db.execute("SELECT value FROM numbers WHERE name = 'accepted'").fetchone()
            (counted,) = db.execute("SELECT value FROM numbers WHERE name = 'lost'").fetchone() or (0,)
            lost = max(0, _SUBMITTED.unpack_from(self._map)[0] - accepted - counted)
            _add(db, dropped=lost)
            db.execute(
                "INSERT INTO numbers VALUES ('lost', ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (lost,),
            )
            self._value = accepted + counted + lost
        _SUBMITTED.pack_into(self._map, 0, self._value)

    def add(self, count: int) -> None:
        self._value += count
        _SUBMITTED.pack_into(self._map, 0, self._value)

    def close(self) -> None:
        self._map.close()


class _Bell:
    """Wakes the reader's process after a commit: a named pipe, since polling would cost an idle machine its sleep."""

    def __init__(self, path: Path) -> None:
        fifo = path.with_name(path.name + "-bell")
        try:
            os.mkfifo(fifo, 0o600)
        except FileExistsError:
            pass
        self._fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)

    def ring(self) -> None:
        try:
            os.write(self._fd, b"!")
        except BlockingIOError:
            pass  # full of unheard rings already

    def wait(self, timeout_s: float) -> None:
        select.select([self._fd], [], [], timeout_s)
        try:
            os.read(self._fd, 65536)
        except BlockingIOError:
            pass

    def close(self) -> None:
        os.close(self._fd)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA auto_vacuum=INCREMENTAL").close()
    make_durable(db)
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'names'").fetchone() is None:
        with _transaction(db):
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.executemany("INSERT OR IGNORE INTO numbers VALUES (?, 0)", [(name,) for name in _NUMBERS])
            db.execute("INSERT OR IGNORE INTO names VALUES ('id', ?)", (secrets.token_hex(8),))
    return db


def adopt_copy(path: Path) -> None:
    """Makes a copied spool one of its own: its batches are not taken for those that the original stored since, and the
    pause in which it was copied is over."""
    with closing(_open(path)) as db, _transaction(db):
        db.execute("UPDATE names SET value = ? WHERE name = 'id'", (secrets.token_hex(8),))
        db.execute("UPDATE numbers SET value = 0 WHERE name = 'paused_until'")


def _spool_id(db: sqlite3.Connection) -> str:
    return str(db.execute("SELECT value FROM names WHERE name = 'id'").fetchone()[0])


def _add(db: sqlite3.Connection, **amounts: int) -> None:
    db.executemany(
        "UPDATE numbers SET value = value + ? WHERE name = ?", [(amount, name) for name, amount in amounts.items()]
    )


def _rows(tail: list[tuple[str, bytes, bytes, int]]) -> Iterator[tuple[str, bytes, int, bytes]]:
    """The tail's records put together by kind and meta, in rows of a size that reads and deletes well."""
    groups: dict[tuple[str, bytes], list[tuple[bytes, int]]] = {}
    for kind, meta, payload, count in tail:
        groups.setdefault((kind, meta), []).append((payload, count))
    for (kind, meta), records in groups.items():
        start = size = 0
        for position, (payload, _) in enumerate(records):
            if size and size + len(payload) > _ROW_BYTES:
                yield (
                    kind,
                    meta,
                    sum(c for _, c in records[start:position]),
                    join_frames([p for p, _ in records[start:position]]),
                )
                start, size = position, 0
            size += len(payload) + _LENGTH.size
        yield kind, meta, sum(c for _, c in records[start:]), join_frames([p for p, _ in records[start:]])


def _settle(waiters: list[asyncio.Future[None]], error: Unavailable | None) -> None:
    """Wakes the waiting coroutines, each loop once for all of its own."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in waiters:
        loops.setdefault(future.get_loop(), []).append(future)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures, error)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more


def _resolve(futures: list[asyncio.Future[None]], error: Unavailable | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _take_writer_lock(path: Path) -> BinaryIO:
    file = path.with_name(path.name + "-lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SpoolInUse(f"{path} is in use by another Octavo process: stop it, or use another data folder") from None
    return file
