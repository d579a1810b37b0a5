"""Reading HTTP/1.1 answers, however the network cuts them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.gateway.http1 import Broken, Wire


class Line(asyncio.Transport):
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False
        self.paused = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return object() if name == "sslcontext" else default  # so that all is written through here

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused += 1

    def resume_reading(self) -> None:
        self.paused -= 1


def a_wire() -> tuple[Wire, Line]:
    wire, line = Wire(), Line()
    wire.connection_made(line)
    return wire, line


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """`data` in pieces of the given sizes, what is left last."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [piece for piece in [*pieces, data[at:]] if piece]


async def read_all(wire: Wire, pieces: list[bytes], *, eof: bool = False) -> bytes:
    """The body of the answer that comes in those pieces, one at each turn of the loop."""

    async def feed() -> None:
        for piece in pieces:
            await asyncio.sleep(0)
            wire.data_received(piece)
        if eof:
            wire.eof_received()
            wire.connection_lost(None)

    feeding = asyncio.create_task(feed())
    try:
        await wire.begin(b"GET / HTTP/1.1\r\n\r\n", b"")
        body = b""
        while (data := await wire.read()) is not None:
            body += data
        return body
    finally:
        await feeding


def chunked(chunks: list[bytes], *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return body + b"0\r\n" + trailer + b"\r\n"


CUTS: Any = st.lists(st.integers(1, 40), max_size=60)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), CUTS, st.booleans())
def test_a_chunked_body_is_the_same_however_it_is_cut(chunks: list[bytes], sizes: list[int], decorated: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Two: a:b\r\n\r\n"
    extra = {"extension": b";name=value", "trailer": b"x-sum: 1\r\n"} if decorated else {}

    async def main() -> None:
        wire, _ = a_wire()
        assert await read_all(wire, cut(head + chunked(chunks, **extra), sizes)) == b"".join(chunks)
        assert wire.headers["x-two"] == "a:b"
        assert wire.usable and wire.reusable
        # and again on the same connection
        assert await read_all(wire, cut(head + chunked(chunks), sizes)) == b"".join(chunks)

    asyncio.run(main())


@given(st.binary(max_size=200), CUTS)
def test_a_counted_body_is_the_same_however_it_is_cut(body: bytes, sizes: list[int]) -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def main() -> None:
        wire, _ = a_wire()
        assert await read_all(wire, cut(answer, sizes)) == body
        assert (wire.status, wire.reusable) == (201, True)

    asyncio.run(main())


@given(st.binary(max_size=200), CUTS)
def test_a_body_may_end_with_the_connection(body: bytes, sizes: list[int]) -> None:
    async def main() -> None:
        wire, _ = a_wire()
        assert await read_all(wire, cut(b"HTTP/1.0 200 OK\r\n\r\n" + body, sizes), eof=True) == body
        assert not wire.usable

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000,
    ],
    ids=["short", "no last chunk", "half a chunk", "half a head", "nothing", "not http", "length", "size", "long", "endless head"],
)  # fmt: skip
async def test_what_is_cut_off_or_no_http_is_broken(answer: bytes) -> None:
    wire, _ = a_wire()

    with pytest.raises(Broken):
        await read_all(wire, [answer] if answer else [], eof=True)
    assert not wire.usable


async def test_more_than_was_announced_is_not_kept_for_the_next_answer() -> None:
    wire, _ = a_wire()

    body = await read_all(wire, [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nsmuggled"])

    assert body == b"ok"
    assert not wire.reusable


async def test_bytes_nobody_asked_for_close_the_connection() -> None:
    wire, line = a_wire()

    wire.data_received(b"HTTP/1.1 200 OK\r\n\r\n")

    assert line.closed and not wire.usable


async def test_what_nobody_reads_makes_the_provider_wait() -> None:
    wire, line = a_wire()
    beginning = asyncio.create_task(wire.begin(b"GET / HTTP/1.1\r\n\r\n", b""))
    await asyncio.sleep(0)

    wire.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    await beginning
    for _ in range(5):
        wire.data_received(b"x" * 100_000)
    assert line.paused == 1

    assert len(await wire.read() or b"") == 500_000
    assert line.paused == 0


async def test_the_rest_of_an_answer_is_read_for_nobody_and_its_connection_kept() -> None:
    wire, _ = a_wire()
    kept: list[Wire] = []
    beginning = asyncio.create_task(wire.begin(b"GET / HTTP/1.1\r\n\r\n", b""))
    await asyncio.sleep(0)
    wire.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await beginning

    wire.follow_no_more(kept.append)
    assert kept == []
    wire.data_received(b"0\r\n\r\n")

    assert kept == [wire]
    assert wire.usable and wire.reusable
