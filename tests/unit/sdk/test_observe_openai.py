"""The drop-in, where a stream is used in odd ways, answers are odd, or nothing is recorded."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel
from tests.integration.gateway_server import chat_answer, chat_events
from tests.unit.sdk.conftest import Spans

import octavo
from octavo.openai import AsyncOpenAI, OpenAI

ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def answering(*, content: bytes = b"", json: Any = None, status: int = 200) -> httpx2.MockTransport:
    kind = "application/json" if json is not None else "text/event-stream"
    options: dict[str, Any] = {"json": json} if json is not None else {"content": content}
    return httpx2.MockTransport(lambda _: httpx2.Response(status, headers={"content-type": kind}, **options))


def client(transport: httpx2.MockTransport, **options: Any) -> OpenAI:
    return OpenAI(api_key="sk", max_retries=0, http_client=httpx2.Client(transport=transport), **options)


def streaming() -> OpenAI:
    return client(answering(content=b"".join(chat_events("a", "b", "c"))))


def text(spans: Spans) -> str:
    (message,) = spans.said("gen_ai.output.messages")
    return str(message["parts"][0]["content"])


def test_where_calls_go(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCTAVO_URL", "http://octavo.test")
    monkeypatch.setenv("OCTAVO_API_KEY", "sk-oct-x")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    own = OpenAI()
    assert (str(own.base_url), own.api_key) == ("http://octavo.test/v1/", "sk-oct-x")
    other = AsyncOpenAI(base_url="http://models.test/v1")
    assert (str(other.base_url), other.api_key) == ("http://models.test/v1/", "sk-openai")
    assert OpenAI(base_url="http://octavo.test/v1/").api_key == "sk-oct-x"
    assert type(own.with_options(timeout=1)) is OpenAI
    assert str(own.with_options(timeout=1).base_url) == "http://octavo.test/v1/"
    assert isinstance(own, openai.OpenAI)


def test_a_stream_that_is_left(spans: Spans) -> None:
    stream = streaming().chat.completions.create(**ASKED, stream=True)
    assert isinstance(stream, openai.Stream)
    next(stream), next(stream)
    assert spans.all() == []
    with stream:
        pass
    assert text(spans) == "a"
    spans.exporter.clear()
    streaming().chat.completions.create(**ASKED, stream=True).close()
    assert "gen_ai.output.messages" not in spans.one().attributes
    spans.exporter.clear()
    for _ in streaming().chat.completions.create(**ASKED, stream=True):
        break
    gc.collect()
    assert spans.one().name == "chat gpt-4o"


def test_a_stream_is_gone_back_to(spans: Spans) -> None:
    stream = streaming().chat.completions.create(**ASKED, stream=True)
    for _ in stream:
        break
    for _ in stream:
        pass
    assert text(spans) == "abc"
    assert spans.one().attributes["gen_ai.usage.input_tokens"] == 12


def test_openais_own_stream_helper_and_parsing(spans: Spans) -> None:
    with streaming().chat.completions.stream(**ASKED) as events:
        assert events.get_final_completion().choices[0].message.content == "abc"
    assert text(spans) == "abc"
    spans.exporter.clear()

    class Verdict(BaseModel):
        score: float

    parsed = client(answering(json=chat_answer('{"score": 0.5}'))).chat.completions.parse(
        **ASKED, response_format=Verdict
    )
    assert parsed.choices[0].message.parsed == Verdict(score=0.5)
    assert text(spans) == '{"score": 0.5}'
    assert "json_schema" in spans.one().attributes["gen_ai.request.response_format"]


async def test_an_async_stream_that_is_left(spans: Spans) -> None:
    transport = answering(content=b"".join(chat_events("a", "b")))
    async with AsyncOpenAI(api_key="sk", http_client=httpx2.AsyncClient(transport=transport)) as models:
        stream = await models.chat.completions.create(**ASKED, stream=True)
        assert isinstance(stream, openai.AsyncStream)
        await anext(stream), await anext(stream)
        await stream.close()
        assert text(spans) == "a"
        spans.exporter.clear()
        async with models.chat.completions.stream(**ASKED) as events:
            async for _ in events:
                pass
        assert text(spans) == "ab"


def test_a_responses_stream(spans: Spans) -> None:
    item = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-4o-2",
        "status": "completed",
        "output": [
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "think"}]},
            {**item, "content": [{"type": "output_text", "text": "yes", "annotations": []}]},
            {"type": "function_call", "id": "f", "call_id": "c1", "name": "fold", "arguments": "{}"},
        ],
        "usage": {
            "input_tokens": 5,
            "input_tokens_details": {"cached_tokens": 2},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 9,
        },
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    delta = {"type": "response.output_text.delta", "delta": "yes", "item_id": "m", "output_index": 0}
    events = [
        {"type": "response.created", "response": {**whole, "output": [], "usage": None}, "sequence_number": 0},
        {**delta, "content_index": 0, "sequence_number": 1, "logprobs": []},
        {"type": "response.completed", "response": whole, "sequence_number": 2},
    ]
    content = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    given = [
        {"role": "user", "content": [{"type": "input_text", "text": "fold?"}]},
        {"type": "function_call_output", "call_id": "c0", "output": "done"},
    ]
    models = client(answering(content=content.encode()))
    assert len(list(models.responses.create(model="gpt-4o", input=given, stream=True))) == 3  # type: ignore[call-overload]
    told = spans.one().attributes
    assert spans.said("gen_ai.input.messages") == [
        {"role": "user", "parts": [{"type": "text", "content": "fold?"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c0", "response": "done"}]},
    ]
    assert spans.said("gen_ai.output.messages")[0]["parts"] == [
        {"type": "reasoning", "content": "think"},
        {"type": "text", "content": "yes"},
        {"type": "tool_call", "id": "c1", "name": "fold", "arguments": {}},
    ]
    assert told["gen_ai.usage.cache_read.input_tokens"] == 2
    assert told["gen_ai.usage.reasoning.output_tokens"] == 3
    assert told["gen_ai.response.time_to_first_chunk"] > 0
    assert told["gen_ai.response.model"] == "gpt-4o-2"


def test_images_stay_as_they_were(spans: Spans) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    content = [{"type": "text", "text": "what?"}, image]
    models = client(answering(json=chat_answer("a cat")))
    models.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])  # type: ignore[list-item]
    (message,) = spans.said("gen_ai.input.messages")
    assert message["parts"] == [{"type": "text", "content": "what?"}, image]


@pytest.mark.parametrize("odd", [{}, {"choices": None}, {"choices": [{"message": {"content": 7}}], "usage": "many"}])
def test_odd_answers_are_the_applications(odd: Any, spans: Spans) -> None:
    client(answering(json=odd)).chat.completions.create(**ASKED)
    assert spans.one().name == "chat gpt-4o"


def test_errors_are_recorded_and_raised(spans: Spans) -> None:
    with pytest.raises(openai.RateLimitError):
        client(answering(json={"error": {"message": "slow down"}}, status=429)).chat.completions.create(**ASKED)
    assert spans.one().attributes["error.type"] == "RateLimitError"
    spans.exporter.clear()
    broken = [*chat_events("a")[:2], b'data: {"error": {"message": "half way"}}\n\n']
    with pytest.raises(openai.APIError, match="half way"):
        list(client(answering(content=b"".join(broken))).chat.completions.create(**ASKED, stream=True))
    assert spans.one().attributes["error.type"] == "APIError"
    assert text(spans) == "a"


def test_azures_clients_and_everything_else_of_openai(spans: Spans) -> None:
    import octavo.openai as module

    assert module.RateLimitError is openai.RateLimitError
    azure = module.AzureOpenAI(
        azure_endpoint="https://shop.openai.azure.com",
        api_version="2026-01-01",
        api_key="sk",
        http_client=httpx2.Client(transport=answering(json=chat_answer("blue"))),
    )
    azure.chat.completions.create(**ASKED)
    assert spans.one().attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert text(spans) == "blue"


def test_other_calls_and_tracing_off(spans: Spans) -> None:
    client(answering(json={"object": "list", "data": []})).models.list()
    assert spans.all() == []
    octavo.configure(enabled=False)
    answer = client(answering(json=chat_answer("still"))).chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "still"
    assert [chunk.id for chunk in streaming().chat.completions.create(**ASKED, stream=True)]
    assert spans.all() == []


def test_without_openai_it_says_what_to_do() -> None:
    code = "import sys; sys.modules['openai'] = None\nimport octavo.openai"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install openai" in ended.stderr.splitlines()[-1]
