"""HTTP to the model providers: one pooled client, and failures told apart by what may be tried again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import NamedTuple

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    ConnectError,
    ConnectTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.request import RequestBuilder
from pyreqwest.response import Response

from octavo_server.core.errors import UpstreamError, UpstreamTimeout
from octavo_server.costs.model import Timeouts
from octavo_server.gateway.providers.base import UpstreamRequest

MAX_REPLY_BYTES = 64 << 20
_POOL_IDLE_S = 60


class UpstreamReply(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    content_type: str
    body: bytes


class Upstream:
    """Sends requests to providers. One client per connect timeout, as that is a property of the pool."""

    def __init__(self, *, max_connections: int = 2000) -> None:
        self._max_connections = max_connections
        self._clients: dict[float, Client] = {}

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """The whole answer, whatever its status. Raises UpstreamTimeout or UpstreamError."""
        try:
            response = await self._builder(request, timeouts).build().send()
            body = await _read_whole(response)
        except PyreqwestError as error:
            raise _told_apart(error) from error
        return _reply(response, body)

    async def open(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamStream:
        """The answer's head; its body is read from the result, which has to be closed. Raises as `send` does."""
        # Without this the head waits until 64 KiB of the body have come.
        context = self._builder(request, timeouts).streamed_read_buffer_limit(0).build_streamed()
        try:
            return UpstreamStream(context, await context.__aenter__())
        except PyreqwestError as error:
            raise _told_apart(error) from error

    def _builder(self, request: UpstreamRequest, timeouts: Timeouts) -> RequestBuilder:
        client = self._clients.get(timeouts.connect_s)
        if client is None:
            client = self._clients[timeouts.connect_s] = (
                ClientBuilder()
                .connect_timeout(timedelta(seconds=timeouts.connect_s))
                .max_connections(self._max_connections)
                .pool_idle_timeout(timedelta(seconds=_POOL_IDLE_S))
                .follow_redirects(False)
                .tcp_nodelay(True)
                .build()
            )
        builder = client.request(request.method, request.url).headers(dict(request.headers))
        return builder.body_bytes(request.body) if request.body else builder


class UpstreamStream:
    """The head of an answer and the rest of it, piece by piece."""

    __slots__ = ("_context", "_response", "content_type", "status")

    def __init__(self, context: AbstractAsyncContextManager[Response], response: Response) -> None:
        self._context = context
        self._response = response
        self.status = response.status
        self.content_type = response.get_header("content-type") or ""

    async def close(self) -> None:
        """Gives the connection back when the answer was read to its end, and cancels the rest of it otherwise."""
        await self._context.__aexit__(None, None, None)

    async def read_chunk(self) -> bytes | None:
        """The next piece, None at the end. Raises UpstreamError when the connection breaks."""
        try:
            chunk = await self._response.body_reader.read_chunk()
        except PyreqwestError as error:
            raise _told_apart(error) from error
        return None if chunk is None else bytes(chunk)

    async def read_whole(self) -> UpstreamReply:
        """The rest as one answer, for refusals and for servers that do not stream."""
        try:
            body = await _read_whole(self._response)
        except PyreqwestError as error:
            raise _told_apart(error) from error
        return _reply(self._response, body)


async def _read_whole(response: Response) -> bytes:
    length = response.get_header("content-length")
    if length is not None and length.isdecimal():
        if int(length) > MAX_REPLY_BYTES:
            raise _too_long()
        return bytes(await response.bytes())
    pieces: list[bytes] = []
    size = 0
    while (chunk := await response.body_reader.read_chunk()) is not None:
        pieces.append(bytes(chunk))
        size += len(pieces[-1])
        if size > MAX_REPLY_BYTES:
            raise _too_long()
    return b"".join(pieces)


def _reply(response: Response, body: bytes) -> UpstreamReply:
    headers = dict(response.headers) if response.status >= 300 else {}
    return UpstreamReply(response.status, headers, response.get_header("content-type") or "", body)


def _too_long() -> UpstreamError:
    return UpstreamError(f"The provider's answer is larger than {MAX_REPLY_BYTES >> 20} MiB.")


def _told_apart(error: PyreqwestError) -> UpstreamError:
    """The library's text may hold the URL, and a URL a secret: only its kind is told."""
    if isinstance(error, ConnectTimeoutError):
        return UpstreamTimeout("The provider could not be reached in time (connect timeout).", code="upstream_timeout")
    if isinstance(error, RequestTimeoutError):
        return UpstreamTimeout("The provider did not answer in time.", code="upstream_timeout")
    if isinstance(error, ConnectError):
        return UpstreamError("The provider cannot be reached: its address refuses connections or is not known.")
    return UpstreamError("The connection to the provider broke before its answer was complete.")
