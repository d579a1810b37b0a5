"""A conversation translated to Anthropic's wire and back is the same conversation."""

from __future__ import annotations

from typing import Any

import orjson
from corridor import CHAT, call
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo_server.gateway.providers.anthropic_chat import request_body
from octavo_server.gateway.providers.front_messages import to_chat

WORDS = st.text(min_size=1, max_size=12)
NAMES = st.from_regex(r"\A[a-z_]{1,12}\Z")
ARGUMENTS = st.dictionaries(
    WORDS, st.one_of(WORDS, st.integers(-9, 9), st.none(), st.lists(WORDS, max_size=2)), max_size=3
)


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """User and assistant in turn; an assistant's calls are answered before the user speaks again."""
    messages: list[dict[str, Any]] = []
    number = 0
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(WORDS)})
    for _ in range(draw(st.integers(1, 3))):
        image = draw(st.booleans())
        text = draw(WORDS)
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
        messages.append({"role": "user", "content": [{"type": "text", "text": text}, picture] if image else text})
        answer: dict[str, Any] = {"role": "assistant", "content": draw(WORDS)}
        results = []
        for _ in range(draw(st.integers(0, 2))):
            number += 1
            arguments = orjson.dumps(draw(ARGUMENTS)).decode()
            function = {"name": draw(NAMES), "arguments": arguments}
            answer.setdefault("tool_calls", []).append({"id": f"c{number}", "type": "function", "function": function})
            results.append({"role": "tool", "tool_call_id": f"c{number}", "content": draw(WORDS)})
        messages.extend([answer, *results])
    return [*messages, {"role": "user", "content": draw(WORDS)}]


@settings(max_examples=80, deadline=None)
@given(
    messages=turns(),
    choice=st.sampled_from(["required", "none", {"type": "function", "function": {"name": "f"}}]),
    temperature=st.floats(0, 1),
    stops=st.lists(WORDS, min_size=1, max_size=2),
)
def test_chat_to_anthropic_and_back(
    messages: list[dict[str, Any]], choice: Any, temperature: float, stops: list[str]
) -> None:
    function = {"name": "f", "description": "does f", "parameters": {"type": "object", "properties": {}}}
    body = {
        "model": "m",
        "messages": messages,
        "max_tokens": 99,
        "temperature": temperature,
        "stop": stops,
        "tools": [{"type": "function", "function": function}],
        "tool_choice": choice,
        "user": "u",
    }
    assert to_chat(request_body(call("anthropic", CHAT, body))) == body
