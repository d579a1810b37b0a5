"""The HTTP server in front of everything: uvicorn's HTTP/1.1 protocol on this process's own event loop, with limits for
slow and oversized requests, and each answer in as few writes as it takes (see docs/adr/007)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

log = logging.getLogger("octavo")

_MAX_HEAD_BYTES = 64 << 10
_HEAD_S = 15.0
"""How long a client may take to send the head of a request."""
_KEEP_ALIVE_S = 75
_ABORT_S = 1.0
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\nconnection: close\r\n"
    b"content-length: 40\r\n\r\nThe request's headers are over 64 KiB.\r\n"
)


class Listener:
    """Serves an ASGI application on an address until it is stopped."""

    def __init__(self, app: Callable[..., Any], host: str, port: int, *, head_s: float = _HEAD_S) -> None:
        self._host, self._port = host, port
        self._head_s = head_s
        self._config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        self._config.load()
        # It would log a line for each request that is no HTTP, with nothing in it that helps.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listens. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self._config, self._state, {}, loop),
            self._host,
            self._port,
            backlog=2048,
            family=socket.AF_INET6 if ":" in self._host else socket.AF_INET,
        )
        self._sweep = loop.call_later(self._head_s / 3, self._close_slow)

    async def stop(self, grace_s: float) -> None:
        """Takes no more, gives what is under way `grace_s` seconds, then hangs up on the rest, whose calls learn of it
        as they would of a client that goes away."""
        if self._server is not None:
            self._server.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._ended(grace_s)
        if self._state.connections:
            log.info("%d open connections are cut off", len(self._state.connections))
        for connection in list(self._state.connections):
            connection.transport.abort()
        await self._ended(_ABORT_S)

    async def _ended(self, within_s: float) -> None:
        deadline = asyncio.get_running_loop().time() + within_s
        while self._state.tasks or self._state.connections:
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.01)

    def _close_slow(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._head_s
        for connection in list(self._state.connections):
            if isinstance(connection, _Connection) and (connection.head_since or oldest) < oldest:
                connection.transport.abort()
        self._sweep = loop.call_later(self._head_s / 3, self._close_slow)


class _Connection(HttpToolsProtocol):
    """One client's connection. uvicorn bounds neither the time nor the size of a request's head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_OneWrite(transport, self.loop))  # type: ignore[arg-type]
        self.head_since: float | None = self.loop.time()
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        self.head_since = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.head_since = None
        super().on_headers_complete()


class _OneWrite:
    """A transport that sends what is written in one turn of the event loop at once: uvicorn writes the head of an answer
    and its body apart, and each write is a system call that wakes up the client."""

    __slots__ = ("_loop", "_pieces", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pieces = self._pieces
        if pieces:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            pieces.clear()
