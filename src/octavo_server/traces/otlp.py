"""OTLP's bodies, protobuf and JSON: counted when they arrive, decoded when they are stored. Pure.

What cannot be read as a whole raises MalformedOtlp; a span that is wrong by itself (an id of the wrong length, an
impossible time, a field of another type) is refused alone, in both steps alike.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.traces.model import SpanEvent, SpanLink

_MAX_DEPTH = 40
_EARLIEST_NS = 86_400 * 10**9
_LATEST_NS = 3_786_912_000 * 10**9  # the year 2090: times and retention fit the store's 32-bit seconds
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_NO_IDS = (b"", _NO_TRACE, _NO_SPAN)
_TOO_DEEP = f"(nested deeper than {_MAX_DEPTH} levels)"


class MalformedOtlp(Invalid):
    """The body is no export request of this signal."""

    code = "malformed_otlp"


class Receipt(NamedTuple):
    """What of a body can be taken, and why the rest cannot."""

    accepted: int
    rejected: int
    reason: str


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """What the spans of one resource and scope share."""

    resource: dict[str, JSON] = {}
    scope_name: str = ""
    scope_version: str = ""
    scope_attributes: dict[str, JSON] = {}


class RawSpan(msgspec.Struct, gc=False):
    """A span as it came, its values made plain."""

    sender: Sender
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    flags: int
    trace_state: str
    attributes: dict[str, JSON]
    events: list[SpanEvent]
    links: list[SpanLink]


class RawLog(msgspec.Struct, frozen=True):
    """A log record that belongs to a span."""

    trace_id: str
    span_id: str
    event: SpanEvent


class Refused(NamedTuple):
    """A span that is not stored."""

    reason: str


def count_spans(body: bytes, *, json: bool) -> Receipt:
    """What of an export request of traces can be stored. Raises MalformedOtlp."""
    accepted = rejected = empty = 0
    reason = ""
    for span in _json_spans(body) if json else _protobuf_spans(body):
        wrong, nameless = _wrong_json(span) if json else _wrong_protobuf(span)
        if wrong:
            rejected += 1
            empty += nameless
            reason = reason or wrong
        else:
            accepted += 1
    if empty and empty == rejected + accepted:
        raise MalformedOtlp(
            "no span of this request has ids: is it another signal, logs or metrics, sent to /v1/traces?"
        )
    return Receipt(accepted, rejected, reason)


def count_logs(body: bytes, *, json: bool) -> Receipt:
    """What of an export request of logs is kept: the records that belong to a span. Those of none are left out, which
    is no refusal. Raises MalformedOtlp."""
    kept = rejected = 0
    reason = ""
    for one in _logs(body, json):
        if isinstance(one, Refused):
            rejected += 1
            reason = reason or one.reason
        else:
            kept += 1
    return Receipt(kept, rejected, reason)


def count_metrics(body: bytes, *, json: bool) -> Receipt:
    """Reads an export request of metrics, of which nothing is kept. Raises MalformedOtlp."""
    if json:
        _list(_json_body(body), "resourceMetrics", "resource_metrics")
    else:
        _parse_protobuf(ExportMetricsServiceRequest, body)
    return Receipt(0, 0, "")


def read_spans(body: bytes, *, json: bool) -> Iterator[RawSpan | Refused]:
    """The spans of an export request. Raises MalformedOtlp."""
    return _read_json_spans(body) if json else _read_protobuf_spans(body)


def read_logs(body: bytes, *, json: bool) -> Iterator[RawLog]:
    """The log records of an export request that belong to a span. Raises MalformedOtlp."""
    return (one for one in _logs(body, json) if not isinstance(one, Refused))


def _logs(body: bytes, json: bool) -> Iterator[RawLog | Refused]:
    return _read_json_logs(body) if json else _read_protobuf_logs(body)


def is_valid_time(ns: int) -> bool:
    """Whether a span may start then."""
    return _EARLIEST_NS <= ns < _LATEST_NS


def _wrong_id(trace_id: bytes, span_id: bytes) -> str:
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        return f"a trace id has {len(trace_id)} bytes; expected 16, not all zero"
    if len(span_id) != 8 or span_id == _NO_SPAN:
        return f"a span id has {len(span_id)} bytes; expected 8, not all zero"
    return ""


def _wrong_time(start_ns: int) -> str:
    return "" if is_valid_time(start_ns) else f"a span starts at {start_ns} ns; expected nanoseconds since 1970"


# Protobuf


def _parse_protobuf(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except (DecodeError, ValueError) as error:
        raise MalformedOtlp(f"the body is no {kind.DESCRIPTOR.name} in protobuf") from error


def _protobuf_spans(body: bytes) -> Iterator[Any]:
    for of_resource in _parse_protobuf(ExportTraceServiceRequest, body).resource_spans:
        for of_scope in of_resource.scope_spans:
            yield from of_scope.spans


def _wrong_protobuf(span: Any) -> tuple[str, bool]:
    trace_id, span_id = span.trace_id, span.span_id
    return _wrong_id(trace_id, span_id) or _wrong_time(span.start_time_unix_nano), not (trace_id or span_id)


def _read_protobuf_spans(body: bytes) -> Iterator[RawSpan | Refused]:
    for of_resource in _parse_protobuf(ExportTraceServiceRequest, body).resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            scope = of_scope.scope
            sender = Sender(
                resource=resource,
                scope_name=scope.name,
                scope_version=scope.version,
                scope_attributes=_attributes(scope.attributes),
            )
            for span in of_scope.spans:
                yield _read_protobuf_span(span, sender)


def _read_protobuf_span(span: Any, sender: Sender) -> RawSpan | Refused:
    trace_id, span_id, parent, start_ns = span.trace_id, span.span_id, span.parent_span_id, span.start_time_unix_nano
    if wrong := _wrong_id(trace_id, span_id) or _wrong_time(start_ns):
        return Refused(wrong)
    status = span.status
    events, links = span.events, span.links
    return RawSpan(
        sender,
        trace_id.hex(),
        span_id.hex(),
        parent.hex() if len(parent) == 8 and parent != _NO_SPAN else "",
        span.name,
        _known(span.kind, _KINDS),
        start_ns,
        min(span.end_time_unix_nano, _LATEST_NS),
        _known(status.code, _STATUS_CODES),
        status.message,
        span.flags,
        span.trace_state,
        _attributes(span.attributes),
        [SpanEvent(name=e.name, time_ns=e.time_unix_nano, attributes=_attributes(e.attributes)) for e in events]
        if events
        else [],
        [
            SpanLink(trace_id=link.trace_id.hex(), span_id=link.span_id.hex(), attributes=_attributes(link.attributes))
            for link in links
        ]
        if links
        else [],
    )


def _read_protobuf_logs(body: bytes) -> Iterator[RawLog | Refused]:
    for of_resource in _parse_protobuf(ExportLogsServiceRequest, body).resource_logs:
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                if record.trace_id in _NO_IDS or record.span_id in _NO_IDS:
                    continue
                if wrong := _wrong_id(record.trace_id, record.span_id):
                    yield Refused(wrong)
                    continue
                attributes = _attributes(record.attributes)
                yield _log(
                    record.trace_id.hex(),
                    record.span_id.hex(),
                    record.event_name,
                    record.time_unix_nano or record.observed_time_unix_nano,
                    attributes,
                    _value(record.body, 0),
                )


def _attributes(pairs: Any) -> dict[str, JSON]:
    # The hot loop of ingest: texts and numbers are read here, the rest by `_value`.
    found: dict[str, JSON] = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":
            found[pair.key] = value.string_value
        elif kind == "int_value":
            found[pair.key] = value.int_value
        else:
            found[pair.key] = _value(value, 0)
    return found


def _value(value: Any, depth: int) -> JSON:
    match value.WhichOneof("value"):
        case None:
            return None
        case "double_value":
            return _number(value.double_value)
        case "bytes_value":
            return b64encode(value.bytes_value).decode()
        case "array_value":
            if depth >= _MAX_DEPTH:
                return _TOO_DEEP
            return [_value(one, depth + 1) for one in value.array_value.values]
        case "kvlist_value":
            if depth >= _MAX_DEPTH:
                return _TOO_DEEP
            return {pair.key: _value(pair.value, depth + 1) for pair in value.kvlist_value.values}
        case name:
            plain: JSON = getattr(value, name)
            return plain


def _number(value: float) -> JSON:
    """JSON has no NaN and no infinity: they are kept as texts."""
    return value if math.isfinite(value) else str(value)


# JSON


def _json_body(body: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedOtlp(f"the body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedOtlp("the body is no JSON object")
    return document


def _get(owner: Mapping[str, Any], camel: str, snake: str) -> Any:
    return owner[camel] if camel in owner else owner.get(snake)


def _list(owner: Any, camel: str, snake: str) -> list[Any]:
    if not isinstance(owner, dict):
        raise MalformedOtlp(f"an object that should hold {camel} is none")
    found = _get(owner, camel, snake)
    if found is None:
        return []
    if not isinstance(found, list):
        raise MalformedOtlp(f"{camel} is no list")
    return found


def _json_spans(body: bytes) -> Iterator[Any]:
    for of_resource in _list(_json_body(body), "resourceSpans", "resource_spans"):
        for of_scope in _list(of_resource, "scopeSpans", "scope_spans"):
            yield from _list(of_scope, "spans", "spans")


def _wrong_json(span: Any) -> tuple[str, bool]:
    read = _read_json_span(span, Sender())
    if not isinstance(read, Refused):
        return "", False
    nameless = isinstance(span, dict) and not (_get(span, "traceId", "trace_id") or _get(span, "spanId", "span_id"))
    return read.reason, nameless


def _read_json_spans(body: bytes) -> Iterator[RawSpan | Refused]:
    for of_resource in _list(_json_body(body), "resourceSpans", "resource_spans"):
        for of_scope in _list(of_resource, "scopeSpans", "scope_spans"):
            spans = _list(of_scope, "spans", "spans")
            sender = _json_sender(of_resource.get("resource"), of_scope.get("scope"))
            for span in spans:
                yield _read_json_span(span, sender)


def _json_sender(resource: Any, scope: Any) -> Sender:
    try:
        scope = scope if isinstance(scope, dict) else {}
        return Sender(
            resource=_json_attributes(resource.get("attributes")) if isinstance(resource, dict) else {},
            scope_name=_text(scope.get("name")),
            scope_version=_text(scope.get("version")),
            scope_attributes=_json_attributes(scope.get("attributes")),
        )
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError):
        return Sender()


def _read_json_span(span: Any, sender: Sender) -> RawSpan | Refused:
    if not isinstance(span, dict):
        return Refused("a span is no JSON object")
    try:
        trace_id = _hex(_get(span, "traceId", "trace_id"))
        span_id = _hex(_get(span, "spanId", "span_id"))
        start_ns = _int(_get(span, "startTimeUnixNano", "start_time_unix_nano"))
        if wrong := _wrong_id(trace_id, span_id) or _wrong_time(start_ns):
            return Refused(wrong)
        parent = _hex(_get(span, "parentSpanId", "parent_span_id"))
        status = span.get("status") or {}
        return RawSpan(
            sender,
            trace_id.hex(),
            span_id.hex(),
            parent.hex() if len(parent) == 8 and parent != _NO_SPAN else "",
            _text(span.get("name")),
            _enum(span.get("kind"), _KINDS),
            start_ns,
            min(_int(_get(span, "endTimeUnixNano", "end_time_unix_nano")), _LATEST_NS),
            _enum(status.get("code"), _STATUS_CODES),
            _text(status.get("message")),
            _int(span.get("flags")) & 0xFFFFFFFF,
            _text(_get(span, "traceState", "trace_state")),
            _json_attributes(span.get("attributes")),
            [_json_event(event) for event in span.get("events") or ()],
            [_json_link(link) for link in span.get("links") or ()],
        )
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        return Refused(f"a span cannot be read: {error}")


def _read_json_logs(body: bytes) -> Iterator[RawLog | Refused]:
    for of_resource in _list(_json_body(body), "resourceLogs", "resource_logs"):
        for of_scope in _list(of_resource, "scopeLogs", "scope_logs"):
            for record in _list(of_scope, "logRecords", "log_records"):
                if (log := _json_log(record)) is not None:
                    yield log


def _json_log(record: Any) -> RawLog | Refused | None:
    if not isinstance(record, dict):
        return Refused("a log record is no JSON object")
    try:
        told = _get(record, "traceId", "trace_id"), _get(record, "spanId", "span_id")
        if not all(told):
            return None
        trace_id, span_id = map(_hex, told)
        if trace_id == _NO_TRACE or span_id == _NO_SPAN:
            return None
        if wrong := _wrong_id(trace_id, span_id):
            return Refused(wrong)
        time_ns = _int(_get(record, "timeUnixNano", "time_unix_nano"))
        return _log(
            trace_id.hex(),
            span_id.hex(),
            _text(_get(record, "eventName", "event_name")),
            time_ns or _int(_get(record, "observedTimeUnixNano", "observed_time_unix_nano")),
            _json_attributes(record.get("attributes")),
            _json_value(record.get("body"), 0),
        )
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        return Refused(f"a log record cannot be read: {error}")


def _log(trace_id: str, span_id: str, name: str, time_ns: int, attributes: dict[str, JSON], body: JSON) -> RawLog:
    named = name or str(attributes.get("event.name") or "log")
    if isinstance(body, dict):
        attributes = {**body, **attributes}
    elif body is not None:
        attributes = {"body": body, **attributes}
    return RawLog(trace_id, span_id, SpanEvent(name=named, time_ns=min(time_ns, 2**63 - 1), attributes=attributes))


def _json_attributes(pairs: Any) -> dict[str, JSON]:
    return {_text(pair["key"]): _json_value(pair.get("value"), 0) for pair in _iterable(pairs)}


def _json_value(told: Any, depth: int) -> JSON:
    if told is None:
        return None
    if not isinstance(told, dict):
        raise TypeError('an attribute\'s value is no object such as {"stringValue": …}')
    for name, value in told.items():
        match name:
            case "stringValue" | "string_value" | "boolValue" | "bool_value" | "bytesValue" | "bytes_value":
                if not isinstance(value, (str, bool)):
                    raise TypeError(f"{name} is {type(value).__name__}")
                return value
            case "intValue" | "int_value":
                return _int64(value)
            case "doubleValue" | "double_value":
                return _number(float(value))
            case "arrayValue" | "array_value":
                values = _iterable((value or {}).get("values"))
                return [_json_value(one, depth + 1) for one in values] if depth < _MAX_DEPTH else _TOO_DEEP
            case "kvlistValue" | "kvlist_value":
                if depth >= _MAX_DEPTH:
                    return _TOO_DEEP
                pairs = _iterable((value or {}).get("values"))
                return {_text(one["key"]): _json_value(one.get("value"), depth + 1) for one in pairs}
    return None


def _json_event(event: Any) -> SpanEvent:
    return SpanEvent(
        name=_text(event.get("name")),
        time_ns=_int(_get(event, "timeUnixNano", "time_unix_nano")),
        attributes=_json_attributes(event.get("attributes")),
    )


def _json_link(link: Any) -> SpanLink:
    return SpanLink(
        trace_id=_text(_get(link, "traceId", "trace_id")),
        span_id=_text(_get(link, "spanId", "span_id")),
        attributes=_json_attributes(link.get("attributes")),
    )


_KINDS = {f"SPAN_KIND_{name}": number for number, name in enumerate(
    ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
)}  # fmt: skip
_STATUS_CODES = {f"STATUS_CODE_{name}": number for number, name in enumerate(("UNSET", "OK", "ERROR"))}


def _enum(value: Any, names: Mapping[str, int]) -> int:
    if isinstance(value, str) and not value.isdecimal():
        if value not in names:
            raise ValueError(f"{value[:80]!r} is none of {', '.join(names)}")
        return names[value]
    return _known(_int(value), names)


def _known(number: int, names: Mapping[str, int]) -> int:
    """An enumeration's number; what a later version of OTLP may add is unspecified here."""
    return number if 0 <= number < len(names) else 0


def _hex(value: Any) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise TypeError(f"an id is {type(value).__name__}, expected hexadecimal text")
    try:
        return bytes.fromhex(value)
    except ValueError:
        return b""


def _int(value: Any) -> int:
    """An unsigned number, which JSON may give as a text."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, str, float)):
        raise TypeError(f"a number is {type(value).__name__}")
    number = int(value)
    if not 0 <= number < 2**64:
        raise ValueError(f"{number} is out of range")
    return number


def _int64(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str, float)):
        raise TypeError(f"intValue is {type(value).__name__}")
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"intValue {number} is out of range")
    return number


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value


def _iterable(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError(f"a list is {type(value).__name__}")
    return value
