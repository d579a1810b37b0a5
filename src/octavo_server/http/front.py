"""The outermost layer: request ids, limits, security headers, and the last resort for errors.

front → gateway                      for /v1/… of the model APIs, untouched
      → gate (who may) → FastAPI     for everything else
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from octavo_server.core.errors import Invalid, OctavoError, RateLimited
from octavo_server.core.ids import new_request_id
from octavo_server.edge.langfuse import langfuse_refusal
from octavo_server.http.auth import Gate
from octavo_server.http.errors import internal_problem, octavo_problem, status_problem
from octavo_server.http.metrics import Metrics
from octavo_server.traces.routes import OTLP_PATHS, otlp_refusal

log = logging.getLogger("octavo.http")

MAX_HEADER_BYTES = 32 << 10
BODY_PAUSE_S = 20.0
"""How long a client may pause while sending its body."""
MAX_BODIES_BYTES = 256 << 20
"""How much of all bodies together may be in memory; who sends more meanwhile is asked to come again."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

API_CSP = b"default-src 'none'; frame-ancestors 'none'"
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class Front:
    """The ASGI application that the server runs."""

    def __init__(
        self,
        *,
        gateway: ASGIApp,
        api: ASGIApp,
        gate: Gate,
        metrics: Metrics,
        max_body: int,
        max_otlp_body: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._api = api
        self._gate = gate
        self._metrics = metrics
        self._max_body = max_body
        self._max_otlp_body = max_otlp_body
        self._clock = clock
        self.bodies = Bodies(MAX_BODIES_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith("/v1/") and path not in OTLP_PATHS:
                await self._gateway(scope, receive, send)
            else:
                await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self._clock()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else new_request_id()
        answer = _Answer(send, request_id)
        rule = self._gate.find(scope["method"], scope["path"])
        is_otlp = scope["path"] in OTLP_PATHS
        kind = headers.get("content-type", "")
        body = _Body(receive, headers, self._max_otlp_body if is_otlp else self._max_body, self.bodies)
        try:
            _check_head(scope)
            principal = await self._gate.admit(rule, scope, headers, request_id)
            scope["state"] = {**scope.get("state", {}), "request_id": request_id, "principal": principal}
            body.check_length()
            await self._api(scope, body.receive, answer.send)
        except OctavoError as error:
            refused = _refusal(scope, kind, error.status, error.message, error.retry_after_s)
            await answer.finish(scope, receive, refused or octavo_problem(error, request_id))
        except HTTPException as error:
            refused = _refusal(scope, kind, error.status_code, error.detail)
            await answer.finish(scope, receive, refused or status_problem(error.status_code, error.detail, request_id))
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            refused = _refusal(scope, kind, 500, f"Something went wrong here; the server's log has {request_id}.")
            await answer.finish(scope, receive, refused or internal_problem(request_id))
        finally:
            body.release()
            route = rule.path if rule else "(none)"
            self._metrics.request(scope["method"][:16], route, answer.status, self._clock() - started)


def _refusal(scope: Scope, kind: str, status: int, message: str, retry_after_s: float | None = None) -> ASGIApp | None:
    """A refusal in the words of the protocol that the path is of; None where that is Octavo's own."""
    path: str = scope["path"]
    if path in OTLP_PATHS:
        return otlp_refusal(status, message, kind, retry_after_s)
    return langfuse_refusal(status, message, retry_after_s) if path.startswith("/api/public/") else None


class _Answer:
    """What goes out, with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *_SECURITY_HEADERS, (b"x-request-id", self._request_id)]
            present = {name for name, _ in headers}
            if b"content-security-policy" not in present:
                headers.append((b"content-security-policy", API_CSP))
            if b"cache-control" not in present:
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def finish(self, scope: Scope, receive: Receive, response: ASGIApp) -> None:
        """Sends `response`, unless an answer has begun: then there is nothing left to say."""
        if self.status == 0:
            await response(scope, receive, self.send)


class Bodies:
    """The room that the bodies of all requests share."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    def take(self, size: int) -> None:
        """Raises RateLimited when there is no room for so much more."""
        if self.held + size > self._max_bytes:
            raise RateLimited("More is sent at once than this server holds in memory: send it again a little later.")
        self.held += size


class _Body:
    """The request's body, refused when it is too long, comes too slowly, or when there are too many of them."""

    def __init__(self, receive: Receive, headers: dict[str, str], limit: int, bodies: Bodies) -> None:
        self._receive = receive
        self._length = headers.get("content-length", "")
        self._limit = limit
        self._bodies = bodies
        self._size = 0
        self._held = 0
        self._complete = False

    def check_length(self) -> None:
        """Raises HTTPException when the client says that more will come than may."""
        if self._length.isdecimal() and int(self._length) > self._limit:
            raise self._too_large()

    def release(self) -> None:
        """Gives the room back that the body took."""
        self._bodies.held -= self._held
        self._held = 0

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), BODY_PAUSE_S)
        except TimeoutError:
            raise HTTPException(408, f"No more of the body came for {BODY_PAUSE_S:g} seconds; send it again.") from None
        if message["type"] != "http.request":
            self._complete = True
            return message
        size = len(message.get("body", b""))
        self._size += size
        self._complete = not message.get("more_body", False)
        if self._size > self._limit:
            raise self._too_large()
        self._bodies.take(size)
        self._held += size
        return message

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"The body is larger than {self._limit >> 20} MiB, the most this server takes.")


def _check_head(scope: Scope) -> None:
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size > MAX_HEADER_BYTES:
        raise HTTPException(431, f"The headers have {size} bytes; this server takes {MAX_HEADER_BYTES}.")
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise Invalid("The URL has a NUL character, which no name here has.")
