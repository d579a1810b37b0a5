"""Reading a provider's refusal, whatever its shape: bounded, without secrets, in the codes that OpenAI's clients match."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from octavo_server.core.errors import UpstreamError
from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.base import MESSAGES, RESPONSES, Failure, StreamEvent

MAX_MESSAGE = 600

_SECRETS = re.compile(
    r"(?:sk|pk|rk|gsk|key|xai|hf|AIza|AKIA|ASIA|ABSK)[-_]?[A-Za-z0-9*_\-./+=]{12,}|(?i:bearer)\s+[A-Za-z0-9*_\-./+=]{8,}"
)
_TOO_LONG = re.compile(
    r"prompt is too long|context.?(?:length|window)|maximum context|input is too long|too many (?:input )?tokens"
    r"|exceeds? the (?:maximum|available context)|exceed(?:s|ed)? the maximum number of tokens|input token count",
    re.I,
)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
# What a kind of error is called, provider by provider -> the status it has when it arrives inside a stream.
STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "validationException": 400,
    "throttlingException": 429,
    "modelStreamErrorException": 424,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
    "modelTimeoutException": 408,
}


def read_failure(status: int, headers: Mapping[str, str], raw: bytes) -> Failure:
    """A refusal in any of the shapes in use: `{"error": {…}}`, `{"error": "…"}`, `[{"error": …}]`, `{"message"}`,
    `{"detail"}`, plain text or a proxy's HTML page. Header names are matched in lower case."""
    names = {name.lower(): value for name, value in headers.items()}
    error = _error_in(raw)
    kind = str(error.get("type") or error.get("status") or error.get("__type") or names.get("x-amzn-errortype", ""))
    return failure(
        status,
        message=_text(error, raw),
        code=_code(error),
        kind=kind.split(":")[0].split("#")[-1],
        param=error.get("param") if isinstance(error.get("param"), str) else None,
        retry_after_s=_retry_after(names, error),
        should_retry=names.get("x-should-retry", ""),
    )


def failure(
    status: int,
    *,
    message: str,
    code: str = "",
    kind: str = "",
    param: str | None = None,
    retry_after_s: float | None = None,
    should_retry: str = "",
) -> Failure:
    """The one place that decides an error's code, type and whether another attempt makes sense."""
    if status in (401, 403):
        # The provider's own text may name its account or echo a part of the key.
        message = f"The provider refused the credentials of this connection (HTTP {status}). Check its secret."
        code = "upstream_auth"
    elif status in (400, 413) and not code and _TOO_LONG.search(message):
        code = "context_length_exceeded"
    elif status == 404 and not code:
        code = "model_not_found"
    elif status == 429 and not code:
        code = "insufficient_quota" if kind == "insufficient_quota" else "rate_limit_exceeded"
    retryable = status in (408, 409, 429) or status >= 500
    if code == "insufficient_quota" or should_retry == "false":
        retryable = False
    elif should_retry == "true":
        retryable = True
    return Failure(
        status=status,
        code=code or ("upstream_error" if status >= 500 else "invalid_request"),
        message=bounded(message) or f"The provider answered HTTP {status} without saying why.",
        type=_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error"),
        param=param,
        retryable=retryable,
        retry_after_s=retry_after_s,
    )


def in_stream(error: Mapping[str, Any]) -> Failure:
    """A refusal that came as an event after the first byte."""
    kind = str(error.get("type") or error.get("status") or "")
    number = error.get("code")
    status = STATUS_OF.get(kind) or STATUS_OF.get(str(number or "")) or 0
    if not status and isinstance(number, int) and 400 <= number <= 599:
        status = number
    return failure(status or 500, message=_text(error, b""), code=_code(error), kind=kind)


def bounded(text: str) -> str:
    """One line of readable text without anything that looks like a key."""
    line = " ".join(_SECRETS.sub("[secret]", text).split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


def error_event(endpoint: str, problem: Failure, *, sequence_number: int = 0) -> StreamEvent:
    """The event that tells a client, in its own wire, that the stream broke after the first byte."""
    if endpoint == MESSAGES:
        kind = {429: "rate_limit_error", 529: "overloaded_error", 400: "invalid_request_error"}.get(
            problem.status, "api_error"
        )
        body: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": problem.message}}
        return StreamEvent(sse.write(body, "error"), "error")
    if endpoint == RESPONSES:
        body = {
            "type": "error",
            "code": problem.code,
            "message": problem.message,
            "param": problem.param,
            "sequence_number": sequence_number,
        }
        return StreamEvent(sse.write(body, "error"), "error")
    body = {
        "error": {
            "message": problem.message,
            "type": problem.type,
            "param": problem.param,
            "code": problem.code,
        }
    }
    return StreamEvent(sse.write(body), "error")


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object of a successful answer."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("The provider answered something that is not JSON.") from error
    if not isinstance(value, dict):
        raise UpstreamError("The provider answered JSON that is not an object.")
    if value.get("error") and not value.get("choices") and not value.get("output"):
        problem = value["error"] if isinstance(value["error"], dict) else {"message": str(value["error"])}
        raise UpstreamError(f"The provider answered an error with a success status: {in_stream(problem).message}")
    return value


def _error_in(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {}
    inner = value.get("error")
    if isinstance(inner, dict):
        return inner
    return {**value, "message": inner} if isinstance(inner, str) else value


def _text(error: Mapping[str, Any], raw: bytes) -> str:
    for name in ("message", "Message", "detail", "msg"):
        value = error.get(name)
        if isinstance(value, str) and value:
            return value
        if value:
            return orjson.dumps(value).decode()
    if error or raw.lstrip()[:1] == b"<":
        return ""
    return raw[: 4 * MAX_MESSAGE].decode("utf-8", "replace")


def _code(error: Mapping[str, Any]) -> str:
    code = error.get("code")
    return code if isinstance(code, str) else ""


def _retry_after(headers: Mapping[str, str], error: Mapping[str, Any]) -> float | None:
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        if "retry-after" in headers:
            value = headers["retry-after"].strip()
            if value.replace(".", "", 1).isdigit():
                return float(value)
            # A date is relative to the clock that wrote it.
            sent = headers.get("date")
            until: datetime = parsedate_to_datetime(value)
            return max(0.0, (until - parsedate_to_datetime(sent)).total_seconds()) if sent else None
    except (ValueError, TypeError):
        return None
    for detail in error.get("details") or ():
        # Gemini: google.rpc.RetryInfo {"retryDelay": "34s"}
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s") and delay[:-1].replace(".", "", 1).isdigit():
            return float(delay[:-1])
    return None
