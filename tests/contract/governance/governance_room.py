"""A clock, a counter and a password of the tests' own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

OWNER_PASSWORD = "correct horse battery"


@dataclass
class HandClock:
    """A clock that stands still until the test moves it."""

    time: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def now_ns(self) -> int:
        return int(self.time.timestamp() * 1_000_000_000)

    def pass_by(self, **amount: float) -> None:
        self.time += timedelta(**amount)


@dataclass
class Attempts:
    """Counts for ever: the window never ends by itself."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, window_s: int) -> int:
        self.counts[name] = self.counts.get(name, 0) + 1
        return self.counts[name]

    def clear(self, name: str) -> None:
        self.counts.pop(name, None)
