"""What is read back, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from octavo_server.core.money import nano_to_usd
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import Page
from octavo_server.traces.routes.params import Cursor, Limit, MetricsOut, instant, names_in
from octavo_server.traces.routes.scores import ScoreOut, score_out
from octavo_server.traces.service import Search, Traces
from octavo_server.traces.service.scores import Scores
from octavo_server.traces.store.scores import ScoreScope

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_NS = 2**63 - 1
_SCORES_OF_A_TRACE = 1000


class UsageOut(BaseModel):
    """Tokens in disjoint buckets."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    input_audio: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    total: int = 0


class TraceSummary(BaseModel):
    """A trace in one line. `cost_usd` is null when no part of it has a known price; `cost_known` is false when some
    part has not."""

    trace_id: str
    name: str
    start_time: datetime
    duration_ms: float
    status: str
    error_class: str
    error_message: str
    environment: str
    session_id: str
    user_id: str
    tags: list[str]
    span_count: int
    error_count: int
    llm_calls: int
    models: list[str]
    providers: list[str]
    total_tokens: int
    input_tokens: int
    output_tokens: int
    cost_usd: str | None
    cost_known: bool
    ttft_ms: float | None
    input_preview: str
    output_preview: str
    root_span_id: str
    release: str
    source: str
    scores: dict[str, float] = {}


class SpanEventOut(BaseModel):
    """Something that happened at one instant of a span."""

    name: str
    time: datetime
    attributes: dict[str, Any]


class SpanSummary(BaseModel):
    """A span in one line. Its usage and cost are in totals when it is `counted`; `duplicate_of` names the gateway's
    record of the same call, and `match` says how it was found: traceparent, response_id or fingerprint."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_time: datetime
    duration_ms: float
    status: str
    error_class: str
    model: str
    total_tokens: int
    cost_usd: str | None
    source: str
    is_root: bool
    ttft_ms: float | None
    counted: bool
    duplicate_of: str
    match: str


class SpanOut(SpanSummary):
    """A span, whole."""

    status_message: str
    level: str
    error_type: str
    environment: str
    service: str
    app: str
    release: str
    version: str
    session_id: str
    user_id: str
    tags: list[str]
    metadata: dict[str, Any]
    provider: str
    connection_id: str
    model_requested: str
    parameters: dict[str, Any]
    streaming: bool
    finish_reason: str
    response_id: str
    input: str
    output: str
    tools: str
    documents: str
    usage: UsageOut | None
    cost_source: str
    cost_details: dict[str, str]
    attempts: int
    cache_status: str
    api_key_id: str
    request_id: str
    captured: str
    prompt_name: str
    prompt_version: str
    usage_extra: dict[str, int]
    otel_kind: int
    scope_name: str
    scope_version: str
    links: list[dict[str, Any]]
    resource: dict[str, Any]
    attributes: dict[str, Any]
    events: list[SpanEventOut]


class TraceOut(BaseModel):
    """A trace, its spans in order of time, its scores."""

    trace: TraceSummary
    spans: list[SpanSummary]
    scores: list[ScoreOut]


class CountOut(BaseModel):
    """What can be queried now, exactly."""

    traces: int
    spans: int


class GroupOut(BaseModel):
    """What happened under one session or end user."""

    id: str
    traces: int
    spans: int
    first_seen: datetime
    last_seen: datetime
    errors: int
    total_tokens: int
    cost_usd: str | None


def _search(
    start: Annotated[
        str, Query(alias="from", max_length=64, description="ISO 8601, or relative: -15m, -24h, -7d")
    ] = "",
    end: Annotated[str, Query(alias="to", max_length=64, description="ISO 8601, or relative")] = "",
    filter: Annotated[str, Query(max_length=4000, description="Filter language, see docs/reference/filters.md")] = "",
    search: Annotated[
        str, Query(max_length=500, description="Text in inputs, outputs, names or errors; or an id")
    ] = "",
    environment: Annotated[str, Query(max_length=40)] = "",
) -> Search:
    return Search(
        start=instant(start, "from"), end=instant(end, "to"), filter=filter, search=search, environment=environment
    )


Searched = Annotated[Search, Depends(_search)]


def build_router(traces: Traces, scores: Scores) -> APIRouter:
    """Routes of the traces room."""
    router = APIRouter(tags=["traces"])

    @router.get("/traces", **allows(Permission.TRACES_READ))
    async def list_traces(
        caller: Caller,
        search: Searched,
        limit: Limit = 50,
        cursor: Cursor = "",
        with_scores: Annotated[bool, Query(description="Tell the mean of each score too")] = False,
    ) -> Page[TraceSummary]:
        """Traces that have a matching span, newest first."""
        page = await traces.list_traces(caller.project, search, limit=limit, cursor=cursor)
        ids = [row["trace_id"] for row in page.rows] if with_scores else []
        means = await scores.means(caller.project, ids)
        data = [_trace({**row, "scores": means.get(row["trace_id"], {})}) for row in page.rows]
        return Page(data=data, next_cursor=page.next_cursor)

    @router.get(
        "/traces/export",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/x-ndjson": {}}, "description": "A span a line, as GET /spans/{id}."}},
        **allows(Permission.TRACES_READ),
    )
    async def export_spans(caller: Caller, search: Searched) -> StreamingResponse:
        """All spans that match, whole, as lines of JSON, the newest first."""
        search.scope(caller.project)  # what is wrong with the filter is told before the answer begins
        pages = traces.export_spans(caller.project, search)

        async def lines() -> AsyncIterator[bytes]:
            async for rows in pages:
                yield b"".join([_span(row).model_dump_json().encode() + b"\n" for row in rows])

        headers = {"content-disposition": 'attachment; filename="spans.jsonl"'}
        return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)

    @router.get("/traces/{trace_id}", **allows(Permission.TRACES_READ))
    async def read_trace(caller: Caller, trace_id: str) -> TraceOut:
        """A trace with its spans in order of time (short forms; read a span for the rest)."""
        summary, spans = await traces.read_trace(caller.project, trace_id)
        scope = ScoreScope(trace_ids=list({trace_id, summary["trace_id"]}))
        found = await scores.find(caller.project, scope, limit=_SCORES_OF_A_TRACE)
        return TraceOut(
            trace=_trace(summary),
            spans=[_span_summary(row) for row in spans],
            scores=[score_out(row) for row in found.rows],
        )

    @router.get("/spans", **allows(Permission.TRACES_READ))
    async def list_spans(caller: Caller, search: Searched, limit: Limit = 50, cursor: Cursor = "") -> Page[SpanSummary]:
        """Matching spans, newest first."""
        page = await traces.list_spans(caller.project, search, limit=limit, cursor=cursor)
        return Page(data=[_span_summary(row) for row in page.rows], next_cursor=page.next_cursor)

    @router.get("/spans/{span_id}", **allows(Permission.TRACES_READ))
    async def read_span(caller: Caller, span_id: str, trace_id: Annotated[str, Query(max_length=200)] = "") -> SpanOut:
        """A span, whole."""
        return _span(await traces.read_span(caller.project, span_id, trace_id))

    @router.get("/metrics", **allows(Permission.TRACES_READ))
    async def query_metrics(
        caller: Caller,
        search: Searched,
        measures: Annotated[str, Query(max_length=1000, description="Comma-separated")] = "count",
        dimensions: Annotated[str, Query(max_length=1000, description="Comma-separated")] = "",
        interval: Annotated[str, Query(max_length=40, description="auto, none, minute, hour, day, …")] = "auto",
    ) -> MetricsOut:
        """Measures over the matching spans, by time bucket and dimensions."""
        wanted, by = names_in(measures), names_in(dimensions)
        rows, interval_s = await traces.metrics(
            caller.project, search, measures=wanted, dimensions=by, interval=interval
        )
        for row in rows:
            if "cost_usd" in row:
                row["cost_usd"] = _usd(row["cost_usd"])
        return MetricsOut(
            columns=[*(["time"] if interval_s is not None else []), *by, *wanted], rows=rows, interval_s=interval_s
        )

    @router.get("/metrics/count", **allows(Permission.TRACES_READ))
    async def count_stored(caller: Caller) -> CountOut:
        """How many traces and spans can be queried now, exactly."""
        return CountOut(**await traces.count(caller.project))

    @router.get("/sessions", **allows(Permission.TRACES_READ))
    async def list_sessions(caller: Caller, search: Searched, limit: Limit = 100) -> Page[GroupOut]:
        """Sessions, those seen last first."""
        rows = await traces.groups(caller.project, search, by="session_id", limit=limit)
        return Page(data=[_group(row) for row in rows])

    @router.get("/end-users", **allows(Permission.TRACES_READ))
    async def list_end_users(caller: Caller, search: Searched, limit: Limit = 100) -> Page[GroupOut]:
        """The application's users, those seen last first."""
        rows = await traces.groups(caller.project, search, by="user_id", limit=limit)
        return Page(data=[_group(row) for row in rows])

    return router


def _usd(nano: int | None) -> str | None:
    return None if nano is None else f"{nano_to_usd(nano):f}"


def _trace(row: dict[str, Any]) -> TraceSummary:
    return TraceSummary(**{**row, "cost_usd": _usd(row["cost_nano"])})


def _span_summary(row: dict[str, Any]) -> SpanSummary:
    return SpanSummary(**{**row, "cost_usd": _usd(row["cost_nano"])})


def _group(row: dict[str, Any]) -> GroupOut:
    return GroupOut(**{**row, "cost_usd": _usd(row["cost_nano"])})


def _span(row: dict[str, Any]) -> SpanOut:
    usage = None
    if row["usage_known"]:
        buckets = {name: row[f"tokens_{name}"] for name in UsageOut.model_fields}
        usage = UsageOut(**buckets)
    ttft = row["ttft_ns"]
    return SpanOut(
        **{
            **row,
            "start_time": row["start"],
            "duration_ms": row["duration_ns"] / 1e6,
            "total_tokens": row["tokens_total"],
            "cost_usd": _usd(row["cost_nano"]),
            "usage": usage,
            "ttft_ms": None if ttft is None else ttft / 1e6,
            "metadata": _json(row["metadata"], {}),
            "parameters": _json(row["parameters"], {}),
            "resource": _json(row["resource"], {}),
            "usage_extra": _json(row["usage_extra"], {}),
            "links": _json(row["links"], []),
            "attributes": _attributes(row),
            "cost_details": {name: _usd(nano) for name, nano in _json(row["cost_details"], {}).items()},
            "events": [
                SpanEventOut(
                    name=event["name"],
                    time=_at(event["time_ns"]),
                    attributes=event.get("attributes", {}),
                )
                for event in _json(row["events"], [])
            ],
        }
    )


def _at(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(time_ns, _LATEST_NS) // 1000)


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    """All that the client sent, with the two texts that the store keeps once."""
    attributes: dict[str, Any] = _json(row["attributes"], {})
    for column in ("input", "output"):
        if name := row[f"{column}_from"]:
            attributes[name] = row[column]
    return attributes


def _json(text: str, otherwise: Any) -> Any:
    return orjson.loads(text) if text else otherwise
