"""Bodies that no exporter should send, over real HTTP: each gets the answer that OTLP has for it, never a 500, and
whatever was accepted is stored."""

from __future__ import annotations

import gzip
import json
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from tests.integration.otlp_server import PROTOBUF, Octavo, document, octavo, span
from tests.unit.traces.spans import any_value, protobuf

FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
LIMIT_MB = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Octavo]:
    with octavo(tmp_path_factory.mktemp("otlp"), OCTAVO_MAX_OTLP_MB=str(LIMIT_MB)) as running:
        yield running
        # Whatever the tests sent: what was accepted is stored, all of it.
        found = running.settle()
        assert (found["rejected"], found["dropped"]) == (0, 0), running.stack.tail()
        assert found["accepted"] == found["stored"]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    return value


def attribute(value: Any, key: Any = "a") -> dict[str, Any]:
    return {"attributes": [{"key": key, "value": value}]}


REFUSED_SPANS: dict[str, Any] = {
    "no hexadecimal": {"traceId": "zz" * 16},
    "an id in base64": {"traceId": "AAAAAAAAAAAAAAAAAAAAAQ=="},
    "an id of zeros": {"traceId": "0" * 32},
    "an id too short": {"traceId": "ab" * 15},
    "an id too long": {"traceId": "ab" * 17},
    "half a byte": {"traceId": "a" * 31},
    "no trace id": {"traceId": None},
    "a number as id": {"traceId": 5},
    "a span id of zeros": {"spanId": "0" * 16},
    "a span id too short": {"spanId": "ab"},
    "a list as span id": {"spanId": []},
    "no start": {"startTimeUnixNano": None},
    "a start of 0": {"startTimeUnixNano": "0"},
    "a negative start": {"startTimeUnixNano": -1},
    "a start in words": {"startTimeUnixNano": "today"},
    "a start beyond 64 bits": {"startTimeUnixNano": str(2**64)},
    "a start in the year 2554": {"startTimeUnixNano": str(2**64 - 1)},
    "a start of thousands of digits": {"startTimeUnixNano": "9" * 9000},
    "a start in seconds": {"startTimeUnixNano": int(time.time())},
    "a start that is true": {"startTimeUnixNano": True},
    "a start that is an object": {"startTimeUnixNano": {}},
    "a start of 1e400": {"startTimeUnixNano": "1e400"},
    "a negative end": {"endTimeUnixNano": "-5"},
    "a name that is a number": {"name": 5},
    "attributes that are an object": {"attributes": {"a": 1}},
    "an attribute without key": {"attributes": [{"value": {"stringValue": "x"}}]},
    "an attribute that is null": {"attributes": [None]},
    "a plain value": attribute("x"),
    "a key that is a number": attribute({"stringValue": "x"}, key=5),
    "an int in words": attribute({"intValue": "five"}),
    "an int beyond 64 bits": attribute({"intValue": str(2**63)}),
    "an int that is a list": attribute({"intValue": [1]}),
    "a double in words": attribute({"doubleValue": "five"}),
    "a string that is a number": attribute({"stringValue": 5}),
    "an array that is none": attribute({"arrayValue": 5}),
    "an array of numbers": attribute({"arrayValue": {"values": [5]}}),
    "a kvlist that is none": attribute({"kvlistValue": {"values": {}}}),
    "a kvlist without keys": attribute({"kvlistValue": {"values": [{}]}}),
    "events that are a text": {"events": "x"},
    "an event that is a number": {"events": [5]},
    "links that are a number": {"links": 5},
    "a link that is null": {"links": [None]},
    "a kind nobody knows": {"kind": "SPAN_KIND_" + "X" * 100_000},
    "a status that is a text": {"status": "x"},
    "negative flags": {"flags": -1},
}


@pytest.mark.parametrize("fields", REFUSED_SPANS.values(), ids=REFUSED_SPANS.keys())
def test_a_wrong_span_is_refused_alone(server: Octavo, fields: dict[str, Any]) -> None:
    trace = server.new_trace()
    before = server.admin.call("GET", "/accounting")["accepted"]

    answer = server.send(document(span(trace, 1), span(trace, 2, **fields), span(trace, 3)), json=True)

    assert (answer.status, answer.rejected) == (200, 1)
    assert 0 < len(answer.message) < 1000
    assert server.admin.call("GET", "/accounting")["accepted"] == before + 2


@pytest.mark.parametrize("wrong", [None, 5, "x", [], True])
def test_what_is_no_span_is_refused_alone(server: Octavo, wrong: Any) -> None:
    answer = server.send(document(span(server.new_trace()), wrong), json=True)

    assert (answer.status, answer.rejected) == (200, 1)


def test_a_body_of_refused_spans_alone_says_so(server: Octavo) -> None:
    answer = server.send(document(span(0), span(0)), json=True)

    assert (answer.status, answer.rejected) == (200, 2)


ODD_SPANS: dict[str, Any] = {
    "a start that is a number": {"startTimeUnixNano": time.time_ns()},
    "a start that is a float": {"startTimeUnixNano": float(time.time_ns())},
    "an end before the start": {"endTimeUnixNano": "5"},
    "no end": {"endTimeUnixNano": None},
    "an end in the year 2554": {"endTimeUnixNano": str(2**64 - 1)},
    "upper case ids": {"traceId": "AB" * 16},
    "a wrong parent": {"parentSpanId": "xyz"},
    "itself as parent": {"parentSpanId": f"{1:016x}"},
    "fields nobody knows": {"weather": {"sun": [1, 2, {}]}},
    "a kind by name": {"kind": "SPAN_KIND_CLIENT"},
    "a kind nobody knows": {"kind": 99},
    "a status nobody knows": {"status": {"code": 99, "message": "odd"}},
    "no name": {"name": ""},
    "a name of 100,000 characters": {"name": "n" * 100_000},
    "NUL characters": {"name": "a\0b", **attribute({"stringValue": "a\0b"}, key="k\0")},
    "an empty key": attribute({"stringValue": "x"}, key=""),
    "a key of 100,000 characters": attribute({"stringValue": "x"}, key="k" * 100_000),
    "an empty value": attribute({}),
    "no value": {"attributes": [{"key": "a"}]},
    "a value of another kind": attribute({"colourValue": "red"}),
    "not a number": attribute({"doubleValue": "NaN"}),
    "infinity": attribute({"doubleValue": "-Infinity"}),
    "an int that is a float": attribute({"intValue": 5.0}),
    "the least int": attribute({"intValue": str(-(2**63))}),
    "bytes": attribute({"bytesValue": "AAECAw=="}),
    "39 levels": attribute(nested(39)),
    "60 levels": attribute(nested(60)),
    "a list of 10,000": attribute({"arrayValue": {"values": [{"intValue": "1"}] * 10_000}}),
    "an object of 10,000": attribute(
        {"kvlistValue": {"values": [{"key": f"k{n}", "value": {"boolValue": True}} for n in range(10_000)]}}
    ),
    "10,000 attributes": {"attributes": [{"key": f"k{n}", "value": {"intValue": n}} for n in range(10_000)]},
    "a key twice": {"attributes": [{"key": "a", "value": {"intValue": 1}}, {"key": "a", "value": {"intValue": 2}}]},
    "an emoji": {"name": "🦑", **attribute({"stringValue": "🦑"})},
    "an event beyond all time": {"events": [{"name": "e", "timeUnixNano": str(2**64 - 1)}]},
    "1,000 events": {"events": [{"name": "e", "timeUnixNano": str(n)} for n in range(1000)]},
    "a link to nowhere": {"links": [{"traceId": "x", "spanId": ""}]},
    "JSON as deep as a well": attribute({"stringValue": "[" * 5000 + "]" * 5000}, key="langfuse.observation.metadata"),
    "JSON as deep as the writer goes": attribute(
        {"stringValue": '{"a":' * 250 + "1" + "}" * 250}, key="langfuse.observation.metadata"
    ),
    "deep JSON in a group": attribute({"stringValue": "[" * 252 + "]" * 252}, key="langfuse.trace.metadata.deep"),
    "deep tool parameters": attribute({"stringValue": '{"a":' * 253 + "1" + "}" * 253}, key="llm.invocation_parameters"),
    "a deep input": attribute({"stringValue": "[" * 250 + "]" * 250}, key="input.value"),
    "a deeper output": attribute({"stringValue": "[" * 900 + "]" * 900}, key="output.value"),
    "deep messages": attribute({"stringValue": '[{"role":"user","content":' + "[" * 240 + "]" * 240 + "}]"}, key="gen_ai.input.messages"),
    "a deep document": attribute({"stringValue": '{"a":' * 240 + "1" + "}" * 240}, key="retrieval.documents.0.document.metadata"),
    "a numbered message far out": attribute({"stringValue": "x"}, key="llm.input_messages.999999999.message.content"),
    "a name of 5,000 parts": attribute({"stringValue": "x"}, key="llm.input_messages" + ".0" * 5000),
    "more tokens than columns hold": attribute(
        {"stringValue": orjson.dumps(dict.fromkeys(("input", "output", "reasoning", "cache_read_input_tokens", "input_audio", "x"), 2**60)).decode()},
        key="langfuse.observation.usage_details",
    ),
    "tokens of OpenAI beyond all": attribute(
        {"stringValue": '{"prompt_tokens": 9e300, "completion_tokens": 1e15, "total_tokens": -5}'},
        key="langfuse.observation.usage_details",
    ),
    "a cost beyond all": attribute({"stringValue": '{"total": 1e300, "input": -1}'}, key="langfuse.observation.cost_details"),
    "a first token before time": attribute({"stringValue": '"0001-01-01T00:00:00"'}, key="langfuse.observation.completion_start_time"),
    "tags of all kinds": attribute({"stringValue": '[null, 1, {"a": [1]}, "x"]'}, key="langfuse.trace.tags"),
    "metadata that is a number": attribute({"stringValue": "5"}, key="langfuse.trace.metadata"),
}  # fmt: skip


def test_odd_spans_are_taken_and_can_be_read(server: Octavo) -> None:
    traces: dict[str, str] = {}
    for what, fields in ODD_SPANS.items():
        one = {**span(server.new_trace()), **fields}
        answer = server.send(document(one), json=True)
        assert (answer.status, answer.rejected) == (200, 0), f"{what}: {answer.message}"
        traces[what] = one["traceId"].lower()

    server.settle()

    for what, trace in traces.items():
        assert len(server.read(f"/traces/{trace}")["spans"]) == 1, what
        assert server.read(f"/spans/{1:016x}", trace_id=trace)["trace_id"] == trace, what
    _reads(server, traces)


EVERYTHING_READ = [
    "/api/v1/traces?limit=200",
    "/api/v1/spans?limit=200",
    "/api/v1/traces/export",
    "/api/v1/failures",
    "/api/v1/sessions",
    "/api/v1/end-users",
    "/api/v1/metrics?measures=count,cost_usd,latency_p99,ttft_p95,total_tokens&dimensions=model,name&interval=none",
    "/api/public/v2/observations?limit=100&fields=core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context",
    "/api/public/traces?limit=100",
    "/api/public/observations?limit=100",
]


def _reads(server: Octavo, traces: dict[str, str]) -> None:
    """Every way of reading these traces gives an answer."""
    for path in EVERYTHING_READ:
        answer = server.http.get(path)
        assert answer.status_code == 200, f"{path}: {server.stack.tail()[-1500:]}"
    for what, trace in traces.items():
        if "deep" in what:
            assert server.http.get(f"/api/public/traces/{trace}").status_code == 200, what


ODD_PROTOBUF: dict[str, dict[str, Any]] = {
    "a status nobody knows": {"status": {"code": 7}},
    "a negative status": {"status": {"code": -3}},
    "a kind nobody knows": {"kind": 77},
    "a negative kind": {"kind": -1},
    "an end beyond all time": {"end_time_unix_nano": 2**64 - 1},
    "an event beyond all time": {"events": [{"time_unix_nano": 2**64 - 1, "name": "e"}]},
    "a link of odd ids": {"links": [{"trace_id": b"abc", "span_id": bytes(100)}]},
    "a parent of odd length": {"parent_span_id": b"abc"},
    "numbers that are none": {"attributes": {"nan": float("nan"), "inf": float("inf"), "small": 5e-324}},
    "bytes": {"attributes": {"b": bytes(range(256))}},
    "NUL": {"name": "\0", "attributes": {"\0": "\0"}},
    "10,000 attributes": {"attributes": {f"k{n}": n for n in range(10_000)}},
    "attributes as wide as deep": {"attributes": {"a": [[[[[[[["x"]]]]]]]] * 2000}},
}


def test_odd_spans_in_protobuf_are_taken_and_can_be_read(server: Octavo) -> None:
    traces: dict[str, str] = {}
    for what, fields in ODD_PROTOBUF.items():
        number, start = server.new_trace(), time.time_ns()
        known = {"trace_id": number.to_bytes(16), "start_time_unix_nano": start, "end_time_unix_nano": start + 1000}
        answer = server.send(protobuf({**known, **fields}))
        assert (answer.status, answer.rejected) == (200, 0), f"{what}: {answer.message}"
        traces[what] = f"{number:032x}"

    server.settle()

    for what, trace in traces.items():
        assert server.read(f"/spans/{1:016x}", trace_id=trace)["trace_id"] == trace, what
    _reads(server, traces)


def test_refused_spans_in_protobuf_are_counted(server: Octavo) -> None:
    trace, now = server.new_trace().to_bytes(16), {"start_time_unix_nano": time.time_ns()}
    wrong: list[dict[str, Any]] = [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": bytes(17)},
        {"trace_id": trace, "span_id": b""},
        {"trace_id": trace, "span_id": bytes(8)},
        {"trace_id": trace, "start_time_unix_nano": 0},
        {"trace_id": trace, "start_time_unix_nano": 2**64 - 1},
    ]

    answer = server.send(protobuf({"trace_id": trace, **now}, *({**now, **one} for one in wrong)))

    assert (answer.status, answer.rejected) == (200, len(wrong))
    assert "0 bytes" in answer.message


def deep_protobuf(depth: int) -> bytes:
    """A span with an attribute of `depth` arrays, written by hand: the library refuses to."""

    def field(number: int, payload: bytes) -> bytes:
        length, rest = b"", len(payload)
        while rest > 0x7F:
            length += bytes([rest & 0x7F | 0x80])
            rest >>= 7
        return bytes([number << 3 | 2]) + length + bytes([rest]) + payload

    value = field(1, b"x")
    for _ in range(depth):
        value = field(5, field(1, value))
    pair = field(1, b"a") + field(2, value)
    start = b"\x39" + struct.pack("<Q", time.time_ns())
    one = field(1, b"\1" * 16) + field(2, b"\1" * 8) + field(5, b"deep") + start + field(9, pair)
    return field(1, field(2, field(2, one)))


def logs_request() -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(body=any_value("hello"), severity_number=9)
    return bytes(request.SerializeToString())


def metrics_request() -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m", unit="s")
    metric.gauge.data_points.add(as_double=1.0, time_unix_nano=1)
    return bytes(request.SerializeToString())


GOOD = protobuf({"start_time_unix_nano": time.time_ns()})
WRONG_BODIES: dict[str, tuple[bytes, bool, dict[str, str], int]] = {
    "noise": (b"\xff\xfe\xfd" * 50, False, {}, 400),
    "half a message": (GOOD[: len(GOOD) // 2], False, {}, 400),
    "JSON as protobuf": (document(span(1)), False, {}, 400),
    "protobuf as JSON": (GOOD, True, {}, 400),
    "1,000 levels of protobuf": (deep_protobuf(1000), False, {}, 400),
    "text that is not UTF-8": (GOOD.replace(b"call", b"\xff\xff\xff\xff"), False, {}, 400),
    "nothing as JSON": (b"", True, {}, 400),
    "half of a JSON": (document(span(1))[:-20], True, {}, 400),
    "a JSON list": (b"[]", True, {}, 400),
    "a JSON number": (b"5", True, {}, 400),
    "a JSON null": (b"null", True, {}, 400),
    "resourceSpans that are an object": (b'{"resourceSpans": {}}', True, {}, 400),
    "resourceSpans of numbers": (b'{"resourceSpans": [5]}', True, {}, 400),
    "scopeSpans that are a text": (b'{"resourceSpans": [{"scopeSpans": "x"}]}', True, {}, 400),
    "spans that are a number": (b'{"resourceSpans": [{"scopeSpans": [{"spans": 5}]}]}', True, {}, 400),
    "a lone surrogate": (document(span(1)).replace(b"step", b"\\ud800"), True, {}, 400),
    "a raw control character": (document(span(1)).replace(b"step", b"a\0b"), True, {}, 400),
    "NaN": (document(span(1)).replace(b'"step"', b"NaN"), True, {}, 400),
    "JSON of 5,000 levels": (b'{"resourceSpans":' + b"[" * 5000 + b"]" * 5000 + b"}", True, {}, 400),
    "UTF-16": (document(span(1)).decode().encode("utf-16"), True, {}, 400),
    "logs": (logs_request(), False, {}, 400),
    "metrics": (metrics_request(), False, {}, 400),
    "gzip that is none": (GOOD, False, {"content_encoding": "gzip"}, 400),
    "half a gzip": (gzip.compress(GOOD * 50)[:-20], False, {"content_encoding": "gzip"}, 400),
    "a gzip of a wrong sum": (
        gzip.compress(GOOD)[:-8] + bytes(8), False, {"content_encoding": "gzip"}, 400,
    ),
    "a gzip with noise behind": (gzip.compress(GOOD) + b"noise", False, {"content_encoding": "gzip"}, 400),
    "a gzip in a gzip": (gzip.compress(gzip.compress(GOOD)), False, {"content_encoding": "gzip"}, 400),
    "half a deflate": (zlib.compress(GOOD * 50)[:-20], False, {"content_encoding": "deflate"}, 400),
    "a gzip unannounced": (gzip.compress(GOOD), False, {}, 400),
    "a gzip bomb": (gzip.compress(bytes(40 << 20)), False, {"content_encoding": "gzip"}, 413),
    "a gzip bomb in JSON": (gzip.compress(b" " * (40 << 20)), True, {"content_encoding": "gzip"}, 413),
    "a deflate bomb": (zlib.compress(bytes(40 << 20)), False, {"content_encoding": "deflate"}, 413),
    "a long body": (bytes(LIMIT_MB << 20) + b"x", False, {}, 413),
    "another compression": (GOOD, False, {"content_encoding": "br"}, 415),
    "two compressions": (GOOD, False, {"content_encoding": "gzip, gzip"}, 415),
    "a text": (GOOD, False, {"kind": "text/plain"}, 415),
    "no type": (GOOD, False, {"kind": ""}, 415),
    "a wrong key": (GOOD, False, {"authorization": "Bearer sk-oct-wrong"}, 401),
    "a wrong key with JSON": (document(span(1)), True, {"authorization": "Bearer sk-oct-wrong"}, 401),
    "a key that is no header": (GOOD, False, {"authorization": "Basic !!!"}, 401),
    "too many headers": (GOOD, False, {"x_long": "x" * 40_000}, 431),
}  # fmt: skip
GRPC_CODES = {401: 16, 403: 7}


@pytest.mark.parametrize(("body", "json", "headers", "status"), WRONG_BODIES.values(), ids=WRONG_BODIES.keys())
@pytest.mark.parametrize("path", ["/v1/traces", "/api/public/otel/v1/traces"])
def test_a_wrong_body_is_refused_with_a_status(
    server: Octavo, path: str, body: bytes, json: bool, headers: dict[str, str], status: int
) -> None:
    before = server.admin.call("GET", "/accounting")["accepted"]

    answer = server.send(body, json=json, path=path, **headers)

    assert (answer.status, answer.code) == (status, GRPC_CODES.get(status, 3)), answer.message
    assert answer.message
    assert server.admin.call("GET", "/accounting")["accepted"] == before


def test_empty_requests_are_none_the_worse(server: Octavo) -> None:
    for body, is_json in ((b"", False), (b"{}", True), (b'{"resourceSpans": [{}, {"scopeSpans": [{}]}]}', True)):
        assert server.send(body, json=is_json)[:2] == (200, 0)
    assert server.send(gzip.compress(b""), content_encoding="gzip")[:2] == (200, 0)


@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_other_signals_are_refused_when_they_are_none(server: Octavo, signal: str) -> None:
    path = f"/v1/{signal}"
    assert server.send(b"\xff" * 20, path=path).status == 400
    assert server.send(b"{", path=path, json=True).status == 400
    assert server.send(b"x", path=path, content_encoding="gzip").status == 400
    assert server.send(gzip.compress(bytes(40 << 20)), path=path, content_encoding="gzip").status == 413
    assert server.send(logs_request() if signal == "logs" else metrics_request(), path=path).status == 200


def test_log_records_of_any_time_are_kept_for_their_span(server: Octavo) -> None:
    trace, now = server.new_trace(), time.time_ns()
    ids = {"traceId": f"{trace:032x}", "spanId": f"{1:016x}"}
    records = [
        {**ids, "eventName": f"at {told}", "timeUnixNano": told, "body": {"stringValue": "x"}}
        for told in ("0", str(2**64 - 1), str(now), "nonsense")
    ]
    wrong: list[Any] = [5, None, {**ids, "attributes": 5}, {**ids, "spanId": "zz"}]
    of_no_span: list[Any] = [{}, {"traceId": "ab" * 16}, {**ids, "spanId": "0" * 16}]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records + wrong + of_no_span}]}]}
    answer = server.send(orjson.dumps(body), path="/v1/logs", json=True)
    assert (answer.status, answer.rejected) == (200, len(wrong) + 1)
    assert answer.message
    assert server.send(document(span(trace)), json=True).status == 200
    server.settle()

    events = server.read(f"/spans/{1:016x}", trace_id=f"{trace:032x}")["events"]
    assert {one["name"] for one in events} == {"at 0", f"at {2**64 - 1}", f"at {now}"}
    assert {one["time"][:4] for one in events} == {time.strftime("%Y", time.gmtime(now / 1e9))}


def test_a_body_that_does_not_end_does_not_hurt(server: Octavo) -> None:
    def pieces() -> Iterator[bytes]:
        yield GOOD[:10]
        raise TimeoutError

    with pytest.raises((httpx.TransportError, TimeoutError)):
        server.http.post("/v1/traces", content=pieces(), headers={"content-type": PROTOBUF})
    assert server.send(b"").status == 200


def _answered(server: Octavo, body: bytes, *, json: bool = False, **headers: str) -> None:
    """The answer is one of OTLP's; and the server goes on."""
    answer = server.send(body, json=json, **headers)
    assert answer.status in (200, 400, 413), answer


SEED = protobuf(
    {
        "start_time_unix_nano": time.time_ns(),
        "attributes": {"gen_ai.input.messages": '[{"role": "user"}]', "n": 1, "d": 2.5, "list": ["a", {"b": b"c"}]},
        "events": [{"name": "e", "time_unix_nano": 5}],
        "links": [{"trace_id": bytes(16)}],
        "status": {"code": 2, "message": "m"},
    },
    {"start_time_unix_nano": time.time_ns(), "parent_span_id": b"\1" * 8},
)
Edits = list[tuple[int, int, bytes]]
edits: st.SearchStrategy[Edits] = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 4), st.binary(max_size=4)), min_size=1, max_size=6
)


def changed(body: bytes, wanted: Edits) -> bytes:
    """The body with pieces taken out and others put in."""
    for at, taken, put in wanted:
        at %= len(body) + 1
        body = body[:at] + put + body[at + taken :]
    return body


@FUZZ
@given(wanted=edits)
def test_no_change_of_a_protobuf_is_too_much(server: Octavo, wanted: Edits) -> None:
    _answered(server, changed(SEED, wanted))


@FUZZ
@given(wanted=edits)
def test_no_change_of_a_json_is_too_much(server: Octavo, wanted: Edits) -> None:
    _answered(server, changed(document(span(7, **attribute({"doubleValue": 1.5})), span(7, 2)), wanted), json=True)


@FUZZ
@given(wanted=edits)
def test_no_change_of_a_gzip_is_too_much(server: Octavo, wanted: Edits) -> None:
    _answered(server, changed(gzip.compress(SEED, mtime=0), wanted), content_encoding="gzip")


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70).map(str) | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["key", "value", "values", "stringValue", "intValue", "doubleValue", "kvlistValue", "name"])
        | st.text(max_size=4), inner, max_size=3,
    ),
    max_leaves=8,
)  # fmt: skip


@FUZZ
@given(
    fields=st.dictionaries(
        st.sampled_from(
            [
                "attributes",
                "events",
                "links",
                "status",
                "kind",
                "name",
                "parentSpanId",
                "endTimeUnixNano",
                "flags",
                "traceState",
                "startTimeUnixNano",
                "spanId",
                "traceId",
            ]
        ),
        anything,
        min_size=1,
    )
)
def test_no_type_in_any_field_is_too_much(server: Octavo, fields: dict[str, Any]) -> None:
    _answered(server, document(span(8), {**span(8, 2), **fields}), json=True)


@FUZZ
@given(resource=anything, scope=anything, spans=anything)
def test_no_type_around_spans_is_too_much(server: Octavo, resource: Any, scope: Any, spans: Any) -> None:
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}
    _answered(server, orjson.dumps(body), json=True)


SCORE = {"name": "n", "value": 1, "dataType": "NUMERIC", "traceId": "ab" * 16}
WRONG_SCORES: list[dict[str, Any]] = [
    {"name": ""},
    {"name": 5},
    {"traceId": ""},
    {"value": "x"},
    {"value": None},
    {"dataType": "ODD"},
    {"timestamp": "9999-12-31T23:59:59Z"},
    {"timestamp": "0001-01-01T00:00:00Z"},
    {"timestamp": "yesterday"},
    {"metadata": orjson.loads("[" * 240 + "]" * 240)},
    {"metadata": orjson.loads("[" * 900 + "]" * 900)},
    {"comment": "c" * 20_001},
    {"environment": "e" * 201},
]


@pytest.mark.parametrize("wrong", WRONG_SCORES, ids=range(len(WRONG_SCORES)))
def test_a_wrong_score_is_refused_and_holds_up_nothing(server: Octavo, wrong: dict[str, Any]) -> None:
    score = {**SCORE, **wrong}
    body = json.dumps(score)
    assert server.http.post("/api/public/scores", content=body).status_code == 400
    event = {"id": "e", "type": "score-create", "timestamp": "2026-11-01T00:00:00Z", "body": score}
    answer = server.http.post("/api/public/ingestion", content=json.dumps({"batch": [event]}))
    assert (answer.status_code, [one["status"] for one in answer.json()["errors"]]) == (207, [400])
    server.settle()


@FUZZ
@given(
    path=st.sampled_from(["scores", "score-configs", "comments", "ingestion"]),
    body=st.dictionaries(
        st.sampled_from(
            [*SCORE, "id", "metadata", "comment", "timestamp", "batch", "categories", "minValue", "configId"]
        ),
        anything,
        max_size=4,
    ),
)
def test_no_body_of_langfuses_other_routes_is_too_much(server: Octavo, path: str, body: dict[str, Any]) -> None:
    for sent in (body, {**SCORE, **body}, {"batch": [{"id": "e", "type": "score-create", "body": {**SCORE, **body}}]}):
        answer = server.http.post(f"/api/public/{path}", content=orjson.dumps(sent))
        assert answer.status_code < 500, (sent, answer.text)


@FUZZ
@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["attributes", "body", "eventName", "timeUnixNano", "observedTimeUnixNano", "spanId", "severityNumber"]
        ),
        anything,
        min_size=1,
    )
)
def test_no_type_in_any_log_record_is_too_much(server: Octavo, fields: dict[str, Any]) -> None:
    record = {"traceId": f"{9:032x}", "spanId": f"{9:016x}", **fields}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert server.send(orjson.dumps(body), path="/v1/logs", json=True).status == 200
