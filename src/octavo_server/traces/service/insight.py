"""Why and where: failures by signature, the critical path of a trace, whose latency it was, what differs between two."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from octavo_server.core.clock import Clock, nanoseconds
from octavo_server.core.errors import NotFound
from octavo_server.edge.pagination import decode_cursor, encode_cursor
from octavo_server.traces.critical_path import Step, critical_path
from octavo_server.traces.difference import Pair, differences
from octavo_server.traces.service.reading import Rows, Search, Traces, interval_seconds
from octavo_server.traces.store.failures import FailureStore

_OWNERS_OF_TRACES = 500
_OWNERS_OF_SPANS = 100_000
_BREAKDOWN = ("model", "provider", "environment", "release", "name", "app")


class PathStep(NamedTuple):
    """A step on the critical path, and how long it alone kept the trace waiting."""

    span_id: str
    name: str
    kind: str
    own_ns: int
    share: float  # of the time of the whole path, 0 to 1


class Difference(NamedTuple):
    """Two traces side by side."""

    left: dict[str, Any]  # summaries
    right: dict[str, Any]
    spans: list[Pair]


class Insight:
    """The verbs. Every verb is about one project."""

    def __init__(self, traces: Traces, store: FailureStore, clock: Clock) -> None:
        self._traces = traces
        self._store = store
        self._clock = clock

    async def failures(self, project_id: str, search: Search, *, limit: int, cursor: str) -> Rows:
        """Failures by signature, the most frequent first, of the last day unless the search says otherwise."""
        search = self._bounded(search)
        at = decode_cursor(cursor) if cursor else 0
        skip = at if isinstance(at, int) and at >= 0 else 0
        rows = await self._store.failures(search.scope(project_id), limit=limit + 1, skip=skip)
        await self._tell_more(project_id, search, rows[:limit])
        return Rows(rows[:limit], encode_cursor(skip + limit) if len(rows) > limit else None)

    async def failure(self, project_id: str, search: Search, signature: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """One failure, and how it is spread over models, providers and so on. Raises NotFound."""
        search = self._bounded(search)
        scope = search.scope(project_id)
        rows, shares = await asyncio.gather(
            self._store.failures(scope, limit=1, skip=0, signature=signature),
            self._store.shares(scope, signature, _BREAKDOWN),
        )
        if not rows:
            raise NotFound(f"There is no failure {signature[:40]!r} in this time; widen it with `from`.")
        await self._tell_more(project_id, search, rows)
        breakdown: dict[str, Any] = defaultdict(list)
        for share in shares:
            breakdown[share["dimension"]].append({"value": share["value"], "count": share["count"]})
        return rows[0], dict(breakdown)

    async def critical_path(self, project_id: str, trace_id: str) -> list[PathStep]:
        """The steps that a trace waited for, in the order in which it did. Raises NotFound."""
        _, spans = await self._traces.read_trace(project_id, trace_id)
        steps = [
            Step(row["span_id"], row["parent_span_id"], start, start + round(row["duration_ms"] * 1e6))
            for row in spans
            for start in (nanoseconds(row["start_time"]),)
        ]
        own = critical_path(steps)
        total = sum(own.values()) or 1
        by_id = {row["span_id"]: row for row in spans}
        return [
            PathStep(span_id, by_id[span_id]["name"], by_id[span_id]["kind"], own_ns, own_ns / total)
            for span_id, own_ns in own.items()
        ]

    async def latency_owners(self, project_id: str, search: Search) -> list[dict[str, Any]]:
        """Whose latency it was in the newest traces of a search: steps by name and kind, with their part of all
        critical paths."""
        rows = await self._store.newest_spans(
            self._bounded(search).scope(project_id), traces=_OWNERS_OF_TRACES, spans=_OWNERS_OF_SPANS
        )
        traces: dict[str, list[Step]] = defaultdict(list)
        names: dict[tuple[str, str], tuple[str, str]] = {}
        for row in rows:
            traces[row["trace_id"]].append(Step(row["span_id"], row["parent_span_id"], row["start_ns"], row["end_ns"]))
            names[row["trace_id"], row["span_id"]] = (row["name"], row["kind"])
        own: dict[tuple[str, str], int] = defaultdict(int)
        seen: dict[tuple[str, str], set[str]] = defaultdict(set)
        for trace_id, steps in traces.items():
            for span_id, own_ns in critical_path(steps).items():
                own[names[trace_id, span_id]] += own_ns
                seen[names[trace_id, span_id]].add(trace_id)
        total = sum(own.values()) or 1
        return [
            {
                "name": name,
                "kind": kind,
                "own_ms": own_ns / 1e6,
                "share": own_ns / total,
                "traces": len(seen[name, kind]),
                "own_ms_per_trace": own_ns / 1e6 / len(seen[name, kind]),
            }
            for (name, kind), own_ns in sorted(own.items(), key=lambda one: -one[1])
        ]

    async def diff(self, project_id: str, left: str, right: str) -> Difference:
        """Two traces side by side. Raises NotFound."""
        (ours, our_spans), (theirs, their_spans) = await asyncio.gather(
            self._traces.read_trace(project_id, left), self._traces.read_trace(project_id, right)
        )
        return Difference(ours, theirs, differences(our_spans, their_spans))

    def _bounded(self, search: Search) -> Search:
        end = search.end or self._clock.now()
        return search if search.start is not None else replace(search, start=end - timedelta(days=1))

    async def _tell_more(self, project_id: str, search: Search, rows: list[dict[str, Any]]) -> None:
        """Adds when each failure was first, whether that is new, and its course over time."""
        if not rows:
            return
        signatures = [row["signature"] for row in rows]
        step = interval_seconds("auto", search.start, search.end, self._clock.now())
        assert step is not None and search.start is not None
        first, series = await asyncio.gather(
            self._store.first_seen(project_id, signatures),
            self._store.series(search.scope(project_id), signatures, interval_s=step),
        )
        start_ns = int(search.start.timestamp() * 1e9)
        for row in rows:
            row["first"] = first.get(row["signature"], row["first"])
            row["is_new"] = nanoseconds(row["first"]) >= start_ns
            row["interval_s"] = step
            row["series"] = [(one["time"], one["count"]) for one in series if one["signature"] == row["signature"]]
