"""What is recorded of a call: once, all that was said about it, and never a secret."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from tests.integration.gateway.in_process import InProcess, snapshot_of
from tests.integration.gateway_server import SECRET, UPSTREAM_SECRET, Handler, ModelServer, chat_events

from octavo_server.core.errors import Unavailable
from octavo_server.costs.model import Timeouts
from octavo_server.traces.model import CaptureMode, GatewayCall

CALL: dict[str, Any] = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Say hello."}]}
STREAM: dict[str, Any] = {**CALL, "stream": True}


async def test_a_strict_reply_waits_for_its_record(in_process: InProcess) -> None:
    in_process.records.may_commit.clear()
    client, task = in_process.begin(CALL)

    await in_process.records.asked.wait()
    assert client.status == 0
    in_process.records.may_commit.set()
    await task

    assert client.status == 200
    assert len(in_process.records.calls) == 1


async def test_the_end_of_a_strict_stream_waits_for_its_record(in_process: InProcess, models: ModelServer) -> None:
    models.scripts = [lambda handler: handler.stream(chat_events("Hel", "lo"))]
    in_process.records.may_commit.clear()
    client, task = in_process.begin(STREAM)

    await in_process.records.asked.wait()
    assert b"[DONE]" not in client.body
    in_process.records.may_commit.set()
    await task

    assert client.ended
    assert client.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("body", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_client_that_leaves_while_its_record_is_written_is_recorded_once(
    in_process: InProcess, models: ModelServer, body: dict[str, Any]
) -> None:
    if body.get("stream"):
        models.scripts = [lambda handler: handler.stream(chat_events("Hello"))]
    in_process.records.may_commit.clear()
    client, task = in_process.begin(body)

    await in_process.records.asked.wait()
    client.hang_up()
    await asyncio.wait_for(task, 10)

    assert [call.status_code for call in in_process.records.calls] == [200]


async def test_the_total_timeout_is_not_for_the_record(
    in_process: InProcess, models: ModelServer, spare: ModelServer
) -> None:
    short = Timeouts(connect_s=1.0, first_byte_s=0.2, total_s=0.2)
    in_process.holder.swap(snapshot_of(models, spare, timeouts=short))
    in_process.records.may_commit.clear()
    client, task = in_process.begin(CALL)

    await in_process.records.asked.wait()
    _, pending = await asyncio.wait([task], timeout=0.6)
    assert pending
    in_process.records.may_commit.set()
    await task

    assert client.status == 200
    assert len(in_process.records.calls) == 1


@pytest.mark.parametrize("body", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_client_that_leaves_a_provider_that_says_nothing(
    in_process: InProcess, models: ModelServer, body: dict[str, Any]
) -> None:
    asked = threading.Event()

    def hang(handler: Handler) -> None:
        asked.set()
        handler.hang()

    models.scripts = [hang]
    client, task = in_process.begin(body)

    assert await asyncio.to_thread(asked.wait, 5)
    client.hang_up()
    await asyncio.wait_for(task, 10)

    assert await asyncio.to_thread(models.hung_up.wait, 5)
    (record,) = in_process.records.calls
    assert (record.status_code, record.error_class) == (499, "cancelled")
    assert client.status == 0
    assert len(models.requests) == 1


async def test_a_call_whose_record_is_refused_is_refused(models: ModelServer, spare: ModelServer) -> None:
    class Full:
        def record(self, call: GatewayCall) -> None:
            raise Unavailable("The backlog is full.")

    gateway = InProcess(snapshot_of(models, spare), recorder=Full())

    client = await gateway.call(CALL)
    await gateway.upstream.close()

    assert client.status == 503
    assert client.json()["error"]["message"] == "The backlog is full."
    assert client.headers["retry-after"] == "1"


async def test_all_that_was_said_about_a_call_is_recorded(in_process: InProcess) -> None:
    headers = {
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
        "baggage": "langfuse_user_id=u%201,langfuse_trace_name=nightly;p=1,other=x",
        "x-octavo-session": "s1",
        "x-octavo-tags": "a, b,,",
        "x-octavo-metadata": '{"team":"x"}',
        "user-agent": "OpenAI/Python 3.54.0",
        "x-stainless-retry-count": "1",
        "cookie": "session=private",
    }
    body = {**CALL, "metadata": {"ticket": "7"}, "octavo": {"name": "greet"}}

    client = await in_process.call(body, headers=headers)
    (record,) = in_process.records.calls

    assert (record.trace_id, record.parent_span_id) == ("ab" * 16, "cd" * 8)
    assert record.context == {
        "user_id": "u 1",
        "trace_name": "nightly",
        "session_id": "s1",
        "tags": ["a", "b"],
        "metadata": {"ticket": "7", "team": "x"},
        "name": "greet",
    }
    assert record.request_headers == {"user-agent": "OpenAI/Python 3.54.0", "x-stainless-retry-count": "1"}
    assert (record.environment, record.api_key_id, record.project_id) == ("staging", "key_1", "prj_1")
    assert (record.connection_id, record.provider) == ("openai", "openai")
    assert (record.finish_reason, record.response_id) == ("stop", "chatcmpl-1")
    assert record.request_id == client.headers["x-request-id"]
    assert record.response == client.body
    assert json.loads(record.request) == body


async def test_a_streams_record_is_what_the_client_got(in_process: InProcess, models: ModelServer) -> None:
    models.scripts = [lambda handler: handler.stream(chat_events("Hel", "lo"))]

    client = await in_process.call(STREAM)

    assert in_process.records.calls[0].response == client.body
    assert in_process.records.calls[0].finish_reason == "stop"


async def test_what_no_price_is_known_of_costs_nothing_known(in_process: InProcess, models: ModelServer) -> None:
    answer = {
        "id": "x",
        "model": "gpt-unheard-of",
        "choices": [],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    models.scripts = [lambda handler: handler.answer(200, answer)]

    client = await in_process.call({**CALL, "model": "gpt-unheard-of"})
    (record,) = in_process.records.calls

    assert (record.cost_nano, record.price_known) == (None, False)
    assert "x-octavo-cost" not in client.headers
    assert client.json() == answer


async def test_a_projects_own_price_is_charged(in_process: InProcess) -> None:
    client = await in_process.call({**CALL, "model": "org/some/model"})

    # 12 tokens at $1 and 3 at $2 a million.
    assert in_process.records.calls[0].cost_nano == 18_000
    assert client.headers["x-octavo-cost"] == "0.000018"
    assert client.json()["usage"]["cost"] == 0.000018


@pytest.mark.parametrize(
    "script",
    [
        lambda handler: handler.answer(401, {"error": {"message": f"Incorrect API key: {UPSTREAM_SECRET}"}}),
        lambda handler: handler.answer(400, {"error": {"message": f"Bad: Bearer {UPSTREAM_SECRET}"}}),
        lambda handler: handler.answer(500, f"oops {UPSTREAM_SECRET}".encode(), "text/plain"),
        lambda handler: handler.answer(200, f"<html>{UPSTREAM_SECRET}".encode(), "text/html"),
        lambda handler: handler.drop(),
        lambda handler: handler.stream([b'data: {"error": {"message": "key %s"}}\n\n' % UPSTREAM_SECRET.encode()]),
    ],
    ids=["401", "400", "500", "html", "reset", "in the stream"],
)
async def test_no_secret_is_told_recorded_or_logged(
    in_process: InProcess, models: ModelServer, caplog: pytest.LogCaptureFixture, script: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    models.scripts = [script]

    client = await in_process.call(STREAM)
    (record,) = in_process.records.calls

    for secret in (SECRET, UPSTREAM_SECRET):
        assert secret not in client.body.decode()
        assert secret not in str(client.headers)
        assert secret not in str(record)
        assert secret not in caplog.text
    # but in the one place it is for
    assert SECRET not in str(models.requests)
    assert models.requests[0][1]["authorization"] == f"Bearer {UPSTREAM_SECRET}"


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize("masks", [(), (r"\d{16}",)], ids=["bare", "masked"])
@pytest.mark.parametrize("levels", [100, 300, 1000])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_deep_nesting_is_passed_on_and_recorded(
    in_process: InProcess, models: ModelServer, spare: ModelServer, masks: tuple[str, ...], levels: int, stream: bool
) -> None:
    in_process.holder.swap(snapshot_of(models, spare, project={"masks": masks}))
    if stream:
        models.scripts = [lambda handler: handler.stream(chat_events("Hello"))]
    body = b'{"model":"gpt-4.1-mini","card":"4111111111111111","stream":%s,"messages":%s}'

    client = await in_process.call(body % (b"true" if stream else b"false", deep(levels)))
    (record,) = in_process.records.calls

    assert client.status == 200
    assert (b"4111111111111111" in record.request) == (not masks)
    assert b"Hello" in record.response


async def test_metadata_too_deep_to_be_recorded_is_refused(in_process: InProcess, models: ModelServer) -> None:
    client = await in_process.call(b'{"model":"gpt-4.1-mini","messages":[],"metadata":{"a":%s}}' % deep(500))

    assert (client.status, client.json()["error"]["param"]) == (400, "metadata")
    assert models.requests == []


@pytest.mark.parametrize("capture", list(CaptureMode))
async def test_a_refused_request_is_recorded_as_far_as_the_project_wants(
    in_process: InProcess, models: ModelServer, spare: ModelServer, capture: CaptureMode
) -> None:
    in_process.holder.swap(snapshot_of(models, spare, project={"capture": capture}))

    await in_process.call(b'{"model": "gpt-4.1-mini", "private')
    (record,) = in_process.records.calls

    assert (record.status_code, record.error_class) == (400, "invalid_request")
    assert (b"private" in record.request) == (capture is CaptureMode.FULL)
    assert bool(record.error_message) == (capture is not CaptureMode.NONE)
