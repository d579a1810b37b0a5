"""What a caller is told when a call fails: OpenAI's error shape, Anthropic's on `/v1/messages`, and whether to retry."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from octavo_server.core.errors import OctavoError
from octavo_server.gateway.providers.base import COUNT_TOKENS, MESSAGES, Failure

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_RETRIED = frozenset({408, 409, 429})
MAX_RETRY_AFTER_S = 60.0
"""Longer waits are for people: clients would block on them."""


class Problem(NamedTuple):
    """A refusal, ours or the provider's. `error_class` is the taxonomy's word for it."""

    status: int
    message: str
    type: str
    code: str
    error_class: str
    param: str | None = None
    retry_after_s: float | None = None
    retryable: bool = False


INTERNAL = Problem(
    500,
    "Octavo failed on this call; its log says why, under the request id.",
    "api_error",
    "internal_error",
    "internal",
)


def problem_of_error(error: OctavoError) -> Problem:
    """One of our own errors."""
    return Problem(
        error.status,
        error.message,
        error.type,
        error.code,
        _class_of(error.status, error.code),
        error.param,
        error.retry_after_s,
        error.status in (408, 429, 502, 503, 504) and error.code not in ("insufficient_quota", "content_filter"),
    )


def problem_of_failure(failure: Failure) -> Problem:
    """A provider's refusal, as its caller is told."""
    return Problem(
        failure.client_status,
        failure.message,
        failure.type if failure.client_status == failure.status else "api_error",
        failure.code,
        _class_of(failure.status, failure.code, upstream=True),
        failure.param,
        failure.retry_after_s,
        failure.retryable,
    )


def render(problem: Problem, endpoint: str, request_id: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Body and the headers that go with it."""
    if endpoint in (MESSAGES, COUNT_TOKENS):
        body = orjson.dumps(
            {
                "type": "error",
                "error": {
                    "type": _ANTHROPIC_TYPES.get(problem.status, "api_error"),
                    "message": problem.message,
                },
                "request_id": request_id,
            }
        )
    else:
        body = orjson.dumps(
            {
                "error": {
                    "message": problem.message,
                    "type": problem.type,
                    "param": problem.param,
                    "code": problem.code,
                }
            }
        )
    headers = [(b"content-type", b"application/json")]
    retried_by_clients = problem.status in _RETRIED or problem.status >= 500
    if retried_by_clients and not problem.retryable:
        headers.append((b"x-should-retry", b"false"))
    elif problem.retryable and problem.retry_after_s is not None:
        wait = max(1, round(min(problem.retry_after_s, MAX_RETRY_AFTER_S)))
        headers.append((b"retry-after", str(wait).encode()))
    return body, headers


def _class_of(status: int, code: str, *, upstream: bool = False) -> str:
    if code == "content_filter":
        return "content_filter"
    if code in ("insufficient_quota", "budget_exceeded"):
        return "upstream" if upstream else "budget"
    if status == 429:
        return "rate_limit"
    if status in (401, 403):
        return "auth"
    if status in (408, 504) or code == "upstream_timeout":
        return "timeout"
    if status == 499:
        return "cancelled"
    if 400 <= status < 500:
        return "invalid_request"
    return "upstream" if upstream or status == 502 else "internal"
