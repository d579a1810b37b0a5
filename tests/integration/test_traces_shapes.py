"""Traces of every shape through the ingest into the store: however their spans come, the same is stored, and counted."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.traces.test_traces_ingest import PROJECT, Room, agent, llm, span_id, trace
from tests.unit.traces.spans import START_NS

from octavo_server.costs.runtime import PriceBook, ShippedTable, normalise_usage
from octavo_server.stores.telemetry import migrate
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.traces.critical_path import Step, critical_path
from octavo_server.traces.difference import differences
from octavo_server.traces.model import ProjectRules
from octavo_server.traces.service import Search, TraceIngest, Traces
from octavo_server.traces.service.reading import MAX_TRACE_SPANS
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
    """A trace, and its spans in batches of any order, some of them twice, or once before their end."""
    spans = draw(trees())
    again = [
        {**one, "end_time_unix_nano": 0, "attributes": {}} if draw(st.booleans()) else one
        for one in draw(st.lists(st.sampled_from(spans), max_size=3))
    ]
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


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
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


async def test_a_span_that_is_told_of_before_its_end_is_whole_in_the_end(room: Room) -> None:
    whole = llm(1)
    begun = {**whole, "end_time_unix_nano": 0, "attributes": {}}
    for number, order in enumerate(([begun, whole], [whole, begun]), 1):
        for sent in order:
            await room.send({**sent, "trace_id": trace(number)})
        [span] = (await room.traces.read_trace(PROJECT, trace(number).hex()))[1]
        assert (span["duration_ms"], span["total_tokens"], span["model"]) == (3000.0, 10, "gpt-4.1")
    await room.send({**whole, "trace_id": trace(3)}, {**begun, "trace_id": trace(3)})

    assert await room.totals() == (3, 3, 30, 3)


async def test_what_is_told_last_of_a_span_stays(room: Room) -> None:
    for name in ("first", "second"):
        await room.send({**llm(1), "name": name})
    await room.send({**llm(1), "name": "third"}, {**llm(1), "name": "fourth"})

    [span] = (await room.traces.read_trace(PROJECT, trace(1).hex()))[1]
    assert span["name"] == "fourth"


async def test_one_span_id_in_two_traces_is_two_spans(room: Room) -> None:
    await room.send(llm(1, of=1), llm(1, of=2, tokens=5))
    await room.send(llm(2, of=2, parent=1), agent(3, of=1))

    assert await room.totals() == (2, 4, 20, 2)
    for number, tokens in ((1, 10), (2, 5)):
        row = await room.traces.read_span(PROJECT, span_id(1).hex(), trace(number).hex())
        assert (row["trace_id"], row["tokens_total"]) == (trace(number).hex(), tokens)


async def test_a_trace_of_20000_steps_side_by_side(room: Room) -> None:
    root = step(1, 0, tokens=0, start_s=0, end_s=100, wraps=True)
    leaves = [step(number, 1, tokens=1, start_s=number % 90, end_s=95, wraps=False) for number in range(2, 20_101)]
    random.Random(5).shuffle(leaves)
    for first in range(0, len(leaves), 5000):
        await room.send(*leaves[first : first + 5000])
    await room.send(root)

    assert await room.totals() == (1, 20_100, 20_099, 20_099)
    summary, spans = await room.traces.read_trace(PROJECT, trace(1).hex())
    assert (summary["span_count"], summary["root_span_id"], summary["total_tokens"]) == (
        20_100,
        span_id(1).hex(),
        20_099,
    )
    assert len(spans) == MAX_TRACE_SPANS  # an answer has an end; the summary is of all
    assert [one["start_time"] for one in spans] == sorted(one["start_time"] for one in spans)


async def test_a_trace_of_3000_levels_from_its_end(room: Room) -> None:
    levels = [step(number, number - 1, tokens=1, start_s=0, end_s=100, wraps=True) for number in range(1, 3001)]
    for last in range(3000, 0, -500):
        await room.send(*levels[last - 500 : last][::-1])

    assert (await room.totals())[:3] == (1, 3000, 1)
    summary, spans = await room.traces.read_trace(PROJECT, trace(1).hex())
    assert (summary["root_span_id"], len(spans)) == (span_id(1).hex(), 3000)
    assert len(critical_path(steps_of(spans))) > 0
    assert {pair.change for pair in differences(spans, spans)} == {"same"}


async def test_orphans_and_circles_are_read_back(room: Room) -> None:
    await room.send(llm(1, parent=2), llm(2, parent=1), llm(3, parent=3), llm(4, parent=77))

    summary, spans = await room.traces.read_trace(PROJECT, trace(1).hex())
    assert (summary["span_count"], len(spans)) == (4, 4)
    assert len(critical_path(steps_of(spans))) > 0
    assert len(differences(spans, spans)) == 4


def steps_of(rows: list[dict[str, Any]]) -> list[Step]:
    """Spans as the critical path sees them."""
    return [Step(row["span_id"], row["parent_span_id"], 0, 1 + int(row["duration_ms"] * 1e6)) for row in rows]


async def test_words_of_input_output_and_name_are_found(room: Room) -> None:
    for number, change in enumerate(
        (
            {"attributes": {"input.value": "Where is the Zürich parcel?"}},
            {"attributes": {"output.value": "It is in ZÜRICH."}},
            {"name": "find-zürich"},
            {"status": {"code": 2, "message": "no zürich"}},
            {"attributes": {"other": "Zürich"}},
        ),
        1,
    ):
        await room.send({**llm(number, of=number), **change})

    async def found(search: str) -> list[int]:
        page = await room.traces.list_traces(PROJECT, Search(search=search), limit=10, cursor="")
        return sorted(int(row["trace_id"], 16) for row in page.rows)

    assert await found("zürich") == [1, 2, 3, 4]
    assert await found("where is the") == [1]
    assert await found(trace(5).hex()) == [5]
    assert await found("100%_") == []
