"""OTLP over HTTP, at OpenTelemetry's own paths and at Langfuse's: protobuf and JSON, plain or compressed.

Answers follow the protocol, since exporters retry only 429, 502, 503 and 504 and drop a batch on anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from fastapi import APIRouter, Request, Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from octavo_server.core.errors import Invalid, OctavoError
from octavo_server.edge.access import Caller, Permission, Principal, allows
from octavo_server.traces.model import Origin
from octavo_server.traces.otlp import Receipt
from octavo_server.traces.service.receiving import Receiving

OTLP_PATHS = frozenset(
    f"{prefix}/v1/{signal}" for prefix in ("", "/api/public/otel") for signal in ("traces", "logs", "metrics")
)

_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"
_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
_GRPC_CODES = {401: 16, 403: 7, 429: 8, 503: 14}  # google.rpc.Code; 3 is INVALID_ARGUMENT


class UnsupportedMedia(Invalid):
    """The body's type or compression is none that OTLP knows."""

    status = 415
    code = "unsupported_media_type"


def build_otlp_router(receiving: Receiving) -> APIRouter:
    """The routes, which are OpenTelemetry's and therefore not in the API's description."""
    router = APIRouter(tags=["otlp"], include_in_schema=False)

    async def take_traces(request: Request, caller: Caller) -> Response:
        """Takes spans."""
        return await _take(request, caller, receiving.take_spans, _traces_answer)

    async def take_logs(request: Request, caller: Caller) -> Response:
        """Takes log records; those of a span become events of it."""
        return await _take(request, caller, receiving.take_logs, _logs_answer)

    async def take_metrics(request: Request, caller: Caller) -> Response:
        """Takes metrics, and keeps none: Octavo measures by its spans."""
        return await _take(request, caller, _take_nothing, _metrics_answer)

    for prefix, name in (("", ""), ("/api/public/otel", "langfuse_")):
        for signal, handler in (("traces", take_traces), ("logs", take_logs), ("metrics", take_metrics)):
            router.add_api_route(
                f"{prefix}/v1/{signal}",
                handler,
                methods=["POST"],
                name=f"{name}take_{signal}",
                **allows(Permission.TRACES_WRITE),
            )
    return router


_Take = Callable[..., Awaitable[Receipt]]
_Answer = Callable[[Receipt, bool], bytes]


async def _take(request: Request, caller: Principal, take: _Take, answer: _Answer) -> Response:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == _JSON
    media = _JSON if is_json else _PROTOBUF
    try:
        encoding = request.headers.get("content-encoding", "").strip().lower()
        if kind not in (_JSON, _PROTOBUF):
            raise UnsupportedMedia(f"Content-Type is {kind[:80]!r}; expected {_PROTOBUF} or {_JSON}.")
        if encoding not in _ENCODINGS:
            raise UnsupportedMedia(f"Content-Encoding is {encoding[:40]!r}; expected gzip, deflate or none.")
        origin = Origin(
            project_id=caller.project,
            environment=caller.environment or "",
            api_key_id=caller.id if caller.kind == "api_key" else "",
            json=is_json,
        )
        receipt = await take(await request.body(), origin, encoding=encoding)
    except OctavoError as error:
        headers = {}
        if error.retry_after_s is not None:
            headers["retry-after"] = str(max(1, round(error.retry_after_s)))
        return Response(_status(error, is_json), error.status, headers, media_type=media)
    return Response(answer(receipt, is_json), media_type=media)


async def _take_nothing(body: bytes, origin: Origin, *, encoding: str) -> Receipt:
    return Receipt(0, 0, "")


def _traces_answer(receipt: Receipt, is_json: bool) -> bytes:
    if not receipt.rejected:
        return b"{}" if is_json else b""
    if is_json:
        partial = {"rejectedSpans": str(receipt.rejected), "errorMessage": receipt.reason}
        return orjson.dumps({"partialSuccess": partial})
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = receipt.rejected
    answer.partial_success.error_message = receipt.reason
    return bytes(answer.SerializeToString())


def _logs_answer(receipt: Receipt, is_json: bool) -> bytes:
    return b"{}" if is_json else bytes(ExportLogsServiceResponse().SerializeToString())


def _metrics_answer(receipt: Receipt, is_json: bool) -> bytes:
    return b"{}" if is_json else bytes(ExportMetricsServiceResponse().SerializeToString())


def _status(error: OctavoError, is_json: bool) -> bytes:
    """OTLP's body of a failure: a google.rpc.Status."""
    code = _GRPC_CODES.get(error.status, 3)
    if is_json:
        return orjson.dumps({"code": code, "message": error.message})
    message = error.message.encode()[:16_000]
    length = bytearray()
    rest = len(message)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return bytes([0x08, code, 0x12, *length]) + message
