"""Every error of the SDK.

OctavoError
  ConfigError            a setting or the configuration file cannot be used
  ConnectionFailed       the server cannot be reached, or the connection broke
  APIError               the server refused; `status`, `code`, `param`, `request_id` say more
    InvalidRequest       400, 413, 422
    AuthenticationError  401
    PermissionDenied     403
    NotFound             404
    Conflict             409
    RateLimited          429; retry after `retry_after_s`
    ServerError          5xx
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class OctavoError(Exception):
    """Base of all errors of the SDK. `message` is for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(OctavoError):
    """A setting or the configuration file cannot be used."""


class ConnectionFailed(OctavoError):
    """The server cannot be reached, or the connection broke."""


class APIError(OctavoError):
    """The server refused."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        param: str | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class InvalidRequest(APIError):
    """400, 413 or 422: the request is malformed or a value is out of range."""


class AuthenticationError(APIError):
    """401: no or wrong credentials."""


class PermissionDenied(APIError):
    """403: known caller, not allowed."""


class NotFound(APIError):
    """404."""


class Conflict(APIError):
    """409: the state has moved on, or a name is taken."""


class RateLimited(APIError):
    """429."""


class ServerError(APIError):
    """5xx."""


_BY_STATUS: Mapping[int, type[APIError]] = {
    400: InvalidRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    413: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
}


def error_of(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> APIError:
    """The error of a refusal, in problem+json or in OpenAI's shape."""
    inner = body.get("error")
    told = inner if isinstance(inner, dict) else body
    message = told.get("detail") or told.get("message") or told.get("title") or f"The server answered {status}."
    wait = headers.get("retry-after", "")
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else APIError)
    return kind(
        str(message),
        status=status,
        code=str(told.get("code") or ""),
        param=told.get("param"),
        request_id=headers.get("x-request-id", ""),
        retry_after_s=float(wait) if wait.replace(".", "", 1).isdigit() else None,
    )
