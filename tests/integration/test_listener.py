"""What the HTTP server does before any handler: heads that are too long, requests that are none, streams cut short."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from octavo_server.http.listener import Listener


class App:
    """Answers at once, or begins a stream and waits until it is cancelled or its client has gone."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
            return
        await send({"type": "http.response.body", "body": b"whole"})


@pytest.fixture
def app() -> App:
    return App()


@asynccontextmanager
async def listening(app: App, **limits: float) -> AsyncIterator[tuple[str, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listener = Listener(app, "127.0.0.1", port, **limits)
    await listener.start()
    try:
        yield "127.0.0.1", port
    finally:
        await listener.stop(0.1)


@pytest.fixture
async def address(app: App) -> AsyncIterator[tuple[str, int]]:
    async with listening(app) as address:
        yield address


async def said(address: tuple[str, int], *pieces: bytes) -> bytes:
    """All that is answered to these pieces until the server hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_an_answer_is_whole_and_the_connection_serves_again(address: tuple[str, int]) -> None:
    one = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    answer = await said(address, one, one, one.replace(b"host", b"connection: close\r\nhost"))

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(b"whole") == 3


async def test_a_head_without_end_is_refused(address: tuple[str, int]) -> None:
    pieces = [b"GET / HTTP/1.1\r\n", *[b"x-%d: %s\r\n" % (number, b"a" * 1000) for number in range(80)]]

    assert (await said(address, *pieces)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nhost:"], ids=["nothing", "half a head"])
async def test_a_client_that_does_not_go_on_is_hung_up_on(app: App, begun: bytes) -> None:
    async with listening(app, head_s=0.2) as address:
        assert await said(address, begun) == b""


async def test_what_is_no_http_is_refused(address: tuple[str, int]) -> None:
    assert (await said(address, b"\x16\x03\x01\x02\x00 hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_stream_that_is_cut_at_the_stop_does_not_end_as_if_it_were_whole(app: App) -> None:
    async with listening(app) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"part" in await reader.readuntil(b"part\r\n")

    try:
        rest = await reader.read()
    except ConnectionError:
        rest = b""
    assert b"0\r\n\r\n" not in rest
    await asyncio.wait_for(app.left.wait(), 5)
    writer.close()
