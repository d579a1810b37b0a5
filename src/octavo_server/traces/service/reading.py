"""Reading spans back: lists, traces, metrics, sessions, users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from octavo_server.core.errors import Invalid, NotFound
from octavo_server.edge.pagination import decode_cursor, encode_cursor
from octavo_server.traces.filter import compile_filter
from octavo_server.traces.store import DIMENSIONS, MEASURES, Scope, SpanStore

MAX_TRACE_SPANS = 20_000
MAX_GROUPS = 10_000
_EXPORT_PAGE = 1000
_BUCKETS = (1, 5, 10, 30, 60, 300, 600, 900, 1800, 3600, 10800, 21600, 43200, 86400, 604800)
_WANTED_BUCKETS = 60
_INTERVALS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a list or a metric is about, as callers say it."""

    start: datetime | None = None
    end: datetime | None = None
    filter: str = ""
    search: str = ""
    environment: str = ""

    def scope(self, project_id: str) -> Scope:
        """Raises FilterError."""
        return Scope(
            project_id=project_id,
            start=self.start,
            end=self.end,
            environment=self.environment,
            search=self.search,
            condition=compile_filter(self.filter),
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """One page of rows and the cursor of the next."""

    rows: list[dict[str, Any]]
    next_cursor: str | None


class Traces:
    """Reads spans back. Every verb is about one project."""

    def __init__(self, store: SpanStore, clock_now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = clock_now

    async def list_traces(self, project_id: str, search: Search, *, limit: int, cursor: str) -> Rows:
        """Traces with a matching span, newest first."""
        rows = await self._store.traces(search.scope(project_id), limit=limit + 1, before=position_of(cursor))
        return page_of(rows, limit, "position", "trace_id")

    async def read_trace(self, project_id: str, trace_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A trace's summary and its spans in order of time. Raises NotFound."""
        times = await self._store.find_trace(project_id, trace_id)
        if times is not None:
            summary, spans = await asyncio.gather(
                self._store.trace(project_id, times), self._store.trace_spans(project_id, times, limit=MAX_TRACE_SPANS)
            )
            if summary is not None:
                return summary, spans
        raise NotFound(f"There is no trace {trace_id[:64]!r} in this project.")

    async def list_spans(self, project_id: str, search: Search, *, limit: int, cursor: str) -> Rows:
        """Matching spans, newest first."""
        rows = await self._store.spans(search.scope(project_id), limit=limit + 1, before=position_of(cursor))
        return page_of(rows, limit, "start_time", "span_id")

    async def export_spans(self, project_id: str, search: Search) -> AsyncIterator[list[dict[str, Any]]]:
        """All matching spans, whole, the newest first, in pages: no more than a page of them is in memory."""
        scope = search.scope(project_id)
        before: tuple[str, str] | None = None
        while True:
            rows = await self._store.whole_spans(scope, limit=_EXPORT_PAGE, before=before)
            if rows:
                yield rows
            if len(rows) < _EXPORT_PAGE:
                return
            before = (rows[-1]["start"].replace("T", " ").removesuffix("Z"), rows[-1]["span_id"])

    async def read_span(self, project_id: str, span_id: str, trace_id: str) -> dict[str, Any]:
        """One span, whole. Raises NotFound."""
        times = await self._store.find_trace(project_id, trace_id) if trace_id else None
        row = None
        if times is not None or not trace_id:
            row = await self._store.span(project_id, span_id, times)
        if row is None:
            raise NotFound(f"There is no span {span_id[:64]!r} in this project.")
        return row

    async def metrics(
        self, project_id: str, search: Search, *, measures: Sequence[str], dimensions: Sequence[str], interval: str
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Rows of measures by time bucket and dimensions, and the bucket's seconds."""
        known_names("measure", measures, MEASURES)
        known_names("dimension", dimensions, DIMENSIONS)
        if not measures:
            raise Invalid(f"Ask for at least one measure of {', '.join(MEASURES)}.", param="measures")
        interval_s = interval_seconds(interval, search.start, search.end, self._now())
        rows = await self._store.metrics(
            search.scope(project_id),
            measures=measures,
            dimensions=dimensions,
            interval_s=interval_s,
            limit=MAX_GROUPS,
        )
        return rows, interval_s

    async def count(self, project_id: str) -> dict[str, Any]:
        """How many traces and spans can be queried now."""
        return await self._store.count(project_id)

    async def groups(self, project_id: str, search: Search, *, by: str, limit: int) -> list[dict[str, Any]]:
        """Sessions (`session_id`) or end users (`user_id`), those seen last first."""
        return await self._store.groups(search.scope(project_id), by=by, limit=limit)


def interval_seconds(interval: str, start: datetime | None, end: datetime | None, now: datetime) -> int | None:
    """The length of a time bucket; `auto` gives a time from `start` to `end` some sixty of them. Raises Invalid."""
    if interval == "none":
        return None
    if interval in _INTERVALS:
        return _INTERVALS[interval]
    if interval != "auto":
        raise Invalid(
            f"interval is {interval[:40]!r}; expected auto, none or one of {', '.join(_INTERVALS)}.", param="interval"
        )
    end = end or now
    span_s = max(1.0, (end - (start or end - timedelta(days=1))).total_seconds())
    return next((bucket for bucket in _BUCKETS if span_s / bucket <= _WANTED_BUCKETS), _BUCKETS[-1])


def known_names(what: str, names: Sequence[str], known: Mapping[str, str] | frozenset[str]) -> None:
    """Raises Invalid for a name that there is none of."""
    for name in names:
        if name not in known:
            raise Invalid(f"{name[:40]!r} is no {what}; there are {', '.join(sorted(known))}.", param=f"{what}s")


def position_of(cursor: str) -> tuple[str, str] | None:
    """The time and id that a cursor stands for. Raises Invalid."""
    if not cursor:
        return None
    position = decode_cursor(cursor)
    if not (isinstance(position, list) and len(position) == 2 and all(isinstance(one, str) for one in position)):
        raise Invalid("the cursor is not one of this list; start again without it", param="cursor")
    at, row_id = str(position[0]), str(position[1])
    try:
        datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        raise Invalid("the cursor is not one of this list; start again without it", param="cursor") from None
    # Nanoseconds go beyond datetime, so the text itself is passed on.
    return at.replace("T", " ").removesuffix("Z"), row_id


def page_of(rows: list[dict[str, Any]], limit: int, time_key: str, id_key: str) -> Rows:
    """The first `limit` rows, of which one more was asked for to know whether there is a next page."""
    if len(rows) <= limit:
        return Rows(rows, None)
    last = rows[limit - 1]
    return Rows(rows[:limit], encode_cursor([last[time_key], last[id_key]]))
