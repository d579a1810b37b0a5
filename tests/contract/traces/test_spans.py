"""Gateway calls through the ingest into the telemetry store and back, on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest

from octavo_server.costs.runtime import normalise_usage
from octavo_server.stores.spool import Entry, join_frames
from octavo_server.stores.telemetry import QueryRefused, Telemetry, migrate
from octavo_server.traces.model import CaptureMode, GatewayCall, ProjectRules, Usage
from octavo_server.traces.service import GATEWAY_KIND, Search, TraceIngest, Traces
from octavo_server.traces.store import MIGRATIONS, SpanStore, SpanWriter
from octavo_server.traces.store.scores import ScoreStore

PROJECT = "prj_1"
START_NS = 1_780_000_000_123_456_789


def call(number: int, **changes: Any) -> GatewayCall:
    """The `number`th call, a second after the one before."""
    request = {"model": "gpt-4.1", "messages": [{"role": "user", "content": f"Question {number}?"}], "temperature": 0.5}
    answer = {"choices": [{"message": {"role": "assistant", "content": f"Answer {number}."}}]}
    known: dict[str, Any] = {
        "project_id": PROJECT,
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "parent_span_id": "",
        "endpoint": "chat.completions",
        "start_ns": START_NS + number * 1_000_000_000,
        "end_ns": START_NS + number * 1_000_000_000 + 250_000_000,
        "first_token_ns": 0,
        "status_code": 200,
        "error_class": "",
        "error_message": "",
        "environment": "production",
        "api_key_id": "key_1",
        "connection_id": "con_1",
        "provider": "openai",
        "model_requested": "gpt-4.1",
        "model": "gpt-4.1-2025",
        "release": "",
        "app": "",
        "streaming": False,
        "attempts": 1,
        "attempt_errors": [],
        "usage": Usage(input=10, cache_read=5, output=7, reasoning=3),
        "cost_nano": 1500,
        "captured": CaptureMode.FULL,
        "request": orjson.dumps(request),
        "response": orjson.dumps(answer),
        "request_headers": {"user-agent": "test"},
        "request_id": f"req_{number}",
        "finish_reason": "stop",
        "response_id": "chatcmpl-1",
        "price_known": True,
        "context": {"session_id": "s1", "user_id": f"u{number % 2}", "tags": ["a"], "metadata": {"team": "x"}},
    }
    return GatewayCall(**{**known, **changes})


def entry(seq: int, calls: Sequence[GatewayCall]) -> Entry:
    data = join_frames([msgspec.msgpack.encode(one) for one in calls])
    return Entry(seq=seq, kind=GATEWAY_KIND, meta=b"", count=len(calls), at=0.0, data=data)


@dataclass
class Room:
    """Both sides of the room on one engine."""

    ingest: TraceIngest
    traces: Traces

    async def store(self, *calls: GatewayCall, token: str = "t") -> tuple[int, int]:
        return await self.ingest.store([entry(1, calls)], token)


@pytest.fixture
async def room(telemetry: Telemetry) -> Room:
    await migrate(telemetry, MIGRATIONS)
    # Spans of a fixed time would be expired by a short retention on some later day.
    rules = {project: ProjectRules(retention_days=60_000) for project in (PROJECT, "prj_2")}
    return Room(
        TraceIngest(SpanWriter(telemetry), ScoreStore(telemetry), normalise=normalise_usage, rules=lambda: rules),
        Traces(SpanStore(telemetry), lambda: datetime(2026, 6, 1, tzinfo=UTC)),
    )


async def test_a_call_comes_back_as_it_was(room: Room) -> None:
    assert await room.store(call(1)) == (1, 0)

    summary, spans = await room.traces.read_trace(PROJECT, f"{1:032x}")
    span = await room.traces.read_span(PROJECT, spans[0]["span_id"], "")

    assert (summary["input_preview"], summary["output_preview"]) == ("Question 1?", "Answer 1.")
    assert (summary["total_tokens"], summary["input_tokens"], summary["output_tokens"]) == (25, 15, 10)
    assert (summary["cost_nano"], bool(summary["cost_known"])) == (1500, True)
    assert summary["duration_ms"] == 250.0
    assert span["start"].startswith("2026-05-28T20:26:41.123456789")
    assert orjson.loads(span["parameters"]) == {"temperature": 0.5}
    assert orjson.loads(span["metadata"]) == {"team": "x"}
    assert span["session_id"] == "s1"


async def test_a_batch_stored_again_counts_once(room: Room) -> None:
    await room.store(call(1), call(2), token="batch-1")
    await room.store(call(1), call(2), token="batch-1")
    await room.store(call(3), token="batch-2")

    assert await room.traces.count(PROJECT) == {"traces": 3, "spans": 3}


async def test_an_unknown_price_is_unknown_and_not_nothing(room: Room) -> None:
    await room.store(call(1, cost_nano=None, price_known=False))

    summary, _ = await room.traces.read_trace(PROJECT, f"{1:032x}")

    assert summary["cost_nano"] is None
    assert not summary["cost_known"]


async def test_a_record_that_cannot_be_read_is_refused_and_counted(room: Room) -> None:
    good = msgspec.msgpack.encode(call(1))
    mixed = Entry(seq=1, kind=GATEWAY_KIND, meta=b"", count=2, at=0.0, data=join_frames([b"\x00rubbish", good]))

    assert await room.ingest.store([mixed], "t") == (1, 1)


async def test_projects_do_not_see_each_other(room: Room) -> None:
    await room.store(call(1), call(2, project_id="prj_2"))

    assert await room.traces.count(PROJECT) == {"traces": 1, "spans": 1}
    listed = await room.traces.list_traces("prj_2", Search(), limit=10, cursor="")
    assert [row["trace_id"] for row in listed.rows] == [f"{2:032x}"]


async def test_pages_go_through_all_traces_newest_first(room: Room) -> None:
    await room.store(*(call(number) for number in range(1, 8)))

    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await room.traces.list_traces(PROJECT, Search(), limit=3, cursor=cursor)
        seen += [int(row["trace_id"], 16) for row in page.rows]
        cursor = page.next_cursor

    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ('model = "gpt-4.1-2025"', [1, 2, 4]),
        ("status = error", [3]),
        ("status = error or latency_ms < 100", [2, 3]),
        ("not status = error and user_id = u1", [1]),
        ('output ~ "answer 4"', [4]),
        ("metadata.team = y", [4]),
        ("metadata.team != y and metadata.n >= 2", [2]),
        ("tags = b", [4]),
        ("tags in (a, b) and total_tokens > 0", [1, 2, 4]),
        ("cost_usd > 0.000001", [1, 2, 4]),
        ("error_class in (rate_limit, timeout)", [3]),
        ("attributes.octavo.endpoint = chat.completions", [1, 2, 3, 4]),
        ("model starts_with gpt-4", [1, 2, 4]),
        ("output ends_with '2.\"}'", [2]),
        ("not model starts_with gpt", [3]),
        ("output matches '(?i)ANSWER [14]'", [1, 4]),
        ("metadata.team matches '^[xz]$'", [1, 2]),
        ("metadata.n starts_with 2", [2]),
        ("attributes.octavo.endpoint ends_with completions", [1, 2, 3, 4]),
        ("tags starts_with b or tags matches '^z'", [4]),
        ("ttft_ms matches '.' or total_tokens matches '^0$'", [3]),
        (r"error_class matches '^rate_\w+$' and latency_ms ends_with 0", [3]),
    ],
)
async def test_a_filter_finds_what_it_says(room: Room, text: str, expected: list[int]) -> None:
    await room.store(
        call(1),
        call(
            2, end_ns=START_NS + 2_000_000_000 + 50_000_000, context={"metadata": {"team": "x", "n": 2}, "tags": ["a"]}
        ),
        call(3, status_code=429, error_class="rate_limit", model="", usage=None, cost_nano=None, context={}),
        call(4, context={"metadata": {"team": "y"}, "tags": ["b"]}),
    )

    page = await room.traces.list_traces(PROJECT, Search(filter=text), limit=10, cursor="")

    assert sorted(int(row["trace_id"], 16) for row in page.rows) == expected


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a{2000}"])
async def test_a_pattern_that_is_none_is_refused(room: Room, pattern: str) -> None:
    await room.store(call(1))

    with pytest.raises(QueryRefused, match="RE2"):
        await room.traces.list_traces(PROJECT, Search(filter=f"name matches '{pattern}'"), limit=10, cursor="")


async def test_metrics_by_model_and_time(room: Room) -> None:
    await room.store(call(1), call(2, model="other"), call(3, error_class="timeout", status_code=504))

    rows, _ = await room.traces.metrics(
        PROJECT,
        Search(),
        measures=["count", "error_rate", "latency_p95", "cost_usd"],
        dimensions=["model"],
        interval="none",
    )
    by_model = {row["model"]: row for row in rows}
    buckets, interval_s = await room.traces.metrics(
        PROJECT, Search(), measures=["count"], dimensions=[], interval="minute"
    )

    assert by_model["gpt-4.1-2025"]["count"] == 2
    assert by_model["gpt-4.1-2025"]["error_rate"] == 0.5
    assert by_model["other"]["cost_usd"] == 1500
    assert (sum(row["count"] for row in buckets), interval_s) == (3, 60)


async def test_a_stream_is_put_together_again(room: Room) -> None:
    events = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}}]},
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}}]},
                }
            ]
        },
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}]},
    ]
    body = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"
    await room.store(call(1, streaming=True, response=body, first_token_ns=START_NS + 1_000_000_000 + 80_000_000))

    span = await room.traces.read_span(PROJECT, f"{1:016x}", "")

    assert orjson.loads(span["output"]) == {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }
    assert span["ttft_ns"] == 80_000_000
