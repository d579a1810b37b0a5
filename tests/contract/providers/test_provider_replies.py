"""Every provider behind the real OpenAI SDK: plain, tools, streams, usage. Answers are recorded exchanges."""

from __future__ import annotations

from typing import Any

import pytest
from corridor import WEATHER, Corridor, recorded

HELLO: list[Any] = [{"role": "user", "content": "Capital of France?"}]

PLAIN = [
    # kind, recording, model asked, what OpenAI's usage must say: prompt, completion, cached, reasoning
    ("openai", "openai/chat.json", "gpt-4.1-mini", (1214, 3, 1024, 0)),
    ("azure", "openai/chat.json", "gpt-4.1-mini", (1214, 3, 1024, 0)),
    ("vllm", "openai/chat.json", "qwen3", (1214, 3, 1024, 0)),
    ("ollama", "openai/chat.json", "llama3.3", (1214, 3, 1024, 0)),
    ("anthropic", "anthropic/message.json", "claude-sonnet-5", (1214, 5, 1000, 0)),
    ("gemini", "gemini/generate.json", "gemini-2.5-flash", (1214, 33, 1024, 30)),
    ("bedrock", "bedrock/converse.json", "anthropic.claude-sonnet-4-5-v1:0", (1214, 5, 1000, 0)),
]


@pytest.mark.parametrize(("kind", "recording", "model", "usage"), PLAIN)
def test_a_plain_answer(kind: str, recording: str, model: str, usage: tuple[int, ...]) -> None:
    corridor = Corridor(kind, recorded(recording))
    answer = corridor.openai().chat.completions.create(model=model, messages=HELLO)
    assert answer.choices[0].message.content == "Paris."
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith(("chatcmpl-", "msg_"))
    assert answer.usage is not None
    counted = answer.usage
    assert counted.prompt_tokens_details is not None
    assert counted.completion_tokens_details is not None
    assert (
        counted.prompt_tokens,
        counted.completion_tokens,
        counted.prompt_tokens_details.cached_tokens,
        counted.completion_tokens_details.reasoning_tokens,
    ) == usage
    assert counted.total_tokens == counted.prompt_tokens + counted.completion_tokens
    assert corridor.facts is not None
    assert corridor.facts.usage is not None
    assert corridor.facts.finish_reason == "stop"
    assert corridor.facts.response_id == answer.id


TOOLS = [
    ("openai", "openai/chat_tools.json"),
    ("anthropic", "anthropic/message_tools.json"),
    ("gemini", "gemini/generate_tools.json"),
    ("bedrock", "bedrock/converse_tools.json"),
]


@pytest.mark.parametrize(("kind", "recording"), TOOLS)
def test_parallel_tool_calls(kind: str, recording: str) -> None:
    corridor = Corridor(kind, recorded(recording))
    answer = corridor.openai().chat.completions.create(
        model="m",
        messages=HELLO,
        tools=[WEATHER],
        tool_choice="required",
    )
    calls = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert calls is not None
    assert [one.function.arguments for one in calls if one.type == "function"] == [
        '{"city":"Paris"}',
        '{"city":"Rome"}',
    ]
    assert {one.function.name for one in calls if one.type == "function"} == {"get_weather"}
    assert len({one.id for one in calls}) == 2


STREAMS = [
    ("openai", "openai/chat.sse", 'Grüße, "usage": {} 🌍', (14, 9, 4, 2)),
    ("anthropic", "anthropic/stream.sse", "Grüße, Welt 🌍", (125, 15, 100, 0)),
    ("gemini", "gemini/stream.sse", "Grüße, Welt 🌍", (12, 15, 0, 8)),
    ("bedrock", "bedrock/stream.jsonl", "Grüße, Welt 🌍", (125, 15, 100, 0)),
]


@pytest.mark.parametrize("piece", [1, 7, 4096])
@pytest.mark.parametrize(("kind", "recording", "text", "usage"), STREAMS)
def test_a_stream(kind: str, recording: str, text: str, usage: tuple[int, ...], piece: int) -> None:
    corridor = Corridor(kind, recorded(recording), piece=piece)
    chunks = list(corridor.openai().chat.completions.create(model="m", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason] == [
        "stop"
    ]
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.completion_tokens_details is not None
    assert (
        last.usage.prompt_tokens,
        last.usage.completion_tokens,
        last.usage.prompt_tokens_details.cached_tokens,
        last.usage.completion_tokens_details.reasoning_tokens,
    ) == usage
    assert len({chunk.id for chunk in chunks}) == 1
    assert corridor.stream is not None
    assert corridor.stream.complete
    assert corridor.stream.failure is None
    assert corridor.facts is not None
    assert corridor.facts.finish_reason == "stop"


TOOL_STREAMS = [
    ("openai", "openai/chat_tools.sse"),
    ("anthropic", "anthropic/stream_tools.sse"),
    ("gemini", "gemini/stream_tools.sse"),
    ("bedrock", "bedrock/stream_tools.jsonl"),
]


@pytest.mark.parametrize(("kind", "recording"), TOOL_STREAMS)
def test_a_stream_of_tool_calls(kind: str, recording: str) -> None:
    client = Corridor(kind, recorded(recording)).openai()
    with client.chat.completions.stream(model="m", messages=HELLO, tools=[WEATHER]) as stream:
        answer = stream.get_final_completion()
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content in ("Let me look.", "Looking.")
    assert choice.message.tool_calls is not None
    assert [one.function.arguments.replace(" ", "") for one in choice.message.tool_calls] == [
        '{"city":"Paris"}',
        '{"city":"Rome"}',
    ]


@pytest.mark.parametrize(("kind", "recording"), TOOL_STREAMS)
def test_anthropic_clients_get_tool_calls_from_every_provider(kind: str, recording: str) -> None:
    tool: Any = {"name": "get_weather", "input_schema": WEATHER["function"]["parameters"]}
    client = Corridor(kind, recorded(recording)).anthropic()
    with client.messages.stream(model="m", max_tokens=100, messages=HELLO, tools=[tool]) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text in ("Let me look.", "Looking.")
    assert message.stop_reason == "tool_use"
    assert [block.input for block in message.content if block.type == "tool_use"] == [
        {"city": "Paris"},
        {"city": "Rome"},
    ]
    assert message.usage.output_tokens > 0


@pytest.mark.parametrize(("kind", "recording", "model", "usage"), PLAIN)
def test_anthropic_clients_get_usage_by_their_rules(
    kind: str, recording: str, model: str, usage: tuple[int, ...]
) -> None:
    message = (
        Corridor(kind, recorded(recording)).anthropic().messages.create(model=model, max_tokens=10, messages=HELLO)
    )
    assert message.content[-1].type == "text"
    assert message.content[-1].text == "Paris."
    assert message.stop_reason == "end_turn"
    counted = message.usage
    cached = (counted.cache_read_input_tokens or 0) + (counted.cache_creation_input_tokens or 0)
    assert counted.input_tokens + cached == usage[0]
    assert counted.cache_read_input_tokens == usage[2]
    assert counted.output_tokens == usage[1]


@pytest.mark.parametrize(("kind", "recording", "text", "usage"), STREAMS)
def test_responses_clients_stream_from_every_provider(
    kind: str, recording: str, text: str, usage: tuple[int, ...]
) -> None:
    kind = "vllm" if kind == "openai" else kind  # OpenAI itself has the endpoint
    events = list(Corridor(kind, recorded(recording)).openai().responses.create(model="m", input="hi", stream=True))
    names = [event.type for event in events]
    assert names[:2] == ["response.created", "response.in_progress"]
    message = [name for name in names if "reasoning" not in name][2:]
    if "response.reasoning_text.delta" in names:
        message = message[2:]  # the reasoning item's own added and done
    assert message[:2] == ["response.output_item.added", "response.content_part.added"]
    assert message[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == text
    assert last.response.usage is not None
    assert last.response.usage.input_tokens == usage[0]
    assert last.response.usage.output_tokens == usage[1]
    assert last.response.usage.output_tokens_details.reasoning_tokens == usage[3]


@pytest.mark.parametrize(("kind", "recording"), TOOLS[1:])
def test_responses_clients_get_tool_calls(kind: str, recording: str) -> None:
    tool: Any = {"type": "function", "strict": False, **WEATHER["function"]}
    answer = Corridor(kind, recorded(recording)).openai().responses.create(model="m", input="hi", tools=[tool])
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [item.arguments for item in calls] == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert answer.status == "completed"


@pytest.mark.parametrize(("kind", "recording"), TOOL_STREAMS[1:])
def test_responses_clients_stream_tool_calls(kind: str, recording: str) -> None:
    tool: Any = {"type": "function", "strict": False, **WEATHER["function"]}
    client = Corridor(kind, recorded(recording)).openai()
    with client.responses.stream(model="m", input="hi", tools=[tool]) as stream:
        answer = stream.get_final_response()
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [item.arguments.replace(" ", "") for item in calls] == ['{"city":"Paris"}', '{"city":"Rome"}']
    assert len({getattr(item, "id", None) for item in answer.output}) == len(answer.output)


@pytest.mark.parametrize(("kind", "recording", "model", "usage"), PLAIN[4:])
def test_legacy_completions_are_chatted(kind: str, recording: str, model: str, usage: tuple[int, ...]) -> None:
    answer = Corridor(kind, recorded(recording)).openai().completions.create(model=model, prompt="Capital of France?")
    assert answer.choices[0].text == "Paris."
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == usage[0]


@pytest.mark.parametrize(("kind", "recording", "text", "usage"), STREAMS[1:])
def test_legacy_completions_stream(kind: str, recording: str, text: str, usage: tuple[int, ...]) -> None:
    chunks = list(
        Corridor(kind, recorded(recording), strict=False)
        .openai()
        .completions.create(model="m", prompt="x", stream=True)
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == usage[1]


def test_native_legacy_stream() -> None:
    corridor = Corridor("openai", recorded("openai/completion.sse"), strict=False)
    chunks = list(corridor.openai().completions.create(model="m", prompt="x", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == " hello"
    assert corridor.facts is not None
    assert corridor.facts.finish_reason == "length"
    assert corridor.facts.usage is not None
    assert corridor.facts.usage.values["total_tokens"] == 4


def test_native_responses() -> None:
    corridor = Corridor("openai", recorded("openai/responses.json"))
    answer = corridor.openai().responses.create(model="gpt-4.1-mini", input="hi")
    assert answer.output_text == "Paris."
    assert corridor.facts is not None
    assert corridor.facts.usage is not None
    assert corridor.facts.usage.values["input_tokens"] == 14
    streamed = Corridor("openai", recorded("openai/responses.sse"))
    events = list(streamed.openai().responses.create(model="gpt-4.1-mini", input="hi", stream=True))
    assert events[-1].type == "response.completed"
    assert streamed.facts is not None
    assert (streamed.facts.finish_reason, streamed.facts.response_id) == ("completed", "resp_68a2")
    assert streamed.stream is not None
    assert streamed.stream.complete


def test_native_anthropic_stream() -> None:
    corridor = Corridor("anthropic", recorded("anthropic/stream_tools.sse"))
    with corridor.anthropic().messages.stream(model="claude-sonnet-5", max_tokens=9, messages=HELLO) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert corridor.facts is not None
    assert corridor.facts.usage is not None
    assert corridor.facts.usage.wire == "anthropic"
    assert (corridor.facts.usage.values["input_tokens"], corridor.facts.usage.values["output_tokens"]) == (472, 89)
    assert corridor.facts.finish_reason == "tool_use"
    assert corridor.sent is not None
    assert corridor.sent.headers["x-api-key"] == "sk-upstream-0123456789"
    assert "sk-oct-x" not in str(corridor.sent.headers)


def test_embeddings() -> None:
    native = Corridor("openai", recorded("openai/embeddings.json"), strict=False)
    assert native.openai().embeddings.create(model="text-embedding-3-small", input="x").data[0].embedding == [1.0, 2.0]
    gemini = Corridor("gemini", recorded("gemini/embeddings.json"), strict=False)
    answer = gemini.openai().embeddings.create(model="gemini-embedding-001", input=["a", "b"], dimensions=2)
    assert [item.embedding for item in answer.data] == [[1.0, 2.0], [0.5, -0.25]]
    assert gemini.body["requests"][1] == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "b"}]},
        "outputDimensionality": 2,
    }
    assert gemini.facts is not None
    assert gemini.facts.usage is None  # not told, so not zero
    titan = Corridor("bedrock", b'{"embedding":[0.25,0.5],"inputTextTokenCount":3}', strict=False)
    made = titan.openai().embeddings.create(model="amazon.titan-embed-text-v2:0", input="a")
    assert made.data[0].embedding == [0.25, 0.5]
    assert made.usage.prompt_tokens == 3
    cohere = Corridor("bedrock", b'{"embeddings":[[1,2],[3,4]],"id":"x","response_type":"embeddings_floats"}')
    many = cohere.openai().embeddings.create(model="cohere.embed-english-v3", input=["a", "b"], encoding_format="float")
    assert [item.embedding for item in many.data] == [[1, 2], [3, 4]]


def test_thinking_survives_for_the_next_turn() -> None:
    answer = (
        Corridor("anthropic", recorded("anthropic/message_tools.json"))
        .openai()
        .chat.completions.create(model="claude-sonnet-5", messages=HELLO, tools=[WEATHER])
    )
    message: Any = answer.choices[0].message.model_dump(exclude_none=True)
    assert message["reasoning_content"] == "Two cities."
    again = Corridor("anthropic", recorded("anthropic/message.json"))
    results: list[Any] = [
        {"role": "tool", "tool_call_id": one["id"], "content": "sunny"} for one in message["tool_calls"]
    ]
    again.openai().chat.completions.create(
        model="claude-sonnet-5",
        messages=[*HELLO, message, *results],
        tools=[WEATHER],
    )
    turns = again.body["messages"]
    assert [block["type"] for block in turns[1]["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert turns[1]["content"][0]["signature"] == "EqoBCkgIARABGAIiQL2U"
    assert [block["type"] for block in turns[2]["content"]] == ["tool_result", "tool_result"]


def test_a_refusal_and_a_blocked_prompt_say_so() -> None:
    claude = Corridor("anthropic", recorded("anthropic/message_refusal.json")).openai()
    refused = claude.chat.completions.create(model="m", messages=HELLO).choices[0]
    assert (refused.finish_reason, refused.message.content) == ("content_filter", None)
    assert refused.message.refusal
    gemini = Corridor("gemini", recorded("gemini/blocked.json")).openai()
    blocked = gemini.chat.completions.create(model="m", messages=HELLO).choices[0]
    assert blocked.finish_reason == "content_filter"
    assert blocked.message.refusal == "Gemini blocked the prompt: PROHIBITED_CONTENT."
