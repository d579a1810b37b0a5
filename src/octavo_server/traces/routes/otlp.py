"""OTLP over HTTP, at OpenTelemetry's own paths and at Langfuse's: protobuf and JSON, plain or compressed.

Answers follow the protocol, since exporters retry only 429, 502, 503 and 504 and drop a batch on anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from fastapi import APIRouter, Request, Response
from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.exceptions import HTTPException

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
_AGAIN = frozenset({408, 500})
"""Refused for no fault of the batch. Exporters would drop it, so they are told 503, on which they send it again."""


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
        return await _take(request, caller, receiving.take_metrics, _metrics_answer)

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
    told = request.headers.get("content-type", "")
    kind = _media(told)
    is_json = kind == _JSON
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
        return otlp_refusal(error.status, error.message, told, error.retry_after_s)
    except HTTPException as error:  # of the body: too long, or too slow to come
        return otlp_refusal(error.status_code, error.detail, told)
    return Response(answer(receipt, is_json), media_type=_JSON if is_json else _PROTOBUF)


def otlp_refusal(status: int, message: str, content_type: str, retry_after_s: float | None = None) -> Response:
    """A failure as OTLP writes it: a google.rpc.Status in the encoding of the request."""
    if status in _AGAIN:
        status, retry_after_s = 503, 1.0
    headers = {} if retry_after_s is None else {"retry-after": str(max(1, round(retry_after_s)))}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="octavo"'
    code = _GRPC_CODES.get(status, 3)
    if _media(content_type) == _JSON:
        return Response(orjson.dumps({"code": code, "message": message}), status, headers, media_type=_JSON)
    return Response(_status(code, message), status, headers, media_type=_PROTOBUF)


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _traces_answer(receipt: Receipt, is_json: bool) -> bytes:
    return _partial(ExportTraceServiceResponse(), "rejected_spans", receipt, is_json)


def _logs_answer(receipt: Receipt, is_json: bool) -> bytes:
    return _partial(ExportLogsServiceResponse(), "rejected_log_records", receipt, is_json)


def _metrics_answer(receipt: Receipt, is_json: bool) -> bytes:
    return _partial(ExportMetricsServiceResponse(), "rejected_data_points", receipt, is_json)


def _partial(answer: Message, field: str, receipt: Receipt, is_json: bool) -> bytes:
    if receipt.rejected:
        partial = answer.partial_success
        setattr(partial, field, receipt.rejected)
        partial.error_message = receipt.reason
    if is_json:
        return bytes(MessageToJson(answer, indent=None), "utf-8")
    return bytes(answer.SerializeToString())


def _status(code: int, message: str) -> bytes:
    told = message.encode()
    length = bytearray()
    rest = len(told)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return bytes([0x08, code, 0x12, *length]) + told
