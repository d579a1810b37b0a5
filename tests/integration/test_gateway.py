"""The gateway as its clients meet it: the real SDKs over real sockets, and a model server that misbehaves on demand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from gateway_server import (
    SECRET,
    UPSTREAM_SECRET,
    GatewayServer,
    ModelServer,
    chat_answer,
    chat_events,
)

from octavo_server.traces.model import CaptureMode

MESSAGES: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def servers() -> Iterator[GatewayServer]:
    models, spare = ModelServer(), ModelServer()
    gateway = GatewayServer(models, spare)
    yield gateway
    gateway.close()
    models.close()
    spare.close()


@pytest.fixture
def gateway(servers: GatewayServer) -> GatewayServer:
    """The gateway, nothing recorded, both model servers willing."""
    servers.arrange()
    servers.records.calls.clear()
    for models in (servers.models, servers.spare):
        models.scripts = [lambda handler: handler.answer(200, chat_answer())]
        models.requests.clear()
        models.hung_up.clear()
    return servers


@pytest.fixture
def client(gateway: GatewayServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url, api_key=SECRET, max_retries=0, timeout=15) as client:
        yield client


def test_a_plain_call_is_answered_priced_and_recorded(gateway: GatewayServer, client: openai.OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model="gpt-4.1-mini", messages=MESSAGES, user="u1")
    completion = answer.parse()
    record = gateway.records.next()

    assert completion.choices[0].message.content == "Hello."
    assert completion.usage is not None
    assert completion.usage.model_extra is not None
    # 12 tokens at $0.40 and 3 at $1.60 a million.
    assert completion.usage.model_extra["cost"] == pytest.approx(0.0000096)
    assert answer.headers["x-octavo-cost"] == "0.0000096"
    assert record.cost_nano == 9600
    assert record.usage is not None
    assert (record.usage.input, record.usage.output) == (12, 3)
    assert (record.model_requested, record.model, record.attempts) == ("gpt-4.1-mini", "gpt-4.1-mini", 1)
    assert record.context["user_id"] == "u1"
    assert record.trace_id == answer.headers["x-octavo-trace-id"]


def test_bytes_pass_through_untouched_and_credentials_do_not(gateway: GatewayServer) -> None:
    body = b'{ "model":"gpt-4.1-mini", "messages":[], "big": 123456789012345678901234567890, "f": 1.10, "new_field": {"a": [1]} }'

    if gateway.post(content=body).status_code == 400:
        pytest.fail("a number larger than 64 bits has to pass")
    _, headers, sent = gateway.models.requests[0]

    assert sent == body
    assert headers["authorization"] == f"Bearer {UPSTREAM_SECRET}"
    assert SECRET not in json.dumps(headers)


def test_the_octavo_field_is_recorded_and_taken_out(gateway: GatewayServer, client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model="gpt-4.1-mini",
        messages=MESSAGES,
        extra_body={"octavo": {"session_id": "s1", "tags": ["a"], "metadata": {"team": "x"}}},
        extra_headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"},
    )
    record = gateway.records.next()

    assert "octavo" not in json.loads(gateway.models.requests[0][2])
    assert record.context == {"session_id": "s1", "tags": ["a"], "metadata": {"team": "x"}}
    assert (record.trace_id, record.parent_span_id) == ("ab" * 16, "cd" * 8)


def test_a_stream_carries_usage_where_every_client_looks(gateway: GatewayServer, client: openai.OpenAI) -> None:
    gateway.models.scripts = [lambda handler: handler.stream(chat_events("Hel", "lo"))]

    chunks = list(client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES, stream=True))
    record = gateway.records.next()

    assert all(chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 15
    assert chunks[-1].usage.model_extra == {"cost": pytest.approx(0.0000096)}
    assert json.loads(gateway.models.requests[0][2])["stream_options"] == {"include_usage": True}
    assert (record.cost_nano, record.streaming, record.error_class) == (9600, True, "")
    assert record.start_ns < record.first_token_ns <= record.end_ns


def test_a_client_that_asks_for_usage_gets_openais_own_wire(gateway: GatewayServer, client: openai.OpenAI) -> None:
    gateway.models.scripts = [lambda handler: handler.stream(chat_events("Hello"))]

    chunks = list(
        client.chat.completions.create(
            model="gpt-4.1-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )

    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-2].usage is None


async def test_the_asynchronous_client_streams_too(gateway: GatewayServer) -> None:
    gateway.models.scripts = [lambda handler: handler.stream(chat_events("Hello"))]
    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=SECRET, max_retries=0) as client:
        stream = await client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == "Hello"


def test_anthropics_client_on_an_openai_server(gateway: GatewayServer) -> None:
    gateway.models.scripts = [
        lambda handler: handler.answer(200, chat_answer("Bonjour.")),
        lambda handler: handler.stream(chat_events("Bon", "jour")),
    ]
    with anthropic.Anthropic(base_url=gateway.url.removesuffix("/v1"), api_key=SECRET, max_retries=0) as client:
        message = client.messages.create(model="claude-test", max_tokens=50, messages=MESSAGES)
        with client.messages.stream(model="claude-test", max_tokens=50, messages=MESSAGES) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()

    assert message.content[0].type == "text"
    assert message.content[0].text == "Bonjour."
    assert (message.usage.input_tokens, message.usage.output_tokens) == (12, 3)
    assert text == "Bonjour"
    assert final.usage.output_tokens == 3


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (400, {"error": {"message": "bad", "code": "context_length_exceeded"}}, openai.BadRequestError),
        (422, {"error": {"message": "bad"}}, openai.UnprocessableEntityError),
        (429, {"error": {"message": "slow down"}}, openai.RateLimitError),
        (500, b"<html>oops</html>", openai.InternalServerError),
        (401, {"error": {"message": f"Incorrect API key {UPSTREAM_SECRET}"}}, openai.InternalServerError),
    ],
)
def test_a_refusal_raises_the_right_exception(
    gateway: GatewayServer, client: openai.OpenAI, status: int, body: Any, raised: type[openai.APIStatusError]
) -> None:
    gateway.models.scripts = [lambda handler: handler.answer(status, body)]

    with pytest.raises(raised) as refused:
        client.chat.completions.create(model="solo-1", messages=MESSAGES)
    record = gateway.records.next()

    assert UPSTREAM_SECRET not in str(refused.value)
    assert UPSTREAM_SECRET.encode() not in record.response
    assert record.error_class
    assert record.status_code == refused.value.status_code


def test_a_passing_trouble_is_tried_again(gateway: GatewayServer, client: openai.OpenAI) -> None:
    gateway.models.scripts = [
        lambda handler: handler.answer(429, {"error": {"message": "slow down"}}, retry_after="0"),
        lambda handler: handler.answer(200, chat_answer()),
    ]

    client.chat.completions.create(model="solo-1", messages=MESSAGES)
    record = gateway.records.next()

    assert (record.attempts, record.attempt_errors) == (2, ["first: 429 rate_limit_exceeded"])


def test_the_chain_goes_on_where_one_fails(gateway: GatewayServer, client: openai.OpenAI) -> None:
    gateway.models.scripts = [lambda handler: handler.answer(503, {"error": {"message": "down"}})]
    gateway.spare.scripts = [lambda handler: handler.answer(200, chat_answer("From the spare."))]

    completion = client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)
    record = gateway.records.next()

    assert completion.choices[0].message.content == "From the spare."
    assert (record.connection_id, record.attempts) == ("spare", 3)


@pytest.mark.parametrize(
    "rubbish",
    [
        lambda handler: handler.answer(200, b"<html>welcome</html>", "text/html"),
        lambda handler: handler.answer(200, b"not json"),
        lambda handler: handler.answer(200, [1, 2]),
        lambda handler: handler.drop(),
    ],
    ids=["html", "text", "list", "reset"],
)
def test_rubbish_from_upstream_is_502(gateway: GatewayServer, rubbish: Any) -> None:
    gateway.models.scripts = [rubbish]

    answer = gateway.post(json={"model": "solo-1", "messages": MESSAGES})

    assert answer.status_code == 502
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert gateway.records.next().error_class == "upstream"


def test_an_upstream_that_hangs_is_504(gateway: GatewayServer) -> None:
    gateway.models.scripts = [lambda handler: handler.hang()]

    answer = gateway.post(json={"model": "solo-1", "messages": MESSAGES})

    assert answer.status_code == 504
    assert gateway.records.next().error_class == "timeout"
    assert gateway.models.hung_up.wait(5)


def test_a_stream_that_does_not_begin_is_left_for_the_next(gateway: GatewayServer) -> None:
    gateway.models.scripts = [lambda handler: handler.hang()]
    gateway.spare.scripts = [lambda handler: handler.stream(chat_events("Hello"))]

    answer = gateway.post(json={"model": "gpt-4.1-mini", "messages": MESSAGES, "stream": True})
    record = gateway.records.next()

    assert answer.status_code in (200, 504)
    assert record.attempt_errors[0] == "first: 504 upstream_timeout"


def test_half_a_stream_does_not_look_whole(gateway: GatewayServer, client: openai.OpenAI) -> None:
    def half(handler: Any) -> None:
        handler.begin_stream()
        for event in chat_events("Hel", "lo")[:2]:
            handler.piece(event)
        time.sleep(0.2)  # a reset would overtake what was sent
        handler.drop()

    gateway.models.scripts = [half]

    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="solo-1", messages=MESSAGES, stream=True))
    record = gateway.records.next()

    assert record.error_class == "upstream"


def test_a_client_that_goes_away_ends_the_call_upstream(gateway: GatewayServer) -> None:
    def slowly(handler: Any) -> None:
        handler.begin_stream()
        for event in chat_events("Hello")[:2]:
            handler.piece(event)
        handler.hang()

    gateway.models.scripts = [slowly]
    body = {"model": "solo-1", "messages": MESSAGES, "stream": True}
    headers = {"authorization": f"Bearer {SECRET}"}
    with httpx.stream("POST", f"{gateway.url}/chat/completions", json=body, headers=headers, timeout=10) as answer:
        next(answer.iter_bytes())

    assert gateway.models.hung_up.wait(5)
    record = gateway.records.next()
    assert (record.status_code, record.error_class) == (499, "cancelled")
    assert b"Hello" in record.response


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{oops", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b"{}", 400, "invalid_request"),
        (b'{"model": "unheard-of", "messages": []}', 404, "model_not_found"),
        (b'{"model": "solo-1", "stream": "yes"}', 400, "invalid_request"),
        (b'{"model": "solo-1", "octavo": 5}', 400, "invalid_request"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b"x" * (2 << 20), 413, "request_too_large"),
    ],
    ids=["half", "list", "empty", "model", "stream", "octavo", "deep", "large"],
)
def test_bad_input_gets_a_clear_error(gateway: GatewayServer, body: bytes, status: int, code: str) -> None:
    answer = gateway.post(content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-request-id"].startswith("req_")


def test_who_has_no_key_or_may_not_is_refused(gateway: GatewayServer) -> None:
    wrong = openai.OpenAI(base_url=gateway.url, api_key="sk-oct-wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)

    gateway.arrange(allowed_models=("solo-*",))
    refused = gateway.post(json={"model": "gpt-4.1-mini", "messages": MESSAGES})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")


def test_models_are_listed_and_looked_up(gateway: GatewayServer, client: openai.OpenAI) -> None:
    assert client.models.retrieve("first/some/model").id == "first/some/model"
    assert client.models.list().object == "list"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("unheard-of")


@pytest.mark.parametrize("capture", list(CaptureMode))
def test_no_more_is_kept_than_the_project_says(gateway: GatewayServer, capture: CaptureMode) -> None:
    gateway.arrange(capture=capture, masks=(r"\d{16}",))

    gateway.post(
        json={"model": "solo-1", "messages": [{"role": "user", "content": "card 4111111111111111"}], "user": "u1"}
    )
    record = gateway.records.next()

    assert b"4111111111111111" not in record.request
    assert (b"[MASKED]" in record.request) == (capture is CaptureMode.FULL)
    assert bool(record.response) == (capture is CaptureMode.FULL)
    assert ("user_id" in record.context) == (capture is not CaptureMode.NONE)
    assert record.usage is not None
    assert SECRET.encode() not in record.request + record.response
    assert SECRET not in str(record.request_headers)
