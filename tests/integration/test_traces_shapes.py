"""Traces of every shape through the ingest into the store: however their spans come, the same is stored, and counted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.traces.test_traces_ingest import PROJECT, Room, agent, llm, trace
from tests.unit.traces.spans import START_NS

from octavo_server.costs.runtime import PriceBook, ShippedTable, normalise_usage
from octavo_server.stores.telemetry import migrate
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.traces.model import ProjectRules
from octavo_server.traces.service import TraceIngest, Traces
from octavo_server.traces.store import MIGRATIONS, SpanStore, SpanWriter
from octavo_server.traces.store.scores import ScoreStore

SECOND = 1_000_000_000
Sent = dict[str, Any]


def open_room(engine: EmbeddedTelemetry) -> Room:
    """A worker that has just started."""
    rules = {PROJECT: ProjectRules(retention_days=60_000)}
    ingest = TraceIngest(
        SpanWriter(engine),
        ScoreStore(engine),
        normalise=normalise_usage,
        rules=lambda: rules,
        price=PriceBook({}, ShippedTable()).price_span,
    )
    return Room(ingest, Traces(SpanStore(engine), lambda: datetime(2026, 6, 1, tzinfo=UTC)), engine)


@pytest.fixture
async def room(empty_chdb: EmbeddedTelemetry) -> AsyncIterator[Room]:
    await migrate(empty_chdb, MIGRATIONS)
    yield open_room(empty_chdb)


def step(number: int, parent: int, *, tokens: int, start_s: int, end_s: int, wraps: bool) -> Sent:
    made = agent(number, parent=parent, tokens=tokens) if wraps else llm(number, parent=parent, tokens=tokens)
    return {
        **made,
        "start_time_unix_nano": START_NS + start_s * SECOND + number,
        "end_time_unix_nano": START_NS + end_s * SECOND + SECOND // 2 - number,
    }


@st.composite
def trees(draw: st.DrawFn) -> list[Sent]:
    """Spans of one trace, each within its parent's time; parents may be missing."""
    spans: list[Sent] = []
    times: dict[int, tuple[int, int]] = {0: (0, 100), 99: (0, 100)}
    for number in range(1, draw(st.integers(1, 7)) + 1):
        parent = draw(st.sampled_from([*times]))
        first, last = times[parent]
        start = draw(st.integers(first, last))
        end = draw(st.integers(start, last))
        tokens = draw(st.sampled_from([0, 1, 10, 100]))
        spans.append(step(number, parent, tokens=tokens, start_s=start, end_s=end, wraps=draw(st.booleans())))
        times[number] = (start, end)
    return spans


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Sent], list[list[Sent]]]:
    """A trace, and its spans in batches of any order, some of them twice."""
    spans = draw(trees())
    again = draw(st.lists(st.sampled_from(spans), max_size=3))
    order = draw(st.permutations([*spans, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=4)))
    batches = [order[first:last] for first, last in itertools.pairwise([0, *cuts, len(order)])]
    return spans, [batch for batch in batches if batch]


async def stored(engine: EmbeddedTelemetry, batches: list[list[Sent]]) -> tuple[list[dict[str, Any]], Any, Any]:
    await engine.execute("TRUNCATE TABLE spans")
    await engine.execute("TRUNCATE TABLE trace_times")
    room = open_room(engine)
    for batch in batches:
        assert await room.send(*batch) == (len(batch), 0)
    rows = await engine.query("SELECT * EXCEPT content_hash FROM spans ORDER BY span_id")
    summary, _ = await room.traces.read_trace(PROJECT, trace(1).hex())
    return rows, summary, await room.totals()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(delivery=deliveries())
def test_any_order_in_any_batches_stores_the_same(
    room: Room, empty_chdb: EmbeddedTelemetry, delivery: tuple[list[Sent], list[list[Sent]]]
) -> None:
    spans, batches = delivery
    rows, summary, totals = asyncio.run(stored(empty_chdb, batches))
    expected, its_summary, its_totals = asyncio.run(stored(empty_chdb, [spans]))
    assert counted(rows) == counted(expected), told(batches)
    assert [{**row, "counted": 1} for row in rows] == [{**row, "counted": 1} for row in expected]
    assert (summary, totals) == (its_summary, its_totals)


def counted(rows: list[dict[str, Any]]) -> dict[int, bool]:
    """What counts of the spans that have something to count."""
    return {
        int(row["span_id"], 16): bool(row["counted"]) for row in rows if row["tokens_total"] or row["kind"] == "llm"
    }


def told(batches: list[list[Sent]]) -> str:
    """What was sent, for whoever reads a failure."""
    lines = []
    for number, batch in enumerate(batches):
        for one in batch:
            start, end = ((one[name] - START_NS) // SECOND for name in ("start_time_unix_nano", "end_time_unix_nano"))
            tokens = one["attributes"].get("gen_ai.usage.input_tokens", 0)
            ids = (int.from_bytes(one["span_id"]), int.from_bytes(one["parent_span_id"] or b"\0"))
            lines.append(f"batch {number}: span {ids[0]} in {ids[1]}, {one['name']}, {start}-{end} s, {tokens} tokens")
    return "\n".join(lines)
