"""The spans in the telemetry store: one table, and the queries over it. Everything is bound to one project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from octavo_server.stores.telemetry import Telemetry
from octavo_server.traces.filter import Condition
from octavo_server.traces.model import Span, Usage

_TOKEN_COLUMNS = ("input", "cache_read", "cache_write", "input_audio", "output", "reasoning", "output_audio")

MIGRATIONS: Sequence[tuple[str, str]] = [
    (
        "traces-1",
        """
        CREATE TABLE IF NOT EXISTS spans (
            project_id LowCardinality(String),
            trace_id String CODEC(ZSTD(1)),
            span_id String CODEC(ZSTD(1)),
            parent_span_id String CODEC(ZSTD(1)),
            name LowCardinality(String),
            trace_name LowCardinality(String),
            kind LowCardinality(String),
            source LowCardinality(String),
            start DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
            duration_ns UInt64 CODEC(T64, ZSTD(1)),
            is_root UInt8,
            status LowCardinality(String),
            status_message String CODEC(ZSTD(1)),
            level LowCardinality(String),
            error_type LowCardinality(String),
            error_class LowCardinality(String),
            environment LowCardinality(String),
            service LowCardinality(String),
            app LowCardinality(String),
            release LowCardinality(String),
            version LowCardinality(String),
            session_id String CODEC(ZSTD(1)),
            user_id String CODEC(ZSTD(1)),
            tags Array(LowCardinality(String)),
            metadata String CODEC(ZSTD(1)),
            provider LowCardinality(String),
            connection_id LowCardinality(String),
            model_requested LowCardinality(String),
            model LowCardinality(String),
            parameters String CODEC(ZSTD(1)),
            streaming UInt8,
            finish_reason LowCardinality(String),
            response_id String CODEC(ZSTD(1)),
            input String CODEC(ZSTD(3)),
            output String CODEC(ZSTD(3)),
            input_preview String CODEC(ZSTD(1)),
            output_preview String CODEC(ZSTD(1)),
            tools String CODEC(ZSTD(3)),
            documents String CODEC(ZSTD(3)),
            usage_known UInt8,
            tokens_input UInt64 CODEC(T64, ZSTD(1)),
            tokens_cache_read UInt64 CODEC(T64, ZSTD(1)),
            tokens_cache_write UInt64 CODEC(T64, ZSTD(1)),
            tokens_input_audio UInt64 CODEC(T64, ZSTD(1)),
            tokens_output UInt64 CODEC(T64, ZSTD(1)),
            tokens_reasoning UInt64 CODEC(T64, ZSTD(1)),
            tokens_output_audio UInt64 CODEC(T64, ZSTD(1)),
            tokens_total UInt64 CODEC(T64, ZSTD(1)),
            usage_extra String CODEC(ZSTD(1)),
            cost_nano Nullable(Int64),
            cost_source LowCardinality(String),
            cost_details String CODEC(ZSTD(1)),
            ttft_ns Nullable(UInt64),
            attempts UInt16,
            cache_status LowCardinality(String),
            api_key_id LowCardinality(String),
            prompt_name LowCardinality(String),
            prompt_version LowCardinality(String),
            request_id String CODEC(ZSTD(1)),
            captured LowCardinality(String),
            otel_kind UInt8,
            flags UInt32,
            trace_state String CODEC(ZSTD(1)),
            scope_name LowCardinality(String),
            scope_version LowCardinality(String),
            scope_attributes String CODEC(ZSTD(1)),
            resource String CODEC(ZSTD(1)),
            attributes String CODEC(ZSTD(1)),
            events String CODEC(ZSTD(1)),
            links String CODEC(ZSTD(1)),
            retention_days UInt16,
            INDEX trace_id_bloom trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
            INDEX session_bloom session_id TYPE bloom_filter(0.01) GRANULARITY 4,
            INDEX user_bloom user_id TYPE bloom_filter(0.01) GRANULARITY 4
        ) ENGINE = MergeTree
        PARTITION BY toYYYYMM(start)
        ORDER BY (project_id, start, trace_id)
        TTL toDateTime(start) + toIntervalDay(retention_days)
        SETTINGS non_replicated_deduplication_window = 1000
        """,
    ),
]

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
    countIf(kind IN ('llm', 'embedding')) AS llm_calls,
    groupUniqArrayIf(model, model != '') AS models,
    groupUniqArrayIf(provider, provider != '') AS providers,
    sum(tokens_total) AS total_tokens,
    sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_input_audio) AS input_tokens,
    sum(tokens_output + tokens_reasoning + tokens_output_audio) AS output_tokens,
    sum(cost_nano) AS cost_nano,
    countIf(usage_known AND cost_nano IS NULL) = 0 AS cost_known,
    min(ttft_ns) / 1e6 AS ttft_ms,
    argMin(input_preview, (NOT is_root, start)) AS input_preview,
    argMin(output_preview, (NOT is_root, start)) AS output_preview,
    argMin(span_id, (NOT is_root, start)) AS root_span_id,
    any(release) AS release
"""

_SPAN_SUMMARY = """
    trace_id, span_id, parent_span_id, name, kind, start AS start_time, duration_ns / 1e6 AS duration_ms, status,
    error_class, model, tokens_total AS total_tokens, cost_nano
"""

MEASURES: Mapping[str, str] = {
    "count": "count()",
    "errors": "countIf(status = 'error')",
    "error_rate": "countIf(status = 'error') / count()",
    "latency_p50": "quantile(0.5)(duration_ns) / 1e6",
    "latency_p95": "quantile(0.95)(duration_ns) / 1e6",
    "latency_p99": "quantile(0.99)(duration_ns) / 1e6",
    "latency_avg": "avg(duration_ns) / 1e6",
    "ttft_p50": "quantile(0.5)(ttft_ns) / 1e6",
    "ttft_p95": "quantile(0.95)(ttft_ns) / 1e6",
    "ttft_p99": "quantile(0.99)(ttft_ns) / 1e6",
    "input_tokens": "sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_input_audio)",
    "output_tokens": "sum(tokens_output + tokens_reasoning + tokens_output_audio)",
    "cached_tokens": "sum(tokens_cache_read)",
    "total_tokens": "sum(tokens_total)",
    "cost_usd": "sum(cost_nano)",
    "unpriced": "countIf(usage_known AND cost_nano IS NULL)",
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


# A result's column may have the name of the column it is made of.
_BY_COLUMN = {"prefer_column_name_to_alias": 1}


class SpanStore:
    """The queries over spans."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def insert(self, spans: Iterable[tuple[Span, int]], *, token: str) -> int:
        """Spans with their retention in days. Again under the same token it changes nothing."""
        return await self._telemetry.insert("spans", (_row(span, days) for span, days in spans), token=token)

    async def delete_older(self, project_id: str, before: datetime) -> int:
        """Deletes the project's spans that began before this, and says how many there were. The table's TTL does this
        by itself for the days that held when a span came; this is for days that were shortened since."""
        about = {"project": project_id, "before": before}
        where = "project_id = {project:String} AND start < {before:DateTime64(9, 'UTC')}"
        found = await self._telemetry.query(f"SELECT count() AS spans FROM spans WHERE {where}", about)  # noqa: S608
        if found[0]["spans"]:
            await self._telemetry.execute(f"DELETE FROM spans WHERE {where}", about)  # noqa: S608
        return int(found[0]["spans"])

    async def traces(self, scope: Scope, *, limit: int, before: tuple[str, str] | None) -> list[dict[str, Any]]:
        """Summaries of the traces with a matching span, newest first, from the position `before`: the start and id of
        the last one seen."""
        where, params = scope.where()
        having = "1"
        if before is not None:
            having = "(first, trace_id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        found = await self._telemetry.query(
            f"SELECT trace_id, min(start) AS first FROM spans WHERE {where} GROUP BY trace_id HAVING {having}"  # noqa: S608
            " ORDER BY first DESC, trace_id DESC LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )
        if not found:
            return []
        rows = await self._telemetry.query(
            f"SELECT {_SUMMARY} FROM spans WHERE project_id = {{project:String}}"  # noqa: S608
            " AND trace_id IN {ids:Array(String)} GROUP BY trace_id",
            {"project": scope.project_id, "ids": [row["trace_id"] for row in found]},
            settings=_BY_COLUMN,
        )
        by_id = {row["trace_id"]: row for row in rows}
        return [{**by_id[row["trace_id"]], "position": row["first"]} for row in found if row["trace_id"] in by_id]

    async def trace(self, project_id: str, trace_id: str) -> dict[str, Any] | None:
        """One trace's summary."""
        rows = await self._telemetry.query(
            f"SELECT {_SUMMARY} FROM spans WHERE project_id = {{project:String}}"  # noqa: S608
            " AND trace_id = {id:String} GROUP BY trace_id",
            {"project": project_id, "id": trace_id},
            settings=_BY_COLUMN,
        )
        return rows[0] if rows else None

    async def trace_spans(self, project_id: str, trace_id: str, *, limit: int) -> list[dict[str, Any]]:
        """Short forms of a trace's spans, in order of time."""
        return await self._telemetry.query(
            f"SELECT {_SPAN_SUMMARY} FROM spans WHERE project_id = {{project:String}}"  # noqa: S608
            " AND trace_id = {id:String} ORDER BY start, span_id LIMIT {limit:UInt32}",
            {"project": project_id, "id": trace_id, "limit": limit},
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

    async def span(self, project_id: str, span_id: str, trace_id: str) -> dict[str, Any] | None:
        """One span, whole."""
        where = "project_id = {project:String} AND span_id = {id:String}"
        params = {"project": project_id, "id": span_id}
        if trace_id:
            where += " AND trace_id = {trace:String}"
            params["trace"] = trace_id
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
            "SELECT uniqExact(trace_id) AS traces, count() AS spans FROM spans WHERE project_id = {project:String}",
            {"project": project_id},
        )
        return rows[0]

    async def groups(self, scope: Scope, *, by: str, limit: int) -> list[dict[str, Any]]:
        """Sessions or end users: what happened under each value of `session_id` or `user_id`."""
        if by not in ("session_id", "user_id"):
            raise ValueError(f"no grouping by {by!r}")
        where, params = scope.where()
        return await self._telemetry.query(
            f"SELECT {by} AS id, uniqExact(trace_id) AS traces, count() AS spans, min(start) AS first_seen,"  # noqa: S608
            " max(start) AS last_seen, countIf(status = 'error') AS errors, sum(tokens_total) AS total_tokens,"
            f" sum(cost_nano) AS cost_nano FROM spans WHERE {where} AND {by} != '' GROUP BY {by}"
            " ORDER BY last_seen DESC LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )


def _row(span: Span, retention_days: int) -> dict[str, Any]:
    usage = span.usage or Usage()
    row = {
        "project_id": span.project_id,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "name": span.name,
        "trace_name": span.trace_name,
        "kind": span.kind.value,
        "source": span.source,
        "start": _time(span.start_ns),
        "duration_ns": max(0, span.end_ns - span.start_ns),
        "is_root": int(span.is_root),
        "status": span.status,
        "status_message": span.status_message,
        "level": span.level,
        "error_type": span.error_type,
        "error_class": span.error_class,
        "environment": span.environment,
        "service": span.service,
        "app": span.app,
        "release": span.release,
        "version": span.version,
        "session_id": span.session_id,
        "user_id": span.user_id,
        "tags": span.tags,
        "metadata": _json(span.metadata),
        "provider": span.provider,
        "connection_id": span.connection_id,
        "model_requested": span.model_requested,
        "model": span.model,
        "parameters": _json(span.parameters),
        "streaming": int(span.streaming),
        "finish_reason": span.finish_reason,
        "response_id": span.response_id,
        "input": span.input,
        "output": span.output,
        "input_preview": span.input_preview,
        "output_preview": span.output_preview,
        "tools": span.tools,
        "documents": span.documents,
        "usage_known": int(span.usage is not None),
        "tokens_total": usage.total,
        "usage_extra": _json(span.usage_extra),
        "cost_nano": span.cost_nano,
        "cost_source": span.cost_source,
        "cost_details": _json(span.cost_details),
        "ttft_ns": span.ttft_ns,
        "attempts": span.attempts,
        "cache_status": span.cache_status,
        "api_key_id": span.api_key_id,
        "prompt_name": span.prompt_name,
        "prompt_version": span.prompt_version,
        "request_id": span.request_id,
        "captured": span.captured.value,
        "otel_kind": span.otel_kind,
        "flags": span.flags,
        "trace_state": span.trace_state,
        "scope_name": span.scope_name,
        "scope_version": span.scope_version,
        "scope_attributes": _json(span.scope_attributes),
        "resource": _json(span.resource),
        "attributes": _json(span.attributes),
        "events": _json([{"name": e.name, "time_ns": e.time_ns, "attributes": e.attributes} for e in span.events]),
        "links": _json(
            [{"trace_id": one.trace_id, "span_id": one.span_id, "attributes": one.attributes} for one in span.links]
        ),
        "retention_days": retention_days,
    }
    for name in _TOKEN_COLUMNS:
        row[f"tokens_{name}"] = getattr(usage, name)
    return row


def _time(ns: int) -> str:
    """ISO 8601 with nanoseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode() if value else ""
