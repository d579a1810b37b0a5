"""The queries over spans. Everything is bound to one project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from octavo_server.stores.telemetry import Telemetry
from octavo_server.traces.filter import Condition

_SUMMARY = """
    trace_id,
    argMax(if(trace_name != '', trace_name, name), (is_root, -toUnixTimestamp64Nano(start))) AS name,
    min(start) AS start_time,
    (max(toUnixTimestamp64Nano(start) + duration_ns) - toUnixTimestamp64Nano(min(start))) / 1e6 AS duration_ms,
    if(max(is_root AND status = 'error') OR (max(is_root) = 0 AND max(status = 'error')), 'error', 'ok') AS status,
    anyIf(error_class, error_class != '') AS error_class,
    anyIf(status_message, status_message != '') AS error_message,
    any(environment) AS environment,
    anyIf(session_id, session_id != '') AS session_id,
    anyIf(user_id, user_id != '') AS user_id,
    arrayDistinct(arrayFlatten(groupArray(tags))) AS tags,
    count() AS span_count,
    countIf(status = 'error') AS error_count,
    countIf(kind IN ('llm', 'embedding') AND counted AND duplicate_of = '') AS llm_calls,
    groupUniqArrayIf(model, model != '') AS models,
    groupUniqArrayIf(provider, provider != '') AS providers,
    sumIf(tokens_total, counted) AS total_tokens,
    sumIf(tokens_input + tokens_cache_read + tokens_cache_write + tokens_input_audio, counted) AS input_tokens,
    sumIf(tokens_output + tokens_reasoning + tokens_output_audio, counted) AS output_tokens,
    sumIf(cost_nano, counted) AS cost_nano,
    countIf(usage_known AND cost_nano IS NULL AND counted) = 0 AS cost_known,
    min(ttft_ns) / 1e6 AS ttft_ms,
    argMin(input_preview, (NOT is_root, start)) AS input_preview,
    argMin(output_preview, (NOT is_root, start)) AS output_preview,
    argMin(span_id, (NOT is_root, start)) AS root_span_id,
    anyIf(release, release != '') AS release,
    argMin(source, (NOT is_root, start)) AS source
"""

_SPAN_SUMMARY = """
    trace_id, span_id, parent_span_id, name, kind, start AS start_time, duration_ns / 1e6 AS duration_ms, status,
    error_class, model, tokens_total AS total_tokens, cost_nano, source, is_root, ttft_ns / 1e6 AS ttft_ms, counted,
    duplicate_of, match
"""

MEASURES: Mapping[str, str] = {
    "count": "count()",
    "calls": "countIf(kind IN ('llm', 'embedding') AND counted AND duplicate_of = '')",
    "errors": "countIf(status = 'error')",
    "error_rate": "countIf(status = 'error') / count()",
    "latency_p50": "quantile(0.5)(duration_ns) / 1e6",
    "latency_p95": "quantile(0.95)(duration_ns) / 1e6",
    "latency_p99": "quantile(0.99)(duration_ns) / 1e6",
    "latency_avg": "avg(duration_ns) / 1e6",
    "ttft_p50": "quantile(0.5)(ttft_ns) / 1e6",
    "ttft_p95": "quantile(0.95)(ttft_ns) / 1e6",
    "ttft_p99": "quantile(0.99)(ttft_ns) / 1e6",
    "input_tokens": "sumIf(tokens_input + tokens_cache_read + tokens_cache_write + tokens_input_audio, counted)",
    "output_tokens": "sumIf(tokens_output + tokens_reasoning + tokens_output_audio, counted)",
    "cached_tokens": "sumIf(tokens_cache_read, counted)",
    "total_tokens": "sumIf(tokens_total, counted)",
    "cost_usd": "sumIf(cost_nano, counted)",
    "unpriced": "countIf(usage_known AND cost_nano IS NULL AND counted)",
    "traces": "uniqExact(trace_id)",
}
DIMENSIONS = frozenset(
    {"model", "model_requested", "provider", "status", "error_class", "environment", "kind", "name", "source", "app"}
    | {"release", "user_id", "session_id", "api_key_id", "connection_id", "service", "finish_reason", "prompt_name"}
    | {"prompt_version", "version", "cache_status"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which spans a query is about. `start` inclusive, `end` exclusive."""

    project_id: str
    start: datetime | None = None
    end: datetime | None = None
    environment: str = ""
    search: str = ""
    condition: Condition = field(default_factory=lambda: Condition("1", {}))

    @property
    def is_narrow(self) -> bool:
        """Whether more has to be read than is found."""
        return bool(self.search or self.environment or self.condition.params)

    def where(self) -> tuple[str, dict[str, Any]]:
        """The WHERE clause and its parameters."""
        parts = ["project_id = {project:String}", self.condition.sql]
        params: dict[str, Any] = {"project": self.project_id, **self.condition.params}
        if self.start is not None:
            parts.append("start >= {from:DateTime64(9, 'UTC')}")
            params["from"] = self.start
        if self.end is not None:
            parts.append("start < {to:DateTime64(9, 'UTC')}")
            params["to"] = self.end
        if self.environment:
            parts.append("environment = {environment:String}")
            params["environment"] = self.environment
        if self.search:
            parts.append(
                "(positionCaseInsensitiveUTF8(input, {search:String}) > 0"
                " OR positionCaseInsensitiveUTF8(output, {search:String}) > 0"
                " OR positionCaseInsensitiveUTF8(name, {search:String}) > 0"
                " OR positionCaseInsensitiveUTF8(status_message, {search:String}) > 0"
                " OR trace_id = {search:String} OR span_id = {search:String})"
            )
            params["search"] = self.search
        return " AND ".join(parts), params


# A result's column may have the name of the column it is made of. What reads little is done before threads have met.
_BY_COLUMN = "SETTINGS prefer_column_name_to_alias = 1, max_threads = 1"
_SMALL = "SETTINGS max_threads = 1"

_WITHIN = "start >= {range_first:DateTime64(9, 'UTC')} AND start <= {range_last:DateTime64(9, 'UTC')}"


def _range(times: Iterable[Times]) -> dict[str, str]:
    """The parameters of `_WITHIN` that take in these traces; none of them when there are none."""
    known = list(times)
    if not known:
        return {"range_first": "1970-01-02 00:00:00", "range_last": "1970-01-01 00:00:00"}
    return {
        "range_first": _plain(min(one.first for one in known)),
        "range_last": _plain(max(one.last for one in known)),
    }


def _plain(time: str) -> str:
    """A time of a result as a parameter: no T and no Z."""
    return time.replace("T", " ").removesuffix("Z")


class Times(NamedTuple):
    """When a trace was: the starts of its first and last spans, as the store writes them."""

    trace_id: str
    first: str
    last: str


class SpanStore:
    """The queries over spans."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def traces(self, scope: Scope, *, limit: int, before: tuple[str, str] | None) -> list[dict[str, Any]]:
        """Summaries of the traces with a matching span, newest first, from the position `before`: the first matching
        span's start, and the id, of the last one seen."""
        found = await self._newest_traces(scope, limit, before)
        if not found:
            return []
        ids = [trace_id for trace_id, _ in found]
        times = await self._times(scope.project_id, ids)
        rows = await self._telemetry.query(
            f"SELECT {_SUMMARY} FROM spans WHERE project_id = {{project:String}} AND {_WITHIN}"  # noqa: S608
            f" AND trace_id IN {{ids:Array(String)}} GROUP BY trace_id {_BY_COLUMN}",
            {"project": scope.project_id, "ids": ids, **_range(times.values())},
        )
        by_id = {row["trace_id"]: row for row in rows}
        return [{**by_id[trace_id], "position": at} for trace_id, at in found if trace_id in by_id]

    async def _newest_traces(self, scope: Scope, limit: int, before: tuple[str, str] | None) -> list[tuple[str, str]]:
        """Ids and positions of the first `limit` traces. Looks at the newest matching spans, which the order of the
        table gives without reading the rest, and at more of them only while they are of too few traces."""
        where, params = scope.where()
        if before is not None:
            where += " AND (start, trace_id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        for look in (20 * limit, 400 * limit):
            rows = await self._telemetry.query(
                f"SELECT trace_id, start FROM spans WHERE {where}"  # noqa: S608
                f" ORDER BY start DESC, trace_id DESC LIMIT {{look:UInt32}} {'' if scope.is_narrow else _SMALL}",
                {**params, "look": look},
            )
            seen: dict[str, str] = {row["trace_id"]: row["start"] for row in rows}
            ranked = sorted(seen.items(), key=lambda one: (one[1], one[0]), reverse=True)
            if len(rows) < look:
                return ranked[:limit]
            if len(found := await self._settled(scope, where, params, ranked, rows[-1]["start"], limit)) == limit:
                return found
        rows = await self._telemetry.query(
            f"SELECT trace_id, min(start) AS at FROM spans WHERE {where} GROUP BY trace_id"  # noqa: S608
            " ORDER BY at DESC, trace_id DESC LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )
        return [(row["trace_id"], row["at"]) for row in rows]

    async def _settled(
        self,
        scope: Scope,
        where: str,
        params: Mapping[str, Any],
        ranked: Sequence[tuple[str, str]],
        seen_to: str,
        limit: int,
    ) -> list[tuple[str, str]]:
        """Those of the traces that have no matching span at or before `seen_to`, from where on nothing was looked
        at."""
        settled: list[tuple[str, str]] = []
        candidates = [one for one in ranked if one[1] > seen_to]
        for start in range(0, len(candidates), limit):
            some = candidates[start : start + limit]
            times = await self._times(scope.project_id, [trace_id for trace_id, _ in some])
            older = [one for one in times.values() if one.first <= seen_to]
            earlier: set[str] = set()
            if older:
                rows = await self._telemetry.query(
                    f"SELECT DISTINCT trace_id FROM spans WHERE {where} AND {_WITHIN}"  # noqa: S608
                    " AND trace_id IN {ids:Array(String)}",
                    {
                        **params,
                        "ids": [one.trace_id for one in older],
                        "range_first": _plain(min(one.first for one in older)),
                        "range_last": _plain(seen_to),
                    },
                )
                earlier = {row["trace_id"] for row in rows}
            settled += [one for one in some if one[0] not in earlier]
            if len(settled) >= limit:
                break
        return settled[:limit]

    async def _times(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, Times]:
        rows = await self._telemetry.query(
            "SELECT trace_id, min(first) AS first_start, max(last) AS last_start FROM trace_times"  # noqa: S608
            f" WHERE project_id = {{project:String}} AND trace_id IN {{ids:Array(String)}} GROUP BY trace_id {_SMALL}",
            {"project": project_id, "ids": trace_ids},
        )
        return {row["trace_id"]: Times(row["trace_id"], row["first_start"], row["last_start"]) for row in rows}

    async def find_trace(self, project_id: str, trace_id: str) -> Times | None:
        """When a trace was. A trace that was joined to another is found as that one."""
        for _ in range(3):
            rows = await self._telemetry.query(
                "SELECT min(first) AS first_start, max(last) AS last_start, max(moved_to) AS moved, count() AS found"
                " FROM trace_times WHERE project_id = {project:String} AND trace_id = {id:String}",
                {"project": project_id, "id": trace_id},
            )
            if not rows[0]["found"]:
                return None
            if not rows[0]["moved"]:
                return Times(trace_id, rows[0]["first_start"], rows[0]["last_start"])
            trace_id = rows[0]["moved"]
        return None

    async def trace(self, project_id: str, times: Times) -> dict[str, Any] | None:
        """One trace's summary."""
        rows = await self._telemetry.query(
            f"SELECT {_SUMMARY} FROM spans WHERE project_id = {{project:String}} AND {_WITHIN}"  # noqa: S608
            f" AND trace_id = {{id:String}} GROUP BY trace_id {_BY_COLUMN}",
            {"project": project_id, "id": times.trace_id, **_range([times])},
        )
        return rows[0] if rows else None

    async def trace_spans(self, project_id: str, times: Times, *, limit: int) -> list[dict[str, Any]]:
        """Short forms of a trace's spans, in order of time."""
        return await self._telemetry.query(
            f"SELECT {_SPAN_SUMMARY} FROM spans WHERE project_id = {{project:String}} AND {_WITHIN}"  # noqa: S608
            " AND trace_id = {id:String} ORDER BY start, span_id LIMIT {limit:UInt32}",
            {"project": project_id, "id": times.trace_id, "limit": limit, **_range([times])},
        )

    async def spans(self, scope: Scope, *, limit: int, before: tuple[str, str] | None) -> list[dict[str, Any]]:
        """Short forms of matching spans, newest first."""
        where, params = scope.where()
        if before is not None:
            where += " AND (start, span_id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        return await self._telemetry.query(
            f"SELECT {_SPAN_SUMMARY} FROM spans WHERE {where}"  # noqa: S608
            " ORDER BY start DESC, span_id DESC LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )

    async def whole_spans(self, scope: Scope, *, limit: int, before: tuple[str, str] | None) -> list[dict[str, Any]]:
        """Matching spans, whole, the newest first, from the position `before`: the last one's start and id."""
        where, params = scope.where()
        if before is not None:
            where += " AND (start, span_id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        return await self._telemetry.query(
            f"SELECT * FROM spans WHERE {where}"  # noqa: S608
            " ORDER BY start DESC, span_id DESC LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )

    async def span(self, project_id: str, span_id: str, times: Times | None) -> dict[str, Any] | None:
        """One span, whole; sooner found within its trace."""
        where = "project_id = {project:String} AND span_id = {id:String}"
        params: dict[str, Any] = {"project": project_id, "id": span_id}
        if times is not None:
            where += f" AND {_WITHIN} AND trace_id = {{trace:String}}"
            params |= {"trace": times.trace_id, **_range([times])}
        rows = await self._telemetry.query(f"SELECT * FROM spans WHERE {where} LIMIT 1", params)  # noqa: S608
        return rows[0] if rows else None

    async def metrics(
        self, scope: Scope, *, measures: Sequence[str], dimensions: Sequence[str], interval_s: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Measures by time bucket and dimensions; the names have to be of MEASURES and DIMENSIONS."""
        where, params = scope.where()
        groups = [f"toString({name}) AS {name}" for name in dimensions]
        keys = list(dimensions)
        if interval_s is not None:
            groups.insert(0, "toStartOfInterval(start, toIntervalSecond({step:UInt32}), 'UTC') AS time")
            keys.insert(0, "time")
            params["step"] = interval_s
        columns = ", ".join([*groups, *(f"{MEASURES[name]} AS {name}" for name in measures)])
        tail = f" GROUP BY {', '.join(keys)}" if keys else ""
        order = "time" if interval_s is not None else measures[0] + " DESC"
        return await self._telemetry.query(
            f"SELECT {columns} FROM spans WHERE {where}{tail} ORDER BY {order} LIMIT {{limit:UInt32}}",  # noqa: S608
            {**params, "limit": limit},
        )

    async def count(self, project_id: str) -> dict[str, Any]:
        """How many traces and spans can be queried now, exactly."""
        rows = await self._telemetry.query(
            "SELECT (SELECT count() FROM trace_times FINAL WHERE project_id = {project:String} AND moved_to = '') AS traces,"
            " (SELECT count() FROM spans WHERE project_id = {project:String}) AS spans",
            {"project": project_id},
        )
        return rows[0]

    async def groups(self, scope: Scope, *, by: str, limit: int) -> list[dict[str, Any]]:
        """Sessions or end users: what happened under each value of `session_id` or `user_id`."""
        if by not in ("session_id", "user_id"):
            raise ValueError(f"no grouping by {by!r}")
        where, params = scope.where()
        # The ids first: what is told of them is dear, and is wanted for these few only.
        newest = await self._telemetry.query(
            f"SELECT {by} AS id, max(start) AS seen FROM spans WHERE {where} AND {by} != '' GROUP BY {by}"  # noqa: S608
            " ORDER BY seen DESC, id LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )
        if not newest:
            return []
        return await self._telemetry.query(
            f"SELECT {by} AS id, uniqExact(trace_id) AS traces, count() AS spans, min(start) AS first_seen,"  # noqa: S608
            " max(start) AS last_seen, countIf(status = 'error') AS errors, sumIf(tokens_total, counted) AS total_tokens,"
            f" sumIf(cost_nano, counted) AS cost_nano FROM spans WHERE {where} AND {by} IN {{ids:Array(String)}}"
            f" GROUP BY {by} ORDER BY last_seen DESC, id",
            {**params, "ids": [row["id"] for row in newest]},
        )
