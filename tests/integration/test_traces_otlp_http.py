"""OTLP through the front door: what exporters send, and the answers they act on."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import orjson
import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from tests.integration.http_server import client_of, log_in, make_key, make_project, running, settings_of
from tests.unit.traces.spans import protobuf

from octavo_server.http import errors
from octavo_server.http.front import MAX_BODIES_BYTES
from octavo_server.http.wiring import Server

PROTOBUF = "application/x-protobuf"
PATHS = ["/v1/traces", "/api/public/otel/v1/traces"]


class Door(NamedTuple):
    """The server, and a client with an application's key."""

    server: Server
    client: httpx.AsyncClient
    basic: str

    async def send(
        self, body: bytes, *, path: str = "/v1/traces", kind: str = PROTOBUF, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=body, headers={"content-type": kind, **named})

    def accepted(self) -> int:
        return self.server.rooms.spool.accounting().accepted


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with running(settings_of(tmp_path, max_otlp_mb=1)) as server, client_of(server) as console:
        await log_in(console)
        await make_project(console)
        key = await make_key(console)
        basic = b64encode(f"{key['public_key']}:{key['secret_key']}".encode()).decode()
        async with client_of(server, headers={"authorization": f"Bearer {key['secret_key']}"}) as client:
            yield Door(server, client, basic)


@pytest.mark.parametrize("path", PATHS)
async def test_spans_are_taken_in_both_encodings(door: Door, path: str) -> None:
    answer = await door.send(protobuf({}, {}), path=path)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, PROTOBUF, b"")

    answer = await door.send(gzip.compress(protobuf({})), path=path, content_encoding="gzip")
    assert answer.status_code == 200

    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "x", "startTimeUnixNano": 1780000000000000000}
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    answer = await door.send(body, path=path, kind="application/json; charset=utf-8")
    assert (answer.status_code, answer.json()) == (200, {})

    answer = await door.send(protobuf({}), path=path, authorization=f"Basic {door.basic}")
    assert answer.status_code == 200
    assert door.accepted() == 5


async def test_refused_spans_are_a_partial_success(door: Door) -> None:
    answer = await door.send(protobuf({}, {"trace_id": b"short"}))

    told = ExportTraceServiceResponse.FromString(answer.content)
    assert answer.status_code == 200
    assert told.partial_success.rejected_spans == 1
    assert "5 bytes" in told.partial_success.error_message
    assert door.accepted() == 1


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status"),
    [
        (b"\xff\xff", PROTOBUF, "", 400),
        (b"{", "application/json", "", 400),
        (protobuf({}), "text/plain", "", 415),
        (protobuf({}), PROTOBUF, "br", 415),
        (b"no gzip", PROTOBUF, "gzip", 400),
        (gzip.compress(bytes(3 << 20)), PROTOBUF, "gzip", 413),
        (bytes(2 << 20), PROTOBUF, "", 413),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_what_cannot_be_taken_is_refused(
    door: Door, path: str, body: bytes, kind: str, encoding: str, status: int
) -> None:
    headers = {"content_encoding": encoding} if encoding else {}
    answer = await door.send(body, path=path, kind=kind, **headers)

    assert answer.status_code == status, answer.text
    assert door.accepted() == 0


@pytest.mark.parametrize("path", PATHS)
async def test_a_wrong_key_is_no_key(door: Door, path: str) -> None:
    assert (await door.send(protobuf({}), path=path, authorization="Bearer sk-oct-wrong")).status_code == 401
    async with client_of(door.server) as nobody:
        assert (await nobody.post(path, content=b"")).status_code == 401


async def test_a_full_spool_says_when_to_come_again(tmp_path: Path) -> None:
    async with running(settings_of(tmp_path, spool_max_mb=0)) as server, client_of(server) as console:
        await log_in(console)
        await make_project(console)
        key = await make_key(console)
        headers = {"authorization": f"Bearer {key['secret_key']}", "content-type": PROTOBUF}
        answer = await console.post("/v1/traces", content=protobuf({}), headers=headers)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_bodies_beyond_the_memory_for_them_are_to_come_again(door: Door) -> None:
    bodies = door.server.front.bodies
    bodies.take(MAX_BODIES_BYTES - 10)  # as if others were being sent
    answer = await door.send(protobuf({}))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert Status.FromString(answer.content).code == 8

    bodies.held -= MAX_BODIES_BYTES - 10
    assert (await door.send(protobuf({}))).status_code == 200
    assert (await door.send(bytes(2 << 20))).status_code == 413
    assert bodies.held == 0


async def test_a_defect_of_ours_loses_no_batch_of_an_exporter() -> None:
    app = FastAPI()
    errors.install(app)

    @app.post("/v1/traces")
    async def broken() -> None:
        raise ZeroDivisionError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://octavo.test") as client:
        answer = await client.post("/v1/traces", headers={"content-type": PROTOBUF})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert Status.FromString(answer.content).code == 14


async def test_logs_and_metrics_have_a_place(door: Door) -> None:
    assert (await door.send(b"{}", path="/v1/logs", kind="application/json")).json() == {}
    assert (await door.send(b"", path="/v1/metrics")).status_code == 200
    assert (await door.send(b"", path="/api/public/otel/v1/logs")).status_code == 200
