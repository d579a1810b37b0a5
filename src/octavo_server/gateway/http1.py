"""HTTP/1.1 as a client, on the event loop's own transports: what comes is handed on at once, and a call that is cancelled
closes its connection, so that a provider stops working for nobody (see docs/adr/006)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from octavo_server.core.errors import UpstreamError

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: |$)")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")
_MAX_HEAD = 256 << 10
_MAX_LINE = 8 << 10
_HIGH_WATER = 256 << 10
"""What may wait to be read before the provider has to wait: a slow client must not fill the memory."""


class Broken(UpstreamError):
    """The connection ended too soon, or what came over it is not HTTP."""


class Wire(asyncio.Protocol):
    """One connection, one exchange at a time: `begin`, then `read` until None, then `begin` again if it is `reusable`.
    `on_end` is called when an exchange that nobody follows any more has come to its end."""

    __slots__ = (
        "_buffer",
        "_chunked",
        "_crlf",
        "_error",
        "_left",
        "_parts",
        "_paused",
        "_size",
        "_waiter",
        "complete",
        "headers",
        "heard",
        "idle_since",
        "on_end",
        "reusable",
        "status",
        "transport",
    )

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.on_end: Callable[[Wire], None] | None = None
        self.idle_since = 0.0
        self._error: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._reset()
        self.complete = True

    def _reset(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.heard = False  # anything of the answer
        self.complete = False
        self.reusable = False
        self._buffer = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._left: int | None = None  # bytes to come of the body or the chunk; None: until the connection ends
        self._chunked = False
        self._crlf = False
        self._paused = False

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._error is None and self.complete and not self.transport.is_closing()

    async def begin(self, head: bytes, body: bytes) -> None:
        """Sends a request and waits for the head of its answer: `status` and `headers`. Raises Broken."""
        self._reset()
        self.transport.write(head + body)
        while not self.status:
            await self._more()

    async def read(self) -> bytes | None:
        """All that has come of the body since the last time, waiting for it if need be; None at its end. Raises
        Broken."""
        while not self._parts:
            if self.complete:
                return None
            await self._more()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return data

    def abort(self) -> None:
        """Closes at once, whatever is under way."""
        self._error = self._error or Broken("The connection was closed.")
        self.transport.abort()

    def follow_no_more(self, on_end: Callable[[Wire], None]) -> None:
        """Throws the rest of the body away and then calls `on_end`, or never when the connection breaks."""
        self.on_end = on_end
        self._parts.clear()
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._error is None:
            self._error = Broken("The connection to the provider broke before its answer was complete.")
        self._wake()

    def eof_received(self) -> bool:
        if self.status and not self._chunked and self._left is None:
            self._end()
        return False

    def data_received(self, data: bytes) -> None:
        if self.complete:
            self.abort()  # nothing was asked
            return
        self.heard = True
        try:
            if self.status == 0:
                data = self._read_head(self._buffer + data if self._buffer else data)
            if data:
                self._read_body(data)
        except Broken as error:
            self._error = error
            self.transport.abort()
        if self.on_end is not None:
            self._parts.clear()
        elif self._size > _HIGH_WATER and not self._paused and not self.complete:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def _read_head(self, data: bytes) -> bytes:
        """What follows the head, once that is whole."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > _MAX_HEAD:
                    raise Broken("The headers of the provider's answer are too long.")
                self._buffer = data
                return b""
            lines = data[:end].split(b"\r\n")
            data = data[end + 4 :]
            found = _STATUS_LINE.match(lines[0])
            if found is None:
                raise Broken("The provider's answer is not HTTP.")
            status = int(found[2])
            if status >= 200:
                break
        self._buffer = b""
        headers = self.headers
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
        self._frame(status, minor=found[1])
        self.status = status
        if self._left == 0 and not self._chunked:
            self._end()
        return data

    def _frame(self, status: int, *, minor: bytes) -> None:
        headers = self.headers
        self.reusable = minor == b"1" and "close" not in headers.get("connection", "").lower()
        length = headers.get("content-length")
        if coding := headers.get("transfer-encoding"):
            self._chunked = coding.lower().endswith("chunked")
            self._left = 0 if self._chunked else None
            self.reusable = self.reusable and length is None
        elif status in (204, 304):
            self._left = 0
        elif length is not None:
            if not (length.isascii() and length.isdecimal()):
                raise Broken("The provider's answer has no valid length.")
            self._left = int(length)
        else:
            self.reusable = False

    def _read_body(self, data: bytes) -> None:
        if self.complete:
            self.reusable = False  # more came than was announced
        elif self._chunked:
            self._read_chunks(self._buffer + data if self._buffer else data)
        elif self._left is None:
            self._take(data)
        else:
            self._take(data[: self._left] if len(data) > self._left else data)
            self.reusable = self.reusable and len(data) <= self._left
            self._left -= min(len(data), self._left)
            if not self._left:
                self._end()

    def _read_chunks(self, data: bytes) -> None:
        at = 0
        while True:
            if self._left:
                piece = data[at : at + self._left]
                if piece:
                    self._take(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._crlf = True
            end = data.find(b"\r\n", at)
            if self._crlf and end > at:
                raise Broken("A chunk of the provider's answer is longer than it says.")
            if end < 0:
                if len(data) - at > _MAX_LINE:
                    raise Broken("The chunks of the provider's answer have no valid size.")
                break
            if self._crlf:
                self._crlf = False
                at = end + 2
                continue
            size = _CHUNK_SIZE.fullmatch(data, at, end)
            if size is None:
                raise Broken("The chunks of the provider's answer have no valid size.")
            self._left = int(size[1], 16)
            if not self._left:
                if self._trailers_end(data, end):
                    return
                break  # the line of the last chunk stays until all of the trailers are there
            at = end + 2
        self._buffer = data[at:]

    def _trailers_end(self, data: bytes, at: int) -> bool:
        """Whether the blank line that ends the body is there; `at` is where the last chunk's size ends."""
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            if len(data) - at > _MAX_HEAD:
                raise Broken("The trailers of the provider's answer are too long.")
            return False
        self._buffer = b""
        self.reusable = self.reusable and end + 4 == len(data)
        self._end()
        return True

    def _take(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._size += len(piece)

    def _end(self) -> None:
        self.complete = True
        if self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end(self)
