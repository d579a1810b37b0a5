"""Time comes in as an argument, so that tests can say what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time (UTC): as a datetime, or as nanoseconds since 1970."""

    def now(self) -> datetime: ...

    def now_ns(self) -> int: ...


class SystemClock:
    """The machine's clock, always UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def now_ns(self) -> int:
        return time.time_ns()
