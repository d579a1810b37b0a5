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


def nanoseconds(text: str) -> int:
    """A UTC time as the telemetry store writes it, which has nanoseconds, as a number of them since 1970."""
    seconds, _, fraction = text.replace(" ", "T").removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)
