"""Failures by signature, on both engines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.unit.traces.spans import protobuf

from octavo_server.core.errors import NotFound
from octavo_server.costs.runtime import normalise_usage
from octavo_server.stores.spool import Entry, join_frames
from octavo_server.stores.telemetry import Telemetry, migrate
from octavo_server.traces.model import Origin, ProjectRules
from octavo_server.traces.otlp import count_spans
from octavo_server.traces.service import Search, TraceIngest, Traces
from octavo_server.traces.service.ingest import SPANS_KIND
from octavo_server.traces.service.insight import Insight
from octavo_server.traces.store import MIGRATIONS, SpanStore, SpanWriter
from octavo_server.traces.store.failures import FailureStore
from octavo_server.traces.store.scores import ScoreStore

PROJECT = "prj_1"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Fixed:
    def now(self) -> datetime:
        return NOW

    def now_ns(self) -> int:
        return int(NOW.timestamp() * 1e9)


class Room:
    def __init__(self, telemetry: Telemetry) -> None:
        rules: Mapping[str, ProjectRules] = {PROJECT: ProjectRules(retention_days=60_000)}
        self._ingest = TraceIngest(
            SpanWriter(telemetry), ScoreStore(telemetry), normalise=normalise_usage, rules=lambda: rules
        )
        self.traces = Traces(SpanStore(telemetry), lambda: NOW)
        self.insight = Insight(self.traces, FailureStore(telemetry), Fixed())
        self._sent = 0

    async def send(self, *spans: dict[str, Any]) -> None:
        self._sent += 1
        body = protobuf(*spans)
        meta = msgspec.json.encode(Origin(project_id=PROJECT))
        count = count_spans(body, json=False).accepted
        await self._ingest.store(
            [Entry(self._sent, SPANS_KIND, meta, count, 0.0, join_frames([body]))], f"t{self._sent}"
        )


def span(number: int, message: str = "", *, parent: int = 0, minutes: int = 5, **attributes: Any) -> dict[str, Any]:
    start = int((NOW - timedelta(minutes=minutes)).timestamp()) * 10**9
    made: dict[str, Any] = {
        "trace_id": bytes([1 + number // 10]) * 16,
        "span_id": number.to_bytes(8, "big"),
        "name": "look up",
        "start_time_unix_nano": start,
        "end_time_unix_nano": start + 10**9,
        "attributes": attributes,
    }
    if parent:
        made["parent_span_id"] = parent.to_bytes(8, "big")
    if message:
        made["status"] = {"code": 2, "message": message}
    return made


@pytest.fixture
async def room(telemetry: Telemetry) -> Room:
    await migrate(telemetry, MIGRATIONS)
    return Room(telemetry)


async def test_the_same_failure_has_one_signature(room: Room) -> None:
    await room.send(
        span(10, "RateLimitError: retry in 20 s (request 0f3e2d1c9b8a)", **{"user.id": "ada"}),
        span(20, "RateLimitError: retry in 7 s (request 99aa88bb77cc)", **{"user.id": "bob"}),
        span(30, "KeyError: 'city'"),
        span(40, "KeyError: 'country'"),
        span(50, "TimeoutError: no answer"),
        span(60),
    )

    page = await room.insight.failures(PROJECT, Search(), limit=10, cursor="")

    assert [row["count"] for row in page.rows] == [2, 2, 1]
    by_class = {row["class"]: row for row in page.rows}
    assert (by_class["rate_limit"]["traces"], by_class["rate_limit"]["users"]) == (2, 2)
    assert all(row["is_new"] for row in page.rows)
    assert sum(count for _, count in by_class["rate_limit"]["series"]) == 2

    signature = by_class["rate_limit"]["signature"]
    found = await room.traces.list_traces(PROJECT, Search(filter=f'signature = "{signature}"'), limit=10, cursor="")
    assert len(found.rows) == 2
    row, breakdown = await room.insight.failure(PROJECT, Search(), signature)
    assert row["count"] == 2
    assert breakdown["name"] == [{"value": "look up", "count": 2}]
    with pytest.raises(NotFound, match="widen"):
        await room.insight.failure(PROJECT, Search(), "0" * 16)


async def test_a_failure_is_told_where_it_happened(room: Room) -> None:
    await room.send(span(11, "ValueError: bad"), span(12, "ValueError: bad", parent=11))

    (row,) = (await room.insight.failures(PROJECT, Search(), limit=10, cursor="")).rows

    assert (row["count"], row["example_span"]) == (1, (12).to_bytes(8, "big").hex())
    row, breakdown = await room.insight.failure(PROJECT, Search(), row["signature"])
    assert (row["count"], row["interval_s"]) == (1, 1800)
    assert breakdown["name"] == [{"value": "look up", "count": 1}]


async def test_a_failure_of_before_is_not_new(room: Room) -> None:
    await room.send(span(10, "ValueError: bad", minutes=3000), span(20, "ValueError: bad"))

    (row,) = (await room.insight.failures(PROJECT, Search(), limit=10, cursor="")).rows

    assert (row["count"], row["is_new"]) == (1, False)


async def test_pages_of_failures(room: Room) -> None:
    await room.send(*[span(10 * number, f"Error{chr(64 + number)}: failed") for number in range(1, 6)])
    seen: list[str] = []
    cursor = ""
    for _ in range(5):
        page = await room.insight.failures(PROJECT, Search(), limit=2, cursor=cursor)
        seen += [row["signature"] for row in page.rows]
        cursor = page.next_cursor or ""
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 5


async def test_whose_latency_it_was(room: Room) -> None:
    await room.send(span(10), span(20))

    path = await room.insight.critical_path(PROJECT, ("02" * 16))
    (owner,) = await room.insight.latency_owners(PROJECT, Search())

    assert [(step.own_ns, step.share) for step in path] == [(10**9, 1.0)]
    assert (owner["name"], owner["traces"], owner["own_ms_per_trace"]) == ("look up", 2, 1000.0)


async def test_all_spans_are_exported_page_by_page(room: Room) -> None:
    await room.send(*[{**span(10), "span_id": number.to_bytes(8, "big")} for number in range(1, 2502)])

    pages = [rows async for rows in room.traces.export_spans(PROJECT, Search())]

    assert [len(rows) for rows in pages] == [1000, 1000, 501]
    assert len({row["span_id"] for rows in pages for row in rows}) == 2501
