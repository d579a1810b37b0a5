"""The client's end of a call over ASGI: sending, keeping a slow stream alive, noticing that the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from octavo_server.core.errors import Invalid, OctavoError, TooLarge

Headers = list[tuple[bytes, bytes]]

_WATCH_AFTER_S = 0.1
"""A call that is over sooner needs no watch for its client going away; a task for each would cost more than the call."""
_KEEP_ALIVE_S = 15.0
_COMMENT = b": keep-alive\n\n"
_BODY_PAUSE_S = 30.0


class BodyTimeout(OctavoError):
    """The client stopped sending half way."""

    status = 408
    code = "request_timeout"
    type = "invalid_request_error"


class Reply:
    """Sends one answer. `client_gone` turns true, and the task that runs the call is cancelled, when the client closes
    the connection before the answer is complete."""

    __slots__ = (
        "_alive",
        "_alive_timer",
        "_call",
        "_loop",
        "_receive",
        "_send",
        "_watch",
        "_watch_timer",
        "client_gone",
        "started",
    )

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._call = asyncio.current_task()
        self._watch: asyncio.Task[None] | None = None
        self._watch_timer = self._loop.call_later(_WATCH_AFTER_S, self._begin_watch)
        self._alive: asyncio.Task[None] | None = None
        self._alive_timer: asyncio.TimerHandle | None = None
        self.started = False
        self.client_gone = False

    async def send(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer."""
        await self._stop_keep_alive()
        self.started = True
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, status: int, headers: Headers) -> None:
        """The head of a streamed answer, unless a keep-alive has sent it already."""
        await self._stop_keep_alive()
        if not self.started:
            self.started = True
            await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """A piece of a streamed answer."""
        await self._stop_keep_alive()
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def keep_alive(self, headers: Callable[[], Headers]) -> None:
        """Until the first piece comes, sends the head and then comments when the client has waited long: clients and
        proxies give up on a connection that says nothing."""
        self._alive_timer = self._loop.call_later(_KEEP_ALIVE_S, self._begin_keep_alive, headers)

    def close(self) -> None:
        """Stops watching and keeping alive."""
        self._watch_timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._alive_timer is not None:
            self._alive_timer.cancel()
        if self._alive is not None:
            self._alive.cancel()

    def _begin_watch(self) -> None:
        self._watch = self._loop.create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_gone = True
        if self._call is not None:
            self._call.cancel()

    def _begin_keep_alive(self, headers: Callable[[], Headers]) -> None:
        self._alive = self._loop.create_task(self._say_something(headers))

    async def _say_something(self, headers: Callable[[], Headers]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers()})
        while True:
            await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})
            await asyncio.sleep(_KEEP_ALIVE_S)

    async def _stop_keep_alive(self) -> None:
        if self._alive_timer is not None:
            self._alive_timer.cancel()
            self._alive_timer = None
            if self._alive is not None:
                self._alive.cancel()
                await asyncio.gather(self._alive, return_exceptions=True)
                self._alive = None


async def read_body(receive: Any, headers: dict[str, str], max_bytes: int) -> bytes:
    """The request's body. Raises TooLarge as soon as it is too long, BodyTimeout when the client stops sending."""
    if headers.get("content-encoding", "identity") != "identity":
        raise Invalid(
            f"The body is encoded as {headers['content-encoding'][:40]!r}; send it as it is.",
            code="unsupported_encoding",
        )
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    pieces: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(_BODY_PAUSE_S):
                message = await receive()
        except TimeoutError:
            raise BodyTimeout(f"No more of the body came for {_BODY_PAUSE_S:g} seconds.") from None
        if message["type"] == "http.disconnect":
            raise ClientGone("The client closed the connection while sending its body.")
        piece = message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body"):
            return b"".join([*pieces, piece]) if pieces else piece
        pieces.append(piece)


class ClientGone(OctavoError):
    """Nobody is there to be answered."""

    status = 499
    code = "client_closed_request"


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {max_bytes >> 20} MiB, the most this server takes (OCTAVO_MAX_BODY_MB).")
