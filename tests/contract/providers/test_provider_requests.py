"""What goes upstream: the body, the address and the headers that each provider documents; and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from corridor import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MESSAGES,
    NOW,
    RESPONSES,
    WEATHER,
    call,
    connection,
    sent,
)

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers.registry import PROVIDERS, open_exchange

CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ],
    },
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}},
            {"id": "c2", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": '{"sky":"clear"}'},
    {"role": "tool", "tool_call_id": "c2", "content": "rain"},
    {"role": "user", "content": "And?"},
]
FULL: dict[str, Any] = {
    "model": "m",
    "messages": CONVERSATION,
    "tools": [WEATHER],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 300,
    "stop": ["END"],
    "user": "u1",
    "n": 1,
}
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer", "minimum": 1}}, "required": ["score"]}
AS_SCHEMA = {"type": "json_schema", "json_schema": {"name": "judge", "schema": SCHEMA, "strict": True}}
ASK: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]


def test_anthropic_body() -> None:
    assert sent("anthropic", CHAT, FULL) == {
        "model": "m",
        "max_tokens": 300,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me look."},
                    {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Paris"}},
                    {"type": "tool_use", "id": "c2", "name": "get_weather", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "content": [{"type": "text", "text": '{"sky":"clear"}'}],
                    },
                    {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "rain"}]},
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "tools": [
            {
                "name": "get_weather",
                "description": "Weather of a city",
                "input_schema": WEATHER["function"]["parameters"],
            }
        ],
        "tool_choice": {"type": "tool", "name": "get_weather"},
        "metadata": {"user_id": "u1"},
    }


def test_gemini_body() -> None:
    assert sent("gemini", CHAT, FULL) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "What is this?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Let me look."},
                    {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}},
                    {"functionCall": {"name": "get_weather", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "get_weather", "response": {"sky": "clear"}}},
                    {"functionResponse": {"name": "get_weather", "response": {"result": "rain"}}},
                    {"text": "And?"},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "get_weather",
                        "description": "Weather of a city",
                        "parametersJsonSchema": WEATHER["function"]["parameters"],
                    }
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}},
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "candidateCount": 1,
            "maxOutputTokens": 300,
            "stopSequences": ["END"],
        },
    }


def test_bedrock_body() -> None:
    assert sent("bedrock", CHAT, FULL) == {
        "system": [{"text": "Be brief."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "What is this?"},
                    {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"text": "Let me look."},
                    {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Paris"}}},
                    {"toolUse": {"toolUseId": "c2", "name": "get_weather", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "c1", "content": [{"text": '{"sky":"clear"}'}]}},
                    {"toolResult": {"toolUseId": "c2", "content": [{"text": "rain"}]}},
                    {"text": "And?"},
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 300, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "get_weather",
                        "description": "Weather of a city",
                        "inputSchema": {"json": WEATHER["function"]["parameters"]},
                    }
                }
            ],
            "toolChoice": {"tool": {"name": "get_weather"}},
        },
    }


def test_a_native_body_passes_byte_for_byte() -> None:
    raw = b'{"model": "gpt-4.1-mini",  "messages": [{"role":"user","content":"\xc3\xbc"}], "future_field": 1e2}'
    one = call("openai", CHAT, orjson.loads(raw))
    made = type(one)(**{**{name: getattr(one, name) for name in one.__slots__}, "raw": raw})
    exchange = open_exchange(made)
    assert exchange.passthrough
    assert exchange.request.body == raw
    assert exchange.reply(b'{"choices":[], "odd":  1}').body == b'{"choices":[], "odd":  1}'


def test_native_streams_always_ask_for_usage_and_the_model_is_renamed() -> None:
    body = {"model": "alias", "messages": ASK, "stream": True, "x": {"y": 1}}
    assert sent("openai", CHAT, body, model="gpt-4.1") == {
        **body,
        "model": "gpt-4.1",
        "stream_options": {"include_usage": True},
    }
    kept = sent("openai", CHAT, {**body, "stream_options": {"include_obfuscation": False}})
    assert kept["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert "stream_options" not in sent(
        "openai_compatible", CHAT, body, base_url="http://h/v1", options={"stream_usage": False}
    )
    assert "stream_options" not in sent("openai", RESPONSES, {"model": "m", "input": "x", "stream": True})


ADDRESSES = [
    ("openai", CHAT, {}, "https://api.openai.com/v1/chat/completions"),
    ("openai", EMBEDDINGS, {}, "https://api.openai.com/v1/embeddings"),
    ("openai_compatible", CHAT, {"base_url": "http://h:1/v1/"}, "http://h:1/v1/chat/completions"),
    ("openai_compatible", CHAT, {"base_url": "http://h/v1?key=1"}, "http://h/v1/chat/completions?key=1"),
    ("ollama", CHAT, {}, "http://127.0.0.1:11434/v1/chat/completions"),
    ("azure", CHAT, {"base_url": "https://r.openai.azure.com"}, "https://r.openai.azure.com/openai/v1/chat/completions"),
    (
        "azure",
        CHAT,
        {"base_url": "https://r.openai.azure.com/", "options": {"api_version": "2024-10-21", "deployments": {"m": "prod"}}},
        "https://r.openai.azure.com/openai/deployments/prod/chat/completions?api-version=2024-10-21",
    ),
    ("anthropic", MESSAGES, {}, "https://api.anthropic.com/v1/messages"),
    ("anthropic", CHAT, {"base_url": "https://proxy/anthropic/v1"}, "https://proxy/anthropic/v1/messages"),
    ("gemini", CHAT, {}, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"),
    ("bedrock", CHAT, {"options": {"region": "eu-west-1"}}, "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "endpoint", "fields", "url"), ADDRESSES)
def test_addresses(kind: str, endpoint: str, fields: dict[str, Any], url: str) -> None:
    body = {"model": "m", "messages": ASK, "input": "x", "max_tokens": 5}
    if endpoint == MESSAGES or kind in ("anthropic", "gemini", "bedrock"):
        body.pop("input")
    assert open_exchange(call(kind, endpoint, body, **fields)).request.url == url


def test_streams_have_their_own_addresses() -> None:
    body = {"model": "gemini-2.5-pro", "messages": ASK, "stream": True}
    assert open_exchange(call("gemini", CHAT, body)).request.url.endswith(
        "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    )
    url = open_exchange(call("bedrock", CHAT, {**body, "model": "us.amazon.nova-lite-v1:0"})).request.url
    assert url.endswith("/model/us.amazon.nova-lite-v1%3A0/converse-stream")


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [
        ("openai", "authorization", "Bearer sk-upstream-0123456789"),
        ("azure", "api-key", "sk-upstream-0123456789"),
        ("anthropic", "x-api-key", "sk-upstream-0123456789"),
        ("gemini", "x-goog-api-key", "sk-upstream-0123456789"),
        ("bedrock", "authorization", "Bearer sk-upstream-0123456789"),
    ],
)
def test_the_secret_goes_where_the_provider_wants_it(kind: str, header: str, value: str) -> None:
    fields: dict[str, Any] = {"base_url": "https://r.example"} if kind == "azure" else {}
    one = call(kind, CHAT, {"model": "m", "messages": ASK}, options={"headers": {"X-Team": "a"}}, **fields)
    request = open_exchange(one).request
    assert request.headers[header] == value
    assert request.headers["x-team"] == "a"
    assert "sk-upstream" not in repr(request)
    assert "sk-upstream" not in repr(one)


def test_json_modes() -> None:
    as_object = {"model": "claude-opus-5", "messages": ASK, "response_format": {"type": "json_object"}}
    as_schema = {**as_object, "response_format": AS_SCHEMA}
    assert "one JSON object" in sent("anthropic", CHAT, as_object)["system"][0]["text"]
    wanted = sent("anthropic", CHAT, as_schema)["output_config"]["format"]
    assert wanted["schema"]["additionalProperties"] is False
    assert wanted["schema"]["properties"]["score"] == {"type": "integer", "description": "{minimum: 1}"}
    older = sent("anthropic", CHAT, {**as_schema, "model": "claude-3-5-haiku-20241022"})
    assert older["tool_choice"] == {"type": "tool", "name": "json_answer"}
    gemini = sent("gemini", CHAT, as_schema)["generationConfig"]
    assert gemini == {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    assert sent("gemini", CHAT, as_object)["generationConfig"] == {"responseMimeType": "application/json"}
    bedrock = sent("bedrock", CHAT, as_schema)["toolConfig"]
    assert bedrock["toolChoice"] == {"tool": {"name": "json_answer"}}


def test_reasoning_effort() -> None:
    def body(model: str) -> dict[str, Any]:
        return {"model": model, "messages": ASK, "reasoning_effort": "high", "max_tokens": 100}

    newer = sent("anthropic", CHAT, body("claude-opus-5"))
    assert (newer["thinking"], newer["output_config"]) == ({"type": "adaptive"}, {"effort": "high"})
    older = sent("anthropic", CHAT, body("claude-opus-4-1-20250805"))
    assert older["thinking"] == {"type": "enabled", "budget_tokens": 16384}
    assert older["max_tokens"] > 16384
    assert sent("gemini", CHAT, body("gemini-2.5-pro"))["generationConfig"]["thinkingConfig"]["thinkingBudget"] == 24576
    assert sent("gemini", CHAT, body("gemini-3-pro"))["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "high"


def test_a_messages_call_to_openai() -> None:
    body = {
        "model": "gpt-4.1",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Paris"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "down"}], "is_error": True},
                    {"type": "text", "text": "So?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                ],
            },
        ],
        "tools": [{"name": "get_weather", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    }  # fmt: skip
    assert sent("openai", MESSAGES, body) == {
        "model": "gpt-4.1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": "Looking.",
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "Error: down"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "So?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                ],
            },
        ],
        "max_completion_tokens": 50,
        "stop": ["END"],
        "user": "u",
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
    }


def test_a_responses_call_to_a_chat_server() -> None:
    body = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "https://h/i.png"}]},
            {"type": "reasoning", "id": "rs", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "j", "schema": SCHEMA, "strict": True}},
        "max_output_tokens": 9,
        "reasoning": {"effort": "low"},
        "store": False,
        "stream": False,
    }  # fmt: skip
    assert sent("vllm", RESPONSES, body) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://h/i.png"}}],
            },
            {
                "role": "assistant",
                "content": "b",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ],
        "stream": False,
        "max_tokens": 9,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "j", "schema": SCHEMA, "strict": True}},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    }  # fmt: skip


REFUSED = [
    ("anthropic", CHAT, {"messages": ASK, "n": 2}, "n"),
    ("anthropic", CHAT, {"messages": ASK, "logit_bias": {"1": 2}}, "logit_bias"),
    ("anthropic", CHAT, {"messages": ASK, "future_field": 1}, "future_field"),
    ("anthropic", CHAT, {"messages": []}, "messages"),
    ("anthropic", CHAT, {"messages": ASK, "tools": [{"type": "web_search"}]}, "tools[0]"),
    ("anthropic", CHAT, {"messages": ASK, "response_format": {"type": "xml"}}, "response_format.type"),
    ("gemini", CHAT, {"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "messages[0].tool_call_id"),
    ("gemini", CHAT, {"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
    ("gemini", EMBEDDINGS, {"input": [1, 2]}, "input"),
    ("bedrock", CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://h/i.png"}}]}]}, "messages[0].content"),
    ("bedrock", CHAT, {"messages": ASK, "seed": 1}, "seed"),
    ("openai", MESSAGES, {"messages": ASK, "mcp_servers": [{}]}, "mcp_servers"),
    ("openai", MESSAGES, {"messages": ASK, "tools": [{"type": "web_search_20250305"}]}, "tools[0]"),
    ("vllm", RESPONSES, {"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
    ("vllm", RESPONSES, {"input": "x", "tools": [{"type": "file_search"}]}, "tools[0]"),
    ("anthropic", COMPLETIONS, {"prompt": [[1, 2]]}, "prompt"),
    ("anthropic", EMBEDDINGS, {"input": "x"}, "model"),
    ("anthropic", CHAT, {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{oops"}}]}]}, "messages[0].tool_calls[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "endpoint", "body", "param"), REFUSED)
def test_what_cannot_be_expressed_is_refused_by_name(
    kind: str, endpoint: str, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(Invalid) as refused:
        open_exchange(call(kind, endpoint, {"model": "m", **body}))
    assert refused.value.param == param


@pytest.mark.parametrize("kind", ["anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "assistant", "tool_calls": [{"function": None}]}, *ASK]},
        {"messages": [{"role": "assistant", "tool_calls": ["x"]}, *ASK]},
        {"messages": ASK, "tools": ["x"]},
        {"messages": ASK, "tools": 5},
        {"messages": ASK, "temperature": "hot"},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": ["x"]},
        {"messages": "x"},
    ],
)
def test_a_malformed_body_is_the_callers_fault(kind: str, body: dict[str, Any]) -> None:
    try:
        open_exchange(call(kind, CHAT, {"model": "m", **body}))
    except Invalid:
        return
    assert body.get("temperature") == "hot"  # left for the provider to refuse


@pytest.mark.parametrize("kind", sorted(PROVIDERS))
def test_every_provider_can_be_probed(kind: str) -> None:
    provider = PROVIDERS[kind]
    fields = {} if provider.default_base_url else {"base_url": "https://h.example"}
    request = provider.probe(connection(kind, **fields), NOW)
    assert request.method == "GET"
    assert request.url.startswith("http")
    assert provider.title
    answers = {
        "gemini": b'{"models":[{"name":"models/gemini-2.5-pro"}]}',
        "bedrock": b'{"modelSummaries":[{"modelId":"amazon.nova-lite-v1:0"}]}',
    }
    names = provider.models_in(answers.get(kind, b'{"object":"list","data":[{"id":"m1","object":"model"}]}'))
    assert names in (["m1"], ["gemini-2.5-pro"], ["amazon.nova-lite-v1:0"])
