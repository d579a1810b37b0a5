"""Spans as clients send them, for tests."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from octavo_server.costs.runtime import normalise_usage
from octavo_server.traces.mapping import Mapper
from octavo_server.traces.model import Origin, ProjectRules, Span
from octavo_server.traces.otlp import RawSpan, Sender

START_NS = 1_780_000_000_000_000_000
ORIGIN = Origin(project_id="prj_1")


def raw(attributes: dict[str, Any], **changes: Any) -> RawSpan:
    """A span with these attributes."""
    known: dict[str, Any] = {
        "sender": Sender(resource={"service.name": "shop"}, scope_name="test"),
        "trace_id": "ab" * 16,
        "span_id": "cd" * 8,
        "parent_span_id": "",
        "name": "call",
        "kind": 1,
        "start_ns": START_NS,
        "end_ns": START_NS + 2_000_000_000,
        "status_code": 0,
        "status_message": "",
        "flags": 0,
        "trace_state": "",
        "attributes": attributes,
        "events": [],
        "links": [],
    }
    return RawSpan(**{**known, **changes})


def mapped(attributes: dict[str, Any], rules: ProjectRules | None = None, **changes: Any) -> Span:
    """The product's span of one with these attributes."""
    return Mapper(normalise_usage).span(raw(attributes, **changes), ORIGIN, rules or ProjectRules())


def any_value(value: Any) -> AnyValue:
    """A value as protobuf has it."""
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
    raise TypeError(type(value))


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in attributes.items()]


def protobuf(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    """An export request. A span is its protobuf fields, `attributes` as a dict."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.extend(key_values(resource or {"service.name": "shop"}))
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = "test"
    for number, span in enumerate(spans, 1):
        known = {
            "trace_id": (1).to_bytes(16),
            "span_id": number.to_bytes(8),
            "name": "call",
            "start_time_unix_nano": START_NS + number,
            "end_time_unix_nano": START_NS + number + 1_000_000_000,
            **span,
        }
        known["attributes"] = key_values(known.get("attributes", {}))
        of_scope.spans.add(**known)
    return bytes(request.SerializeToString())
