"""A gateway on a real socket with a scripted model server behind it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from octavo_server.core.clock import SystemClock
from octavo_server.costs.model import Connection, Route, Target, Timeouts
from octavo_server.edge.access import Permission
from octavo_server.gateway.app import Gateway
from octavo_server.gateway.snapshot import Snapshot, SnapshotHolder
from octavo_server.gateway.upstream import Upstream
from octavo_server.governance.model import KeyGrant, Project
from octavo_server.http.listener import Listener
from octavo_server.traces.model import CaptureMode, GatewayCall

SECRET = "sk-oct-test-secret"
UPSTREAM_SECRET = "sk-upstream-0123456789abcdef"
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
BASE = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "gpt-4.1-mini"}

Script = Callable[["Handler"], None]


def chat_answer(content: str = "Hello.", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}
    return {**BASE, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def chat_events(*words: str) -> list[bytes]:
    """What OpenAI streams when usage is asked for."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None} for delta in deltas]
    chunks += [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None},
        {"choices": [], "usage": USAGE},
    ]
    whole = [{**BASE, "object": "chat.completion.chunk", **chunk} for chunk in chunks]
    return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in whole] + [b"data: [DONE]\n\n"]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next script, the last one again and again."""

    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        scripts = self.server.scripts
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        try:
            script(self)
        except (BrokenPipeError, ConnectionResetError):
            self.server.hung_up.set()
            self.close_connection = True

    do_GET = do_POST

    def answer(self, status: int, body: Any, content_type: str = "application/json", **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def piece(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.flush()

    def stream(self, events: list[bytes]) -> None:
        self.begin_stream()
        for event in events:
            self.piece(event)
        self.wfile.write(b"0\r\n\r\n")

    def hang(self) -> None:
        """Says nothing until the other side hangs up."""
        self.connection.settimeout(10.0)
        if self.connection.recv(1) == b"":
            self.server.hung_up.set()
        self.close_connection = True

    def drop(self) -> None:
        """Closes the connection in the middle of whatever was being said."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class ModelServer(ThreadingHTTPServer):
    """A model server that does as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts: list[Script] = [lambda handler: handler.answer(200, chat_answer())]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.hung_up = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@dataclass
class Records:
    """A recorder that keeps what it is given."""

    calls: list[GatewayCall] = field(default_factory=list)

    def record(self, call: GatewayCall) -> None:
        self.calls.append(call)

    def next(self) -> GatewayCall:
        """The record of the call before; a record may be later than its reply."""
        deadline = time.monotonic() + 10
        while not self.calls:
            assert time.monotonic() < deadline, "no call was recorded"
            time.sleep(0.01)
        return self.calls.pop(0)


class GatewayServer:
    """The gateway behind its listener, in a thread of its own."""

    def __init__(self, models: ModelServer, spare: ModelServer) -> None:
        self.records = Records()
        self.models = models
        self.spare = spare
        self.holder = SnapshotHolder()
        self.arrange()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._loop = asyncio.new_event_loop()
        self._upstream = Upstream()
        self._gateway = Gateway(
            snapshots=self.holder,
            upstream=self._upstream,
            recorder=self.records,
            clock=SystemClock(),
            max_body_bytes=1 << 20,
        )
        self._listener = Listener(self._gateway, "127.0.0.1", self.port)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def arrange(self, *, capture: CaptureMode = CaptureMode.FULL, masks: tuple[str, ...] = (), **key: Any) -> None:
        """A fresh snapshot: `gpt-*` by a route from the model server to the spare one, `claude-*` likewise."""
        hashed = hashlib.sha256(SECRET.encode()).hexdigest()
        grant = {
            "key_id": "key_1",
            "public_key": "pk-oct-1",
            "secret_hash": hashed,
            "name": "test",
            "project_id": "prj_1",
            "environment": "production",
            "scopes": frozenset({Permission.GATEWAY_CALL}),
            **key,
        }
        connections = {
            name: Connection(
                id=name,
                project_id="prj_1",
                name=name,
                provider="openai",
                base_url=server.url,
                secret=UPSTREAM_SECRET,
            )
            for name, server in (("first", self.models), ("spare", self.spare))
        }
        timeouts = Timeouts(connect_s=1.0, first_byte_s=0.6, total_s=1.5)
        targets = (Target(connection_id="first"), Target(connection_id="spare"))
        routes = tuple(
            Route(
                id=f"rte_{pattern}", project_id="prj_1", pattern=pattern, targets=chosen, retries=1, timeouts=timeouts
            )
            for pattern, chosen in (("gpt-*", targets), ("claude-*", targets), ("solo-*", targets[:1]))
        )
        project = Project(
            id="prj_1", name="P", slug="p", capture=capture, masks=masks, created_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
        self.holder.swap(
            Snapshot(
                version=self.holder.current.version + 1,
                keys={hashed: KeyGrant(**grant)},
                projects={"prj_1": project},
                connections=connections,
                routes={"prj_1": routes},
            )
        )

    def post(self, path: str = "/chat/completions", **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {SECRET}", **options.pop("headers", {})}
        return httpx.post(self.url + path, headers=headers, timeout=15.0, **options)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        await self._listener.stop(1.0)
        await self._upstream.close()
        self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listener.start())
        self._loop.run_forever()

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 0.2):
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the gateway did not start")
