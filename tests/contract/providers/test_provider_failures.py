"""Refusals, before and after the first byte: the status, code and exception that SDK users act on; no secrets."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import orjson
import pytest
from corridor import CHAT, MESSAGES, RESPONSES, Corridor, call, drain, error_event, frames, recorded

from octavo_server.core.errors import UpstreamError
from octavo_server.gateway.providers.eventstream import encode
from octavo_server.gateway.providers.failures import failure, in_stream, read_failure
from octavo_server.gateway.providers.registry import PROVIDERS, open_exchange

ASK: list[Any] = [{"role": "user", "content": "hi"}]
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}

REFUSALS = [
    # provider, status, body -> what the client is told: status, code, retryable
    ("openai", 401, {"error": {"message": "Incorrect API key provided: sk-proj-abc123456789.", "type": "invalid_request_error", "code": "invalid_api_key"}}, 502, "upstream_auth", False),
    ("openai", 429, {"error": {"message": "Rate limit", "type": "requests", "code": "rate_limit_exceeded"}}, 429, "rate_limit_exceeded", True),
    ("openai", 429, {"error": {"message": "You exceeded your quota", "type": "insufficient_quota", "code": "insufficient_quota"}}, 429, "insufficient_quota", False),
    ("openai", 400, {"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}, 400, "context_length_exceeded", False),
    ("openai", 404, {"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}, 404, "model_not_found", False),
    ("openai", 500, {"error": {"message": "The server had an error", "type": "server_error"}}, 500, "upstream_error", True),
    ("vllm", 400, {"object": "error", "message": "This model's maximum context length is 4096 tokens", "type": "BadRequestError", "code": 400}, 400, "context_length_exceeded", False),
    ("ollama", 404, {"error": "model 'x' not found"}, 404, "model_not_found", False),
    ("vllm", 422, {"detail": [{"loc": ["body"], "msg": "bad"}]}, 422, "invalid_request", False),
    ("anthropic", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529, "upstream_error", True),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 205000 tokens > 200000 maximum"}}, 400, "context_length_exceeded", False),
    ("anthropic", 404, {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-x"}}, 404, "model_not_found", False),
    ("gemini", 400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}, 502, "upstream_auth", False),
    ("gemini", 429, {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED", "details": [RETRY_INFO]}}, 429, "rate_limit_exceeded", True),
    ("gemini", 400, {"error": {"code": 400, "message": "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).", "status": "INVALID_ARGUMENT"}}, 400, "context_length_exceeded", False),
    ("bedrock", 400, {"message": "Input is too long for requested model."}, 400, "context_length_exceeded", False),
    ("bedrock", 429, {"message": "Too many requests, please wait before trying again."}, 429, "rate_limit_exceeded", True),
    ("bedrock", 403, {"message": "User: arn:aws:iam::123456789012:user/x is not authorized"}, 502, "upstream_auth", False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "status", "body", "told", "code", "retryable"), REFUSALS)
def test_refusals(kind: str, status: int, body: Any, told: int, code: str, retryable: bool) -> None:
    raw = orjson.dumps(body)
    problem = PROVIDERS[kind].failure(status, {}, raw)
    assert (problem.client_status, problem.code, problem.retryable) == (told, code, retryable)
    assert problem.message
    for secret in ("sk-proj", "123456789012"):
        assert secret not in problem.message
    client = Corridor(kind, raw, status=status).openai()
    expected = openai.InternalServerError if told >= 500 else openai.APIStatusError
    with pytest.raises(expected) as raised:
        client.chat.completions.create(model="m", messages=ASK)
    assert raised.value.code == code
    assert raised.value.status_code == told


def test_a_refusal_that_is_not_json() -> None:
    page = read_failure(502, {}, b"<html><body>Bad gateway</body></html>")
    assert page.message == "The provider answered HTTP 502 without saying why."
    text = read_failure(503, {}, b"upstream connect error " * 200)
    assert len(text.message) <= 600
    leaky = read_failure(400, {}, b'{"error":{"message":"Header Bearer sk-live-abcdefghijklmnop is odd"}}')
    assert "abcdefgh" not in leaky.message


def test_retry_after_in_all_its_spellings() -> None:
    def wait(headers: dict[str, str], body: bytes = b"{}") -> float | None:
        return read_failure(429, headers, body).retry_after_s

    assert wait({"Retry-After": "7"}) == 7
    assert wait({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    date = {"date": "Mon, 23 Nov 2026 12:00:00 GMT", "retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}
    assert wait(date) == 30
    assert wait({"retry-after": "soon"}) is None
    assert wait({}, orjson.dumps({"error": {"code": 429, "message": "", "details": [RETRY_INFO]}})) == 34
    assert not read_failure(503, {"x-should-retry": "false"}, b"{}").retryable
    assert read_failure(400, {"x-should-retry": "true"}, b"{}").retryable


def test_an_overload_in_mid_stream_reaches_both_sdks() -> None:
    broken = recorded("anthropic/stream_overloaded.sse")
    chat = Corridor("anthropic", broken)
    texts = []
    with pytest.raises(openai.APIError, match="Overloaded"):
        for chunk in chat.openai().chat.completions.create(model="m", messages=ASK, stream=True):
            texts.append(chunk.choices[0].delta.content)
    assert "".join(filter(None, texts)) == "Half an"
    assert chat.stream is not None
    assert chat.stream.failure is not None
    assert (chat.stream.failure.status, chat.stream.complete) == (529, False)
    native = Corridor("anthropic", broken)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(native.anthropic().messages.create(model="m", max_tokens=5, messages=ASK, stream=True))
    assert native.stream is not None
    assert native.stream.failure is not None
    responses = Corridor("anthropic", broken)
    events = list(responses.openai().responses.create(model="m", input="hi", stream=True))
    assert events[-1].type == "error"


def test_other_failures_in_mid_stream() -> None:
    openai_error = b'data: {"error":{"message":"overloaded","type":"server_error","code":null}}\n\n'
    for kind in ("openai", "vllm"):
        stream = open_exchange(call(kind, CHAT, {"model": "m", "messages": ASK, "stream": True})).stream()
        assert [event.kind for event in drain(stream, openai_error)] == ["error"]
        assert stream.failure is not None
    gemini = open_exchange(call("gemini", CHAT, {"model": "m", "messages": ASK, "stream": True})).stream()
    drain(gemini, b'data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}\n\n')
    assert gemini.failure is not None
    assert gemini.failure.status == 503
    bedrock = open_exchange(call("bedrock", CHAT, {"model": "m", "messages": ASK, "stream": True})).stream()
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    events = drain(
        bedrock, frames(b'["messageStart",{"role":"assistant"}]') + encode(headers, b'{"message":"Slow down"}')
    )
    assert [event.kind for event in events] == ["", "error"]
    assert bedrock.failure is not None
    assert (bedrock.failure.status, bedrock.failure.code) == (429, "rate_limit_exceeded")


STREAMS = [
    ("openai", CHAT, "openai/chat.sse"),
    ("openai", RESPONSES, "openai/responses.sse"),
    ("anthropic", CHAT, "anthropic/stream.sse"),
    ("anthropic", MESSAGES, "anthropic/stream.sse"),
    ("gemini", CHAT, "gemini/stream.sse"),
    ("bedrock", CHAT, "bedrock/stream.jsonl"),
]


@pytest.mark.parametrize(("kind", "endpoint", "recording"), STREAMS)
def test_half_a_stream_is_never_complete(kind: str, endpoint: str, recording: str) -> None:
    body = {"model": "m", "messages": ASK, "input": "x", "stream": True, "max_tokens": 5}
    if not (kind == "openai" and endpoint == RESPONSES):
        body.pop("input")
    data = recorded(recording)
    stream = open_exchange(call(kind, endpoint, body)).stream()
    events = drain(stream, data[: len(data) // 2])
    assert not stream.complete
    assert "done" not in {event.kind for event in events}


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("rubbish", [b"<html>hello</html>", b"[1]", b'"x"', b"", b'{"error":{"message":"no"}}'])
def test_rubbish_with_a_success_status(kind: str, rubbish: bytes) -> None:
    exchange = open_exchange(call(kind, CHAT, {"model": "m", "messages": ASK}))
    with pytest.raises(UpstreamError):
        exchange.reply(rubbish)


@pytest.mark.parametrize("kind", ["anthropic", "gemini", "bedrock"])
def test_an_answer_of_another_shape(kind: str) -> None:
    exchange = open_exchange(call(kind, CHAT, {"model": "m", "messages": ASK}))
    with pytest.raises(UpstreamError):
        exchange.reply(b'{"content":[5],"candidates":[5],"output":5}')


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini", "bedrock"])
def test_rubbish_in_a_stream(kind: str) -> None:
    exchange = open_exchange(call(kind, CHAT, {"model": "m", "messages": ASK, "stream": True}))
    with pytest.raises(UpstreamError):
        drain(exchange.stream(), b"data: {oops\n\ndata: 1\n\n")


def test_the_event_that_ends_a_broken_stream() -> None:
    problem = in_stream({"type": "overloaded_error", "message": "Busy"})
    assert error_event(MESSAGES, problem).data.startswith(b"event: error\ndata: ")
    assert b'"overloaded_error"' in error_event(MESSAGES, problem).data
    assert b'"type":"error"' in error_event(RESPONSES, problem).data
    assert error_event(CHAT, failure(504, message="Late")).data.startswith(b'data: {"error":{"message":"Late"')
