"""The client's end of a call over ASGI: sending, keeping a slow stream alive, noticing that the client has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from octavo_server.core.errors import Invalid, OctavoError, TooLarge

Headers = list[tuple[bytes, bytes]]

_TICK_S = 0.1
"""How exact deadlines are. A call that is over sooner costs no timer and no task for its client going away."""
_KEEP_ALIVE_S = 15.0
_COMMENT = b": keep-alive\n\n"
_BODY_PAUSE_S = 30.0


class BodyTimeout(OctavoError):
    """The client stopped sending half way."""

    status = 408
    code = "request_timeout"
    type = "invalid_request_error"


class ClientGone(OctavoError):
    """Nobody is there to be answered."""

    status = 499
    code = "client_closed_request"


class Watch:
    """Looks over all calls in flight ten times a second: their deadlines, and whether their clients are still there.
    A timer for each call would cost a fifth of what a short call costs in all."""

    def __init__(self) -> None:
        self._replies: set[Reply] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._replies)

    def add(self, reply: Reply) -> None:
        self._replies.add(reply)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def remove(self, reply: Reply) -> None:
        self._replies.discard(reply)
        reply.close()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_TICK_S, self._tick) if self._replies else None
        now = loop.time()
        for reply in tuple(self._replies):
            reply.look(now)


class Reply:
    """Sends one answer. The task that runs the call is cancelled when a deadline passes (`expired` says which) and
    when the client closes the connection before the answer is complete (`client_gone`)."""

    __slots__ = (
        "_alive",
        "_call",
        "_deadlines",
        "_head",
        "_listening",
        "_receive",
        "_send",
        "_since",
        "_ticked",
        "client_gone",
        "expired",
        "started",
    )

    def __init__(self, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self._call = asyncio.current_task()
        self._deadlines: dict[str, tuple[float, float | None]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._alive: asyncio.Task[None] | None = None
        self._head: Callable[[], Headers] | None = None
        self._ticked = False
        self._since = 0.0
        self.started = False
        self.client_gone = False
        self.expired = ""

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
        if self._head is not None or self._alive is not None:
            await self._stop_keep_alive()
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    def keep_alive(self, headers: Callable[[], Headers]) -> None:
        """Until the first piece comes, sends the head and then comments when the client has waited long: clients and
        proxies give up on a connection that says nothing."""
        self._head = headers

    def limit(self, name: str, seconds: float | None) -> None:
        """Sets the deadline `name` from now on, or lifts it with None. When it passes, the call is cancelled."""
        if seconds is None:
            self._deadlines.pop(name, None)
        else:
            # The clock is read at the next look: most calls are over before.
            self._deadlines[name] = (seconds, None)

    def calm(self, name: str) -> bool:
        """Takes a cancellation by the deadline `name` back; whether that is what it was."""
        if self.expired != name or self._call is None:
            return False
        self.expired = ""
        self._call.uncancel()
        return True

    def close(self) -> None:
        """Stops listening and keeping alive."""
        if self._listening is not None:
            self._listening.cancel()
        if self._alive is not None:
            self._alive.cancel()

    def look(self, now: float) -> None:
        """Called by the watch."""
        if not self._ticked:
            self._ticked = True
            self._since = now
        for name, (seconds, at) in self._deadlines.items():
            if at is None:
                self._deadlines[name] = (seconds, now + seconds)
            elif now >= at:
                del self._deadlines[name]
                self.expired = name
                if self._call is not None:
                    self._call.cancel()
                return
        if self._listening is None and "body" not in self._deadlines:
            self._listening = asyncio.create_task(self._wait_for_disconnect())
        if self._head is not None and self._alive is None and now - self._since >= _KEEP_ALIVE_S:
            self._alive = asyncio.create_task(self._say_something(self._head))

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_gone = True
        if self._call is not None:
            self._call.cancel()

    async def _say_something(self, headers: Callable[[], Headers]) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": headers()})
        while True:
            await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})
            await asyncio.sleep(_KEEP_ALIVE_S)

    async def _stop_keep_alive(self) -> None:
        self._head = None
        if self._alive is not None:
            self._alive.cancel()
            await asyncio.gather(self._alive, return_exceptions=True)
            self._alive = None

    async def read_body(self, headers: dict[str, str], max_bytes: int) -> bytes:
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
            self.limit("body", _BODY_PAUSE_S)
            try:
                message = await self._receive()
            except asyncio.CancelledError:
                if self.calm("body"):
                    raise BodyTimeout(f"No more of the body came for {_BODY_PAUSE_S:g} seconds.") from None
                raise
            if message["type"] == "http.disconnect":
                raise ClientGone("The client closed the connection while sending its body.")
            piece = message.get("body", b"")
            size += len(piece)
            if size > max_bytes:
                raise _too_large(max_bytes)
            if not message.get("more_body"):
                self.limit("body", None)
                return b"".join([*pieces, piece]) if pieces else piece
            pieces.append(piece)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {max_bytes >> 20} MiB, the most this server takes (OCTAVO_MAX_BODY_MB).")
