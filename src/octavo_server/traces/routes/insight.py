"""Failures, critical paths and differences, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from octavo_server.core.money import nano_to_usd
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import Page
from octavo_server.traces.routes.params import Cursor, Limit
from octavo_server.traces.routes.reading import Searched
from octavo_server.traces.service.insight import Insight

_TraceId = Annotated[str, Path(max_length=200)]


class FailureExample(BaseModel):
    """The newest of its kind."""

    trace_id: str
    span_id: str
    message: str


class FailureOut(BaseModel):
    """Failures that are the same: class, place, and message but for its numbers and names. `is_new`: there was none
    before the time asked for, as far back as spans are kept. `series`: how many in the `interval_s` after each time."""

    signature: str
    error_class: str
    title: str
    example: FailureExample
    count: int
    traces: int
    users: int
    models: list[str]
    first_seen: datetime
    last_seen: datetime
    is_new: bool
    series: list[tuple[datetime, int]]
    interval_s: int


class Share(BaseModel):
    """How many of a failure have this value."""

    value: str
    count: int


class FailureDetail(FailureOut):
    """A failure, and how it is spread."""

    breakdown: dict[str, list[Share]]


class PathStepOut(BaseModel):
    """A step that the trace waited for: `own_ns` is the time that it alone accounts for, `share` its part of all."""

    span_id: str
    name: str
    kind: str
    own_ns: int
    share: float


class CriticalPathOut(BaseModel):
    """The steps of the critical path in order of time; `owner` is the one with the greatest share."""

    total_ns: int
    steps: list[PathStepOut]
    owner: str


class LatencyOwner(BaseModel):
    """Steps of one name and kind, and their part of the critical paths of the newest traces (500 at most)."""

    name: str
    kind: str
    own_ms: float
    share: float
    traces: int
    own_ms_per_trace: float


class DiffedSpan(BaseModel):
    """A span as a difference shows it."""

    span_id: str
    name: str
    kind: str
    duration_ms: float
    model: str
    status: str
    total_tokens: int
    cost_usd: str | None


class SpanPair(BaseModel):
    """A span and the one in its place in the other trace: same, changed (in `fields`), added or removed."""

    change: str
    left: DiffedSpan | None
    right: DiffedSpan | None
    fields: list[str]


class Change(BaseModel):
    """A total of both traces."""

    left: float | str | None
    right: float | str | None


class TraceDiff(BaseModel):
    """Two traces side by side: their totals, and their spans."""

    summary: dict[str, Change]
    spans: list[SpanPair]


def build_insight_router(insight: Insight) -> APIRouter:
    """Routes of failures and latency."""
    router = APIRouter(tags=["traces"])

    @router.get("/failures", **allows(Permission.TRACES_READ))
    async def list_failures(
        caller: Caller, search: Searched, limit: Limit = 50, cursor: Cursor = ""
    ) -> Page[FailureOut]:
        """Failures by signature, the most frequent first; of the last day unless `from` says otherwise."""
        page = await insight.failures(caller.project, search, limit=limit, cursor=cursor)
        return Page(data=[FailureOut(**_failure(row)) for row in page.rows], next_cursor=page.next_cursor)

    @router.get("/failures/{signature}", **allows(Permission.TRACES_READ))
    async def read_failure(
        caller: Caller, search: Searched, signature: Annotated[str, Path(max_length=64)]
    ) -> FailureDetail:
        """One failure and how it is spread over models, providers, environments and releases."""
        row, breakdown = await insight.failure(caller.project, search, signature)
        return FailureDetail(**_failure(row), breakdown=breakdown)

    @router.get("/traces/{trace_id}/critical-path", **allows(Permission.TRACES_READ))
    async def read_critical_path(caller: Caller, trace_id: _TraceId) -> CriticalPathOut:
        """Which steps a trace waited for."""
        steps = await insight.critical_path(caller.project, trace_id)
        owner = max(steps, key=lambda step: step.own_ns, default=None)
        return CriticalPathOut(
            total_ns=sum(step.own_ns for step in steps),
            steps=[PathStepOut(**step._asdict()) for step in steps],
            owner=owner.span_id if owner else "",
        )

    @router.get("/latency/owners", **allows(Permission.TRACES_READ))
    async def list_latency_owners(caller: Caller, search: Searched) -> Page[LatencyOwner]:
        """Whose latency it was: steps by name and kind with their part of all critical paths."""
        return Page(data=[LatencyOwner(**row) for row in await insight.latency_owners(caller.project, search)])

    @router.get("/traces/{trace_id}/diff/{other_id}", **allows(Permission.TRACES_READ))
    async def diff_traces(caller: Caller, trace_id: _TraceId, other_id: _TraceId) -> TraceDiff:
        """What differs between two traces."""
        found = await insight.diff(caller.project, trace_id, other_id)
        return TraceDiff(
            summary={
                name: Change(left=_total(found.left, field), right=_total(found.right, field))
                for name, field in (
                    ("duration_ms", "duration_ms"),
                    ("total_tokens", "total_tokens"),
                    ("cost_usd", "cost_nano"),
                    ("span_count", "span_count"),
                    ("error_count", "error_count"),
                    ("status", "status"),
                )
            },
            spans=[
                SpanPair(change=pair.change, left=_span(pair.left), right=_span(pair.right), fields=list(pair.fields))
                for pair in found.spans
            ],
        )

    return router


def _failure(row: dict[str, Any]) -> dict[str, Any]:
    message = row["message"]
    said = message.partition("\n")[0][:200] or row["type"] or row["class"]
    return {
        **row,
        "error_class": row["class"],
        "title": f"{row['span_name']}: {said}",
        "example": FailureExample(trace_id=row["example_trace"], span_id=row["example_span"], message=message[:2000]),
        "first_seen": row["first"],
        "last_seen": row["last"],
    }


def _span(row: Any) -> DiffedSpan | None:
    return None if row is None else DiffedSpan(**{**row, "cost_usd": _usd(row["cost_nano"])})


def _total(summary: dict[str, Any], field: str) -> float | str | None:
    value: float | str | None = summary[field]
    return _usd(summary[field]) if field == "cost_nano" else value


def _usd(nano: int | None) -> str | None:
    return None if nano is None else f"{nano_to_usd(nano):f}"
