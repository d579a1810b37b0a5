"""What clients send becomes spans once, whatever is sent again, late, twice over or in pieces, on both engines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from tests.unit.traces.spans import START_NS, any_value, key_values, protobuf

from octavo_server.costs.runtime import PriceBook, ShippedTable, normalise_usage
from octavo_server.stores.spool import Entry, join_frames
from octavo_server.stores.telemetry import Telemetry, migrate
from octavo_server.traces.model import CaptureMode, GatewayCall, Origin, ProjectRules, Usage
from octavo_server.traces.otlp import count_spans
from octavo_server.traces.service import GATEWAY_KIND, Search, TraceIngest, Traces
from octavo_server.traces.service.ingest import LOGS_KIND, SPANS_KIND
from octavo_server.traces.store import MIGRATIONS, SpanStore, SpanWriter
from octavo_server.traces.store.scores import ScoreStore

PROJECT = "prj_1"
MESSAGES = [{"role": "user", "content": "Why?"}]
SECOND = 1_000_000_000


def trace(number: int) -> bytes:
    return number.to_bytes(16)


def span_id(number: int) -> bytes:
    return number.to_bytes(8)


def llm(number: int, *, of: int = 1, parent: int = 0, tokens: int = 10, **changes: Any) -> dict[str, Any]:
    """A model call of three seconds, as an instrumentation reports it."""
    return {
        "trace_id": trace(of),
        "span_id": span_id(number),
        "parent_span_id": span_id(parent) if parent else b"",
        "name": "chat",
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": START_NS + 3 * SECOND,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.model": "gpt-4.1",
            "gen_ai.usage.input_tokens": tokens,
            "gen_ai.usage.output_tokens": 0,
            "gen_ai.input.messages": json.dumps(MESSAGES),
        },
        **changes,
    }


def agent(number: int, *, of: int = 1, parent: int = 0, tokens: int = 0) -> dict[str, Any]:
    """A step of ten seconds around others, which may report their usage too."""
    attributes: dict[str, Any] = {"openinference.span.kind": "AGENT"}
    if tokens:
        attributes["gen_ai.usage.input_tokens"] = tokens
    span = llm(number, of=of, parent=parent)
    return {
        **span,
        "name": "agent",
        "attributes": attributes,
        "start_time_unix_nano": START_NS - SECOND,
        "end_time_unix_nano": START_NS + 9 * SECOND,
    }


def call(**changes: Any) -> GatewayCall:
    """The gateway's record of the same call: a trace of its own, within the client's span."""
    known: dict[str, Any] = {
        "project_id": PROJECT,
        "trace_id": "f" * 32,
        "span_id": "e" * 16,
        "parent_span_id": "",
        "endpoint": "chat.completions",
        "start_ns": START_NS + SECOND,
        "end_ns": START_NS + 2 * SECOND,
        "first_token_ns": 0,
        "status_code": 200,
        "error_class": "",
        "error_message": "",
        "environment": "production",
        "api_key_id": "key_1",
        "connection_id": "con_1",
        "provider": "openai",
        "model_requested": "gpt-4.1",
        "model": "gpt-4.1",
        "release": "",
        "app": "",
        "streaming": False,
        "attempts": 1,
        "attempt_errors": [],
        "usage": Usage(input=10),
        "cost_nano": 777,
        "captured": CaptureMode.FULL,
        "request": json.dumps({"model": "gpt-4.1", "messages": MESSAGES}).encode(),
        "response": b'{"choices": [{"message": {"role": "assistant", "content": "Because."}}]}',
        "request_headers": {},
        "request_id": "req_1",
        "finish_reason": "stop",
        "response_id": "chatcmpl-1",
        "price_known": True,
    }
    return GatewayCall(**{**known, **changes})


@dataclass
class Room:
    """Both sides of the room on one engine."""

    ingest: TraceIngest
    traces: Traces
    telemetry: Telemetry
    batches: int = 0

    async def _store(self, kind: str, body: bytes, count: int) -> tuple[int, int]:
        self.batches += 1
        meta = msgspec.json.encode(Origin(project_id=PROJECT))
        entry = Entry(seq=self.batches, kind=kind, meta=meta, count=count, at=0.0, data=join_frames([body]))
        return await self.ingest.store([entry], f"t{self.batches}")

    async def send(self, *spans: dict[str, Any]) -> tuple[int, int]:
        body = protobuf(*spans)
        return await self._store(SPANS_KIND, body, count_spans(body, json=False).accepted)

    async def record(self, one: GatewayCall) -> tuple[int, int]:
        return await self._store(GATEWAY_KIND, msgspec.msgpack.encode(one), 1)

    async def log(self, number: int, name: str, attributes: dict[str, Any], body: Any = None) -> tuple[int, int]:
        logs = ExportLogsServiceRequest()
        record = (
            logs.resource_logs.add()
            .scope_logs.add()
            .log_records.add(time_unix_nano=START_NS, trace_id=trace(1), span_id=span_id(number), event_name=name)
        )
        record.attributes.extend(key_values(attributes))
        if body is not None:
            record.body.CopyFrom(any_value(body))
        return await self._store(LOGS_KIND, logs.SerializeToString(), 1)

    async def totals(self) -> tuple[int, int, int, int]:
        """Traces, spans, tokens, calls."""
        count = await self.traces.count(PROJECT)
        rows, _ = await self.traces.metrics(
            PROJECT, Search(), measures=["total_tokens", "calls"], dimensions=[], interval="none"
        )
        stored = await self.telemetry.query("SELECT count() AS rows FROM spans")
        assert stored[0]["rows"] == count["spans"]
        return count["traces"], count["spans"], rows[0]["total_tokens"], rows[0]["calls"]


@pytest.fixture
async def room(telemetry: Telemetry) -> Room:
    await migrate(telemetry, MIGRATIONS)
    rules = {PROJECT: ProjectRules(retention_days=60_000)}
    ingest = TraceIngest(
        SpanWriter(telemetry),
        ScoreStore(telemetry),
        normalise=normalise_usage,
        rules=lambda: rules,
        price=PriceBook({}, ShippedTable()).price_span,
    )
    return Room(ingest, Traces(SpanStore(telemetry), lambda: datetime(2026, 6, 1, tzinfo=UTC)), telemetry)


async def test_a_span_sent_again_counts_once(room: Room) -> None:
    assert await room.send(llm(1), llm(2)) == (2, 0)
    assert await room.send(llm(1), llm(2)) == (2, 0)
    assert await room.send(llm(2), llm(2), llm(3)) == (3, 0)

    assert await room.totals() == (1, 3, 30, 3)


async def test_a_span_that_changed_replaces_what_was_there(room: Room) -> None:
    await room.send(llm(1, tokens=10))
    await room.send(llm(1, tokens=25))

    assert await room.totals() == (1, 1, 25, 1)
    span = await room.traces.read_span(PROJECT, span_id(1).hex(), "")
    assert (span["cost_nano"], span["cost_source"]) == (50_000, "priced")


async def test_what_parents_report_of_their_children_counts_once(room: Room) -> None:
    await room.send(llm(2, parent=1, tokens=10), llm(3, parent=1, tokens=5), agent(1, tokens=15))

    assert await room.totals() == (1, 3, 15, 2)
    summary, spans = await room.traces.read_trace(PROJECT, trace(1).hex())
    assert (summary["total_tokens"], summary["name"]) == (15, "agent")
    assert {one["span_id"][-1]: one["counted"] for one in spans} == {"1": False, "2": True, "3": True}


async def test_children_that_come_first_or_last_are_counted_alike(room: Room) -> None:
    await room.send(llm(2, parent=1, tokens=10))
    await room.send(agent(1, tokens=10))
    await room.send(agent(11, of=2, tokens=7))
    await room.send(llm(12, of=2, parent=11, tokens=7))

    assert await room.totals() == (2, 4, 17, 2)


async def test_usage_that_only_a_wrapper_reports_counts(room: Room) -> None:
    await room.send(agent(1, tokens=15), agent(2, parent=1))

    assert (await room.totals())[2] == 15


@pytest.mark.parametrize("client_first", [True, False])
@pytest.mark.parametrize("again", [False, True])
async def test_a_call_that_client_and_gateway_report_is_one(room: Room, client_first: bool, again: bool) -> None:
    for _ in range(2 if again else 1):
        for sent in (True, False) if client_first else (False, True):
            if sent:
                await room.send(agent(1), llm(2, parent=1))
            else:
                await room.record(call())

    assert await room.totals() == (1, 3, 10, 1)
    summary, spans = await room.traces.read_trace(PROJECT, trace(1).hex())
    by_id = {one["span_id"]: one for one in spans}
    record, client = by_id["e" * 16], by_id[span_id(2).hex()]
    assert record["parent_span_id"] == client["span_id"]
    assert (client["duplicate_of"], client["match"], client["counted"]) == (record["span_id"], "fingerprint", False)
    assert (summary["cost_nano"], summary["llm_calls"]) == (777, 1)
    # The trace that the gateway named in its answer leads to the joined one.
    joined, _ = await room.traces.read_trace(PROJECT, "f" * 32)
    assert joined["trace_id"] == trace(1).hex()


async def test_a_response_id_joins_for_certain(room: Room) -> None:
    other = llm(2)
    other["attributes"] = {**other["attributes"], "gen_ai.response.id": "chatcmpl-1", "gen_ai.input.messages": "{}"}
    await room.send(other)
    await room.record(call())

    span = await room.traces.read_span(PROJECT, span_id(2).hex(), "")
    assert (span["duplicate_of"], span["match"]) == ("e" * 16, "response_id")


async def test_a_propagated_context_joins_without_a_guess(room: Room) -> None:
    await room.record(call(trace_id=trace(1).hex(), parent_span_id=span_id(2).hex()))
    await room.send(llm(2))

    assert await room.totals() == (1, 2, 10, 1)
    span = await room.traces.read_span(PROJECT, span_id(2).hex(), "")
    assert (span["duplicate_of"], span["match"]) == ("e" * 16, "traceparent")


async def test_other_calls_are_not_joined(room: Room) -> None:
    await room.send(llm(2))
    await room.record(call(request=b'{"messages": [{"role": "user", "content": "Other?"}]}'))
    await room.record(
        call(trace_id="d" * 32, span_id="d" * 16, start_ns=START_NS + 60 * SECOND, end_ns=START_NS + 61 * SECOND)
    )

    assert await room.totals() == (3, 3, 30, 3)


async def test_equal_calls_at_once_are_joined_one_to_one(room: Room) -> None:
    await room.send(*(llm(number, of=number) for number in (1, 2, 3)))
    for number in (1, 2, 3):
        await room.record(call(trace_id=f"{number}f" * 16, span_id=f"{number}e" * 8, response_id=""))

    assert await room.totals() == (3, 6, 30, 3)


@pytest.mark.parametrize("log_first", [True, False])
async def test_contents_that_come_as_logs_find_their_span(room: Room, log_first: bool) -> None:
    bare = llm(1)
    bare["attributes"] = {name: value for name, value in bare["attributes"].items() if "messages" not in name}
    for sent in (False, True) if log_first else (True, False):
        if sent:
            assert await room.send(bare) == (1, 0)
        else:
            assert await room.log(1, "gen_ai.user.message", {"gen_ai.system": "openai"}, {"content": "Why?"}) == (1, 0)
            details = {"gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "So."}]}]}
            assert await room.log(1, "gen_ai.client.inference.operation.details", details) == (1, 0)

    assert await room.totals() == (1, 1, 10, 1)
    span = await room.traces.read_span(PROJECT, span_id(1).hex(), "")
    assert json.loads(span["input"]) == MESSAGES
    assert span["output_preview"] == "So."


async def test_deep_and_wide_traces_are_whole(room: Room) -> None:
    await room.send(*(llm(number, parent=number - 1, tokens=1) for number in range(1, 1500)))
    await room.send(*(llm(number, of=2, parent=5000, tokens=1) for number in range(3000, 4000)))

    assert await room.totals() == (2, 2499, 1001, 1001)
    _, spans = await room.traces.read_trace(PROJECT, trace(1).hex())
    assert len(spans) == 1499


async def test_a_circle_of_parents_ends(room: Room) -> None:
    await room.send(llm(1, parent=2), llm(2, parent=1), llm(3, parent=3))

    assert (await room.totals())[:2] == (1, 3)


async def test_spans_of_hundreds_of_months_are_stored(room: Room) -> None:
    month = 31 * 86_400 * SECOND
    spans = [llm(number, of=number, start_time_unix_nano=START_NS + number * month) for number in range(1, 130)]

    assert await room.send(*spans) == (129, 0)
    assert (await room.totals())[1] == 129


async def test_attributes_come_back_as_they_were_sent(room: Room) -> None:
    attributes = {
        "input.value": "in",
        "output.value": "out",
        "n": 1,
        "f": 0.5,
        "deep": {"a": [1, {"b": "é"}]},
        "no": None,
    }
    await room.send(llm(1, attributes=attributes))

    row = await room.traces.read_span(PROJECT, span_id(1).hex(), "")
    kept = json.loads(row["attributes"])
    assert {**kept, row["input_from"]: row["input"], row["output_from"]: row["output"]} == attributes
    assert (row["input"], row["output"]) == ("in", "out")


async def test_a_span_that_says_nothing_of_itself_is_a_plain_one(room: Room) -> None:
    await room.send(llm(1, attributes={}))

    row = await room.traces.read_span(PROJECT, span_id(1).hex(), "")
    said = (
        row["kind"],
        row["source"],
        row["status"],
        row["level"],
        row["environment"],
        row["captured"],
        row["counted"],
    )
    assert said == ("span", "otlp", "unset", "DEFAULT", "default", "full", True)


async def test_a_body_that_cannot_be_read_again_is_refused_and_counted(room: Room) -> None:
    assert await room._store(SPANS_KIND, b"\xff\xff", 3) == (0, 3)


async def test_traces_are_listed_by_their_first_span_however_long_they_are(room: Room) -> None:
    long = [llm(number, of=1, start_time_unix_nano=START_NS + number * SECOND) for number in range(1, 60)]
    short = [
        llm(100 + number, of=1 + number, start_time_unix_nano=START_NS + 1 + number * SECOND) for number in range(1, 9)
    ]
    await room.send(*long, *short)

    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await room.traces.list_traces(PROJECT, Search(), limit=1, cursor=cursor)
        seen += [int(row["trace_id"], 16) for row in page.rows]
        cursor = page.next_cursor

    assert seen == [9, 8, 7, 6, 5, 4, 3, 2, 1]
