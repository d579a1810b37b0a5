"""Every error the product raises on purpose.

    OctavoError
      Invalid              400  the request is malformed or a value is out of range
        TooLarge           413  a body, header or field is over its limit
      Unauthenticated      401  no or wrong credentials
      Forbidden            403  known caller, not allowed
      NotFound             404
      Conflict             409  the state has moved on, or a name is taken
      RateLimited          429  too many requests; retry after `retry_after_s`
      BudgetExceeded       429  never retried by clients (x-should-retry: false)
      Blocked              400  a guardrail refused (code content_filter)
      UpstreamError        502  a model provider failed or answered rubbish
        UpstreamTimeout    504
      Unavailable          503  this server cannot serve now; retry after `retry_after_s`

A class carries the HTTP status and a machine-readable code, so text and machine form cannot diverge.
A message names what was given, what was expected and what to do; never a secret, never a payload.
`http/errors.py` renders OpenAI's shape on `/v1` and problem+json elsewhere.
"""

from __future__ import annotations

from typing import ClassVar


class OctavoError(Exception):
    """Base of all errors raised on purpose. `message` is safe to show to the caller."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    type: ClassVar[str] = "api_error"
    retry_after_s: float | None = None

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s


class Invalid(OctavoError):
    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class TooLarge(Invalid):
    status = 413
    code = "request_too_large"


class Unauthenticated(OctavoError):
    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class Forbidden(OctavoError):
    status = 403
    code = "permission_denied"
    type = "permission_error"


class NotFound(OctavoError):
    status = 404
    code = "not_found"
    type = "invalid_request_error"


class Conflict(OctavoError):
    status = 409
    code = "conflict"
    type = "invalid_request_error"


class RateLimited(OctavoError):
    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"
    retry_after_s = 1.0


class BudgetExceeded(OctavoError):
    status = 429
    code = "insufficient_quota"
    type = "insufficient_quota"


class Blocked(OctavoError):
    status = 400
    code = "content_filter"
    type = "invalid_request_error"


class UpstreamError(OctavoError):
    status = 502
    code = "upstream_error"
    type = "api_error"


class UpstreamTimeout(UpstreamError):
    status = 504
    code = "upstream_timeout"


class Unavailable(OctavoError):
    status = 503
    code = "unavailable"
    type = "api_error"
    retry_after_s = 1.0
