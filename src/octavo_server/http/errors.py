"""Errors as answers: problem+json (RFC 9457) on everything but the gateway, which speaks OpenAI's shape itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from octavo_server.core.errors import OctavoError
from octavo_server.traces.routes import OTLP_PATHS, otlp_refusal

PROBLEM_JSON = "application/problem+json"

_DEFECT = "Something went wrong here; the server's log has the details."
_CODES = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
    415: "unsupported_media_type",
    431: "headers_too_large",
}


class FieldProblem(BaseModel):
    """One field that does not fit."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong. `code` is for programs, `detail` for people, `request_id` for whoever looks into the log."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    param: str | None = None
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


def problem_response(
    status: int,
    *,
    code: str,
    detail: str,
    request_id: str | None,
    param: str | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem+json answer."""
    body: dict[str, Any] = {
        "type": f"urn:octavo:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "param": param,
        "request_id": request_id,
    }
    if errors is not None:
        body["errors"] = errors
    return Response(orjson.dumps(body), status_code=status, media_type=PROBLEM_JSON, headers=headers)


def octavo_problem(error: OctavoError, request_id: str | None) -> Response:
    """The answer to an error raised on purpose. What is not meant for callers says only that the log knows more."""
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if error.status == 401:
        headers["www-authenticate"] = 'Bearer realm="octavo"'
    return problem_response(
        error.status,
        code=error.code,
        detail=error.message,
        param=error.param,
        request_id=request_id,
        headers=headers,
    )


def internal_problem(request_id: str | None) -> Response:
    """The answer to a defect of ours: nothing of its insides."""
    return problem_response(
        500,
        code="internal_error",
        detail=f"Something went wrong here. The server's log has the details under the request id {request_id}.",
        request_id=request_id,
    )


def status_problem(status: int, detail: str, request_id: str | None, headers: dict[str, str] | None = None) -> Response:
    """The answer to what the framework refuses: unknown paths, methods, too large bodies."""
    code = _CODES.get(status, "internal_error" if status >= 500 else "invalid_request")
    return problem_response(status, code=code, detail=detail, request_id=request_id, headers=headers)


def install(app: FastAPI) -> None:
    """Makes `app` answer every error as a problem."""

    @app.exception_handler(OctavoError)
    async def _octavo(request: Request, error: OctavoError) -> Response:
        return octavo_problem(error, _request_id(request))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        errors = [_field_problem(one) for one in error.errors()]
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        return problem_response(
            400,
            code="invalid_request",
            detail=f"{first['field']}: {first['message']}{more}",
            param=first["field"],
            request_id=_request_id(request),
            errors=errors,
        )

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        detail = error.detail
        if error.status_code == 404 and detail == "Not Found":
            detail = f"There is no {request.method} {request.url.path[:200]} on this server."
        elif error.status_code == 405:
            detail = f"{request.method} is not allowed on {request.url.path[:200]}."
        return status_problem(error.status_code, detail, _request_id(request), dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        # Starlette raises the error again after this answer; `http/front.py` logs it there.
        if request.url.path in OTLP_PATHS:
            return otlp_refusal(500, _DEFECT, request.headers.get("content-type", ""))
        return internal_problem(_request_id(request))


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


def _field_problem(error: Any) -> dict[str, str]:
    place = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header", "cookie")]
    kind = error["loc"][0] if error["loc"] else "body"
    return {"field": ".".join(place) or str(kind), "message": str(error["msg"])}
