"""The gateway's own HTTP client beside pyreqwest, in turn, against a model server that answers at once.

python benchmarks/gateway/upstream.py 9100 &   python benchmarks/gateway/clients.py [URL]
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop
from pyreqwest.client import ClientBuilder

from octavo_server.costs.model import Timeouts
from octavo_server.gateway.providers.base import UpstreamRequest
from octavo_server.gateway.upstream import Upstream

URL = f"{sys.argv[1] if len(sys.argv) > 1 else 'http://127.0.0.1:9100'}/v1/chat/completions"
JSON = "application/json"
PLAIN = b'{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"Say hello to the reader please."}]}'
STREAM = PLAIN[:-1] + b',"stream": true}'
ROUNDS, SECONDS = 3, 1.5

Exchange = Callable[[bytes], Awaitable[None]]


async def measure(exchange: Exchange, body: bytes, connections: int) -> tuple[float, float]:
    """Requests/s, and µs of this process's processor time a request."""
    done = 0
    end = time.perf_counter() + SECONDS

    async def ask() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await exchange(body)
            done += 1

    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*[ask() for _ in range(connections)])
    after, elapsed = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - start
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done / elapsed, used / done * 1e6


async def main() -> None:
    own, other = Upstream(), ClientBuilder().build()

    async def by_us(body: bytes) -> None:
        request = UpstreamRequest(method="POST", url=URL, headers={"content-type": JSON}, body=body)
        answer = await own.open(request, Timeouts())
        while await answer.read_chunk() is not None:
            pass
        answer.close()

    async def by_pyreqwest(body: bytes) -> None:
        request = other.post(URL).body_bytes(body).header("content-type", JSON)
        if body is PLAIN:
            await (await request.build().send()).bytes()
            return
        async with request.build_streamed() as answer:
            while await answer.body_reader.read_chunk() is not None:
                pass

    for name, body in (("plain", PLAIN), ("streamed", STREAM)):
        for connections in (16, 1):
            rounds = [
                (await measure(by_us, body, connections), await measure(by_pyreqwest, body, connections))
                for _ in range(ROUNDS)
            ]
            ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in rounds)
            for who, figures in zip(("octavo", "pyreqwest"), zip(*rounds, strict=True), strict=True):
                per_s, cpu = (statistics.median(one[column] for one in figures) for column in (0, 1))
                print(f"{name:9} {connections:3} connections {who:10} {per_s:7.0f} req/s {cpu:5.0f} us of processor")
            print(f"{name:9} {connections:3} connections ratio {ratio:.2f}")
    await own.close()


uvloop.run(main())
