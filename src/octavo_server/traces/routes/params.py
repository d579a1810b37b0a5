"""What the routes of this room take and give alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from octavo_server.core.errors import Invalid
from octavo_server.edge.pagination import MAX_LIMIT

_RELATIVE = re.compile(r"-(\d{1,6})(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str, Query(max_length=400)]


class MetricsOut(BaseModel):
    """A table of measures; `time` is the start of a bucket of `interval_s` seconds."""

    columns: list[str]
    rows: list[dict[str, Any]]
    interval_s: int | None


def instant(text: str, param: str) -> datetime | None:
    """A time as callers write it, or None for no text. Raises Invalid."""
    if not text:
        return None
    relative = _RELATIVE.fullmatch(text)
    try:
        if relative is not None:
            return datetime.now(UTC) - timedelta(**{_UNITS[relative[2]]: int(relative[1])})
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None or not 1970 <= at.year < 2262:
        raise Invalid(f"{param} is {text[:40]!r}; expected a time such as 2026-01-31T12:00:00Z or -24h.", param=param)
    return at


def names_in(text: str) -> list[str]:
    """The names in a comma-separated list."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
