"""Counters that budgets and rate limits stand on: integers by key, each in a window of time after which it is gone.

`LocalCounters` here serves one process and remembers over a kill; `ValkeyCounters` in `counters_valkey` is shared by
all replicas. Totals are exact up to 2**53 (nine million US dollars in nano-dollars).
"""

from __future__ import annotations

import fcntl
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import orjson

from octavo_server.core.errors import Unavailable


class Taken(NamedTuple):
    """Whether the amount was added, and the total that stands now."""

    ok: bool
    total: int


class RateVerdict(NamedTuple):
    """Whether one more is allowed, how many remain in the window, and when to come back otherwise."""

    allowed: bool
    remaining: int
    retry_after_s: float


class Counters(Protocol):
    """Integers by key. A window begins with the first amount and lasts `window_s` (None: for ever)."""

    async def add(self, key: str, amount: int, *, window_s: float | None = None) -> int:
        """Adds (or with a negative amount gives back) and returns the new total."""
        ...

    async def try_add(self, key: str, amount: int, *, limit: int, window_s: float | None = None) -> Taken:
        """Adds when the total stays within `limit`, in one atomic step."""
        ...

    async def get(self, key: str) -> int:
        """The total; 0 for a key unknown or expired."""
        ...

    async def close(self) -> None: ...


async def take(counters: Counters, key: str, *, limit: int, per_s: float, now: float, amount: int = 1) -> RateVerdict:
    """Allows at most `limit` in any `per_s` seconds. Two aligned windows are weighed, so the limit cannot be had twice
    around a boundary; the estimate never allows more than `limit` in one aligned window."""
    window = int(now // per_s)
    elapsed = now / per_s - window
    before = await counters.get(f"{key}:{window - 1}")
    room = limit - math.ceil(before * (1.0 - elapsed))
    taken = await counters.try_add(f"{key}:{window}", amount, limit=room, window_s=2 * per_s)
    if taken.ok:
        return RateVerdict(True, max(0, room - taken.total), 0.0)
    # Either the window before fades enough within this one, or a new window begins.
    needed = taken.total + amount - room
    fades = needed / before * per_s if before else per_s
    return RateVerdict(False, max(0, room - taken.total), max(0.001, min(fades, (1.0 - elapsed) * per_s)))


class CountersInUse(Unavailable):
    """Another process holds the journal."""

    code = "counters_in_use"


class LocalCounters:
    """Counters of this process. Each change is one line written to a journal before it is returned: the operating
    system keeps it when the process is killed (a power failure may lose the last seconds). Thread-safe."""

    def __init__(self, journal: Path, *, clock: Callable[[], float] = time.time, compact_bytes: int = 16 << 20) -> None:
        if journal.exists() and not journal.is_file():
            raise ValueError(f"{journal} is no regular file; a journal is replaced as a whole when it is compacted")
        journal.parent.mkdir(parents=True, exist_ok=True)
        self._journal = journal
        self._clock = clock
        self._compact_bytes = compact_bytes
        self._guard = threading.Lock()
        self._lock_file = _take_lock(journal)
        self._totals = _replay(journal)
        self._file, self._size = self._compact()

    async def add(self, key: str, amount: int, *, window_s: float | None = None) -> int:
        with self._guard:
            total, expires = self._now(key, window_s)
            return self._write(key, total + amount, expires)

    async def try_add(self, key: str, amount: int, *, limit: int, window_s: float | None = None) -> Taken:
        with self._guard:
            total, expires = self._now(key, window_s)
            if total + amount > limit:
                return Taken(False, total)
            return Taken(True, self._write(key, total + amount, expires))

    async def get(self, key: str) -> int:
        with self._guard:
            return self._now(key, None)[0]

    async def close(self) -> None:
        self._file.close()
        self._lock_file.close()

    def _now(self, key: str, window_s: float | None) -> tuple[int, float | None]:
        """Total and end of the key's window, which begins now when there is none."""
        now = self._clock()
        total, expires = self._totals.get(key, (0, -1.0))
        if expires is None or expires > now:
            return total, expires
        return 0, None if window_s is None else now + window_s

    def _write(self, key: str, total: int, expires: float | None) -> int:
        self._totals[key] = (total, expires)
        line = orjson.dumps([key, total, expires], option=orjson.OPT_APPEND_NEWLINE)
        self._file.write(line)
        self._size += len(line)
        if self._size > self._compact_bytes:
            self._file.close()
            self._file, self._size = self._compact()
        return total

    def _compact(self) -> tuple[BinaryIO, int]:
        """Writes the live totals into a new journal, which replaces the old one whole, and opens it for more."""
        now = self._clock()
        self._totals = {
            key: (total, expires)
            for key, (total, expires) in self._totals.items()
            if (expires is None or expires > now)
        }
        beside = self._journal.with_name(self._journal.name + ".new")
        with beside.open("wb") as file:
            for key, (total, expires) in self._totals.items():
                file.write(orjson.dumps([key, total, expires], option=orjson.OPT_APPEND_NEWLINE))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        beside.replace(self._journal)
        self._compact_bytes = max(self._compact_bytes, 2 * size)
        return self._journal.open("ab", buffering=0), size


def _replay(journal: Path) -> dict[str, tuple[int, float | None]]:
    totals: dict[str, tuple[int, float | None]] = {}
    if journal.exists():
        for line in journal.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):  # the last one may be half written
                key, total, expires = orjson.loads(line)
                totals[key] = (total, expires)
    return totals


def _take_lock(journal: Path) -> BinaryIO:
    file = journal.with_name(journal.name + "-lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise CountersInUse(
            f"{journal} is in use by another Octavo process: stop it, or share counters with OCTAVO_VALKEY_URL"
        ) from None
    return file
