"""HTTP to the model providers: pooled connections, and failures told apart by what may be tried again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from octavo_server.core.errors import UpstreamError, UpstreamTimeout
from octavo_server.costs.model import Timeouts, is_public
from octavo_server.gateway.http1 import Broken, Wire
from octavo_server.gateway.providers.base import UpstreamRequest

MAX_REPLY_BYTES = 64 << 20
_IDLE_S = 55.0
_SWEEP_S = 15.0
_TAIL_S = 2.0
"""How long a provider may take to end an answer whose last event has come, before its connection is given up."""
_KNOWN_URLS = 2000
_URL_SAFE = "/%:?&=+,;@!$'()*~[]-._"


class UpstreamReply(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    content_type: str
    body: bytes


class _Origin(NamedTuple):
    host: str
    port: int
    tls: bool


class _Place(NamedTuple):
    """Where a URL leads, and the head of a request up to its own headers."""

    origin: _Origin
    head: str


class Upstream:
    """Sends requests to providers, over connections that are kept for the next."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, public_only: bool = False, own_url: str = "") -> None:
        """`public_only` refuses addresses that are not on the public internet, but `own_url`, this server's model."""
        self._tls = tls
        self._public_only = public_only
        own = urlsplit(own_url)
        self._own = _Origin(own.hostname, own.port or 80, False) if own.hostname else None
        self._idle: dict[_Origin, list[Wire]] = {}
        self._places: dict[tuple[str, str], _Place] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self.ending: set[Wire] = set()
        """Connections whose last bytes are awaited by nobody's call."""

    async def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for wires in self._idle.values():
            for wire in wires:
                wire.abort()
        self._idle.clear()
        for wire in self.ending:
            wire.abort()
        self.ending.clear()
        await asyncio.sleep(0)  # the event loop closes them in its next turn

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamReply:
        """The whole answer, whatever its status, within the total timeout. Raises UpstreamTimeout or UpstreamError."""
        try:
            async with asyncio.timeout(timeouts.total_s):
                answer = await self.open(request, timeouts)
                try:
                    return await answer.read_whole()
                finally:
                    answer.close()
        except TimeoutError:
            raise UpstreamTimeout("The provider did not answer in time.") from None

    async def open(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamStream:
        """The answer's head; its body is read from the result, which has to be closed. A cancelled call closes its
        connection. Raises as `send` does; the caller watches the time."""
        place = self._place(request.method, request.url)
        head = _head(place, request)
        while True:
            kept = self._take(place.origin)
            wire = kept or await self._connect(place.origin, timeouts.connect_s)
            try:
                await wire.begin(head, request.body)
            except Broken:
                if kept is None or wire.heard:
                    raise
                continue  # the provider had closed it meanwhile: no fault of the call
            except asyncio.CancelledError:
                wire.abort()
                raise
            return UpstreamStream(self, place.origin, wire)

    def keep(self, origin: _Origin, wire: Wire) -> None:
        """Takes a connection back whose exchange is over."""
        if not wire.reusable or not wire.usable:
            wire.abort()
            return
        loop = asyncio.get_running_loop()
        wire.idle_since = loop.time()
        self._idle.setdefault(origin, []).append(wire)
        if self._sweep is None:
            self._sweep = loop.call_later(_SWEEP_S, self._drop_old)

    def _take(self, origin: _Origin) -> Wire | None:
        wires = self._idle.get(origin)
        while wires:
            wire = wires.pop()
            if wire.usable:
                return wire
        return None

    def _drop_old(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - _IDLE_S
        for origin, wires in list(self._idle.items()):
            for wire in wires:
                if wire.idle_since < oldest:
                    wire.abort()
            self._idle[origin] = [wire for wire in wires if wire.usable]
            if not self._idle[origin]:
                del self._idle[origin]
        self._sweep = loop.call_later(_SWEEP_S, self._drop_old) if self._idle else None

    async def _connect(self, origin: _Origin, connect_s: float) -> Wire:
        if origin.tls and self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        try:
            async with asyncio.timeout(connect_s):
                _, wire = await asyncio.get_running_loop().create_connection(
                    Wire,
                    await self._address(origin),
                    origin.port,
                    ssl=self._tls if origin.tls else None,
                    server_hostname=origin.host if origin.tls else None,
                )
        except TimeoutError:
            raise UpstreamTimeout("The provider could not be reached in time (connect timeout).") from None
        except ssl.SSLError as error:
            raise UpstreamError(f"The provider's TLS certificate or protocol is refused: {error.reason}.") from error
        except OSError as error:
            raise UpstreamError(
                "The provider cannot be reached: its address refuses connections or is not known."
            ) from error
        return wire

    async def _address(self, origin: _Origin) -> str:
        """Where to connect to. A name that was public when its connection was saved may lead elsewhere now, so the
        address that is looked at is the one that is used."""
        if not self._public_only or origin == self._own:
            return origin.host
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        addresses = [str(info[4][0]) for info in found]
        if not all(is_public(address) for address in addresses):
            raise UpstreamError(
                f"{origin.host[:200]!r} leads to an address that is not on the public internet, and this server may not "
                "call private addresses (setting OCTAVO_UPSTREAM_PRIVATE)."
            )
        return addresses[0]

    def _place(self, method: str, url: str) -> _Place:
        known = self._places.get((method, url))
        if known is not None:
            return known
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UpstreamError("The connection's base URL is no http:// or https:// address.")
        tls = parts.scheme == "https"
        host = parts.netloc.rpartition("@")[2]
        target = quote(parts.path or "/", safe=_URL_SAFE) + ("?" + quote(parts.query, safe=_URL_SAFE)) * bool(
            parts.query
        )
        place = _Place(
            _Origin(parts.hostname, parts.port or (443 if tls else 80), tls),
            f"{method} {target} HTTP/1.1\r\nhost: {host}\r\nuser-agent: octavo\r\naccept-encoding: identity\r\n",
        )
        if len(self._places) >= _KNOWN_URLS:
            self._places.clear()
        self._places[method, url] = place
        return place


class UpstreamStream:
    """The head of an answer and the rest of it, piece by piece: `read_chunk` is `Wire.read`."""

    __slots__ = ("_origin", "_upstream", "_wire", "content_type", "headers", "read_chunk", "status")

    def __init__(self, upstream: Upstream, origin: _Origin, wire: Wire) -> None:
        self._upstream = upstream
        self._origin = origin
        self._wire = wire
        self.status = wire.status
        self.headers = wire.headers
        self.content_type = wire.headers.get("content-type", "")
        self.read_chunk = wire.read

    def close(self, *, ended: bool = False) -> None:
        """Gives the connection back when the answer was read to its end, and closes it otherwise. With `ended` all that
        matters was read, and what is left of the body is waited for apart from the call."""
        wire = self._wire
        if wire.complete:
            self._upstream.keep(self._origin, wire)
        elif ended:
            self._upstream.ending.add(wire)
            wire.follow_no_more(self._keep)
            asyncio.get_running_loop().call_later(_TAIL_S, self._give_up)
        else:
            wire.abort()

    def _keep(self, wire: Wire) -> None:
        self._upstream.ending.discard(wire)
        self._upstream.keep(self._origin, wire)

    def _give_up(self) -> None:
        if self._wire.on_end == self._keep:
            self._upstream.ending.discard(self._wire)
            self._wire.abort()

    async def read_whole(self) -> UpstreamReply:
        """The rest as one answer."""
        pieces: list[bytes] = []
        size = 0
        while (piece := await self._wire.read()) is not None:
            pieces.append(piece)
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                raise _too_long()
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return UpstreamReply(self.status, self.headers, self.content_type, body)


def _head(place: _Place, request: UpstreamRequest) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    if lines.count("\n") != len(request.headers) or lines.count("\r") != len(request.headers):
        raise UpstreamError("A header of the connection holds a line break; correct it in the connection's options.")
    length = f"content-length: {len(request.body)}\r\n" if request.body or request.method == "POST" else ""
    return f"{place.head}{lines}{length}\r\n".encode()


def _too_long() -> UpstreamError:
    return UpstreamError(f"The provider's answer is larger than {MAX_REPLY_BYTES >> 20} MiB.")
