"""OTLP bodies, right and wrong: what is taken, what is refused alone, what is refused as a whole."""

from __future__ import annotations

import gzip
import math
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.unit.traces.spans import START_NS, protobuf

from octavo_server.core.errors import TooLarge
from octavo_server.traces.otlp import MalformedOtlp, RawSpan, Refused, count_logs, count_spans, read_logs, read_spans
from octavo_server.traces.service.receiving import decompress


def as_json(body: bytes) -> bytes:
    """The JSON encoding of an export request: ids in hexadecimal, as OTLP has them."""
    document = MessageToDict(ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True)
    request = ExportTraceServiceRequest.FromString(body)
    for resource, told in zip(request.resource_spans, document.get("resourceSpans", []), strict=True):
        for scope, told_scope in zip(resource.scope_spans, told["scopeSpans"], strict=True):
            for span, told_span in zip(scope.spans, told_scope.get("spans", []), strict=True):
                for field, name in (("trace_id", "traceId"), ("span_id", "spanId"), ("parent_span_id", "parentSpanId")):
                    if value := getattr(span, field):
                        told_span[name] = value.hex()
    return orjson.dumps(document)


VALUE: dict[str, Any] = {
    "text": "é",
    "yes": True,
    "int": -5,
    "float": 1.5,
    "bytes": b"\x00\xff",
    "list": ["a", 1, ["b"]],
    "map": {"x": {"y": [1, None]}},
    "none": None,
}


@pytest.mark.parametrize("encode", [bytes, as_json], ids=["protobuf", "json"])
def test_values_of_every_type_arrive(encode: Any) -> None:
    body = encode(protobuf({"attributes": VALUE, "kind": 3, "status": {"code": 2, "message": "no"}}))

    (span,) = read_spans(body, json=encode is as_json)

    assert isinstance(span, RawSpan)
    assert span.attributes == {**VALUE, "bytes": "AP8="}
    assert (span.trace_id, span.span_id, span.parent_span_id) == ("0" * 31 + "1", "0" * 15 + "1", "")
    assert (span.kind, span.status_code, span.status_message) == (3, 2, "no")
    assert (span.start_ns, span.end_ns) == (START_NS + 1, START_NS + 1_000_000_001)
    assert span.sender.resource == {"service.name": "shop"}


def test_numbers_that_json_lacks_are_kept_as_texts() -> None:
    body = protobuf({"attributes": {"nan": math.nan, "inf": math.inf}})

    (span,) = read_spans(body, json=False)

    assert isinstance(span, RawSpan)
    assert span.attributes == {"nan": "nan", "inf": "inf"}


@pytest.mark.parametrize("encode", [bytes, as_json], ids=["protobuf", "json"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": b"short"},
        {"span_id": b"too long for one"},
        {"trace_id": bytes(16)},
        {"span_id": bytes(8)},
        {"start_time_unix_nano": 0},
        {"start_time_unix_nano": 2**64 - 1},
    ],
)
def test_a_wrong_span_is_refused_alone(encode: Any, wrong: dict[str, Any]) -> None:
    body, is_json = encode(protobuf({}, wrong, {})), encode is as_json

    receipt = count_spans(body, json=is_json)

    assert receipt[:2] == (2, 1)
    assert receipt.reason
    assert [isinstance(span, Refused) for span in read_spans(body, json=is_json)] == [False, True, False]


def test_json_spans_of_wrong_types_are_refused_alone() -> None:
    good = orjson.loads(as_json(protobuf({})))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    wrong: list[Any] = [
        5,
        None,
        {**good, "name": 5},
        {**good, "attributes": [{"key": "a", "value": 5}]},
        {**good, "attributes": [{"key": 1, "value": {"stringValue": "x"}}]},
        {**good, "attributes": {"a": 1}},
        {**good, "attributes": [{"key": "a", "value": {"intValue": "99999999999999999999"}}]},
        {**good, "startTimeUnixNano": "soon"},
        {**good, "events": [5]},
        {**good, "status": "bad"},
        {**good, "kind": "SPAN_KIND_UNHEARD"},
    ]
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [good, *wrong]}]}]})

    assert count_spans(body, json=True)[:2] == (1, len(wrong))


@pytest.mark.parametrize(
    ("body", "is_json"),
    [
        (b"\xff\xff\xff", False),
        (b"{", True),
        (b"[]", True),
        (b'{"resourceSpans": 5}', True),
        (b'{"resourceSpans": [5]}', True),
        (b'{"resourceSpans": [{"scopeSpans": {}}]}', True),
        (b"[" * 100_000, True),
    ],
)
def test_what_is_no_request_is_refused_whole(body: bytes, is_json: bool) -> None:
    with pytest.raises(MalformedOtlp):
        count_spans(body, json=is_json)


def test_logs_sent_as_traces_are_refused_whole() -> None:
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add()
    record.severity_number = 9
    record.time_unix_nano = START_NS

    with pytest.raises(MalformedOtlp, match="another signal"):
        count_spans(logs.SerializeToString(), json=False)


def test_deep_values_end_at_a_depth() -> None:
    good = orjson.loads(as_json(protobuf({})))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    told: Any = {"stringValue": "deep"}
    for _ in range(60):
        told = {"arrayValue": {"values": [told]}}
    span = {**good, "attributes": [{"key": "a", "value": told}]}
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})

    (read,) = read_spans(body, json=True)

    assert isinstance(read, RawSpan)
    assert b"nested deeper" in orjson.dumps(read.attributes)


def test_logs_of_spans_are_read_with_body_and_attributes() -> None:
    logs = ExportLogsServiceRequest()
    records = logs.resource_logs.add().scope_logs.add().log_records
    records.add(time_unix_nano=5)
    record = records.add(time_unix_nano=START_NS, trace_id=bytes(15) + b"\x01", span_id=bytes(7) + b"\x01")
    record.event_name = "gen_ai.user.message"
    content = record.body.kvlist_value.values.add(key="content")
    content.value.string_value = "Why?"

    (log,) = read_logs(logs.SerializeToString(), json=False)

    assert (log.trace_id, log.span_id) == ("0" * 31 + "1", "0" * 15 + "1")
    assert (log.event.name, log.event.attributes) == ("gen_ai.user.message", {"content": "Why?"})
    assert count_logs(logs.SerializeToString(), json=False).accepted == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_are_refused(body: bytes) -> None:
    for is_json in (False, True):
        try:
            receipt = count_spans(body, json=is_json)
        except MalformedOtlp:
            continue
        assert sum(isinstance(span, RawSpan) for span in read_spans(body, json=is_json)) == receipt.accepted


JSON_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "traceId",
                    "spanId",
                    "attributes",
                    "key",
                    "value",
                    "status",
                    "scope",
                    "stringValue",
                    "arrayValue",
                    "values",
                    "startTimeUnixNano",
                    "events",
                    "links",
                    "resource",
                    "kind",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON_TREES, JSON_TREES)
def test_any_json_is_a_request_or_is_refused(tree: Any, attributes: Any) -> None:
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "startTimeUnixNano": START_NS, "attributes": attributes}
    for document in (tree, {"resourceSpans": [{"resource": tree, "scopeSpans": [{"spans": [span, tree]}]}]}):
        try:
            body = orjson.dumps(document)
        except orjson.JSONEncodeError:  # whole numbers that JSON writers do not write
            continue
        try:
            receipt = count_spans(body, json=True)
        except MalformedOtlp:
            continue
        assert sum(isinstance(one, RawSpan) for one in read_spans(body, json=True)) == receipt.accepted


def test_a_small_body_cannot_fill_the_memory() -> None:
    bomb = gzip.compress(bytes(5 << 20))

    assert decompress(gzip.compress(b"abc"), "gzip", 1000) == b"abc"
    with pytest.raises(TooLarge):
        decompress(bomb, "gzip", 1 << 20)
    with pytest.raises(MalformedOtlp):
        decompress(b"not gzip", "gzip", 1000)
    with pytest.raises(MalformedOtlp):
        decompress(gzip.compress(b"abc" * 100)[:-12], "gzip", 1000)
