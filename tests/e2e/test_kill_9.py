"""`kill -9` under load: what was acknowledged is in the store exactly once, and what was lost is counted."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.stack import Admin, Stack

KILLS = 20
ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-4.1-mini","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":12,"completion_tokens":2,"total_tokens":14}}'
)


class _Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def model_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


async def _load(url: str, secret: str, acknowledged: list[str], until: float) -> None:
    """Calls from eight clients at once until the time is up or the server is gone; keeps the acknowledged trace ids."""

    async def client() -> None:
        async with httpx.AsyncClient(timeout=10.0) as http:
            while time.monotonic() < until:
                try:
                    answer = await http.post(
                        f"{url}/v1/chat/completions",
                        headers={"authorization": f"Bearer {secret}"},
                        json={"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello?"}]},
                    )
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                acknowledged.append(answer.headers["x-octavo-trace-id"])

    await asyncio.gather(*(client() for _ in range(8)))


def _drained(admin: Admin) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        accounting: dict[str, Any] = admin.call("GET", "/accounting")
        if accounting["pending"] == 0:
            return accounting
        time.sleep(0.2)
    raise AssertionError(f"the spool was not drained within a minute: {accounting}")


def _stored_traces(admin: Admin) -> list[str]:
    """The trace id of every stored span, so that one stored twice shows twice."""
    ids: list[str] = []
    cursor = None
    while True:
        page = admin.call("GET", "/spans", limit=1000, **({"cursor": cursor} if cursor else {}))
        ids += [span["trace_id"] for span in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return ids


@pytest.mark.slow
@pytest.mark.parametrize("recording", ["strict", "batched"])
def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(tmp_path: Path, model_url: str, recording: str) -> None:
    """Twenty kills of a whole server take a minute: each has to start again."""
    stack = Stack(tmp_path / "data", OCTAVO_RECORDING=recording)
    stack.start()
    admin = stack.admin()
    secret = admin.new_project("soak", model_url)
    project = "soak"
    admin.close()
    seed = random.Random(20261123)
    acknowledged: list[str] = []
    for _ in range(KILLS):
        enough = len(acknowledged) + seed.randint(1, 60)
        loader = threading.Thread(
            target=lambda: asyncio.run(_load(stack.url, secret, acknowledged, time.monotonic() + 60.0))
        )
        loader.start()
        # By calls and not by the clock, so that a busy machine kills as far into the load as an idle one.
        deadline = time.monotonic() + 30
        while len(acknowledged) < enough and time.monotonic() < deadline:
            time.sleep(0.005)
        stack.kill()
        loader.join()
        stack.start()
    admin = Admin(stack.url, project)
    accounting = _drained(admin)
    stored = _stored_traces(admin)
    admin.close()
    assert stack.stop() == 0

    assert len(acknowledged) >= KILLS
    assert len(stored) == len(set(stored)), "a call is stored twice"
    missing = set(acknowledged) - set(stored)
    if recording == "strict":
        assert not missing
    else:
        assert len(missing) <= accounting["dropped"], "lost calls that the accounting does not own up to"
    assert len(stored) == accounting["stored"]
