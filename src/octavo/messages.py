"""What OpenAI's API says and is told, in the words of OpenTelemetry's GenAI conventions. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_CONTENT = frozenset(
    {"messages", "input", "model", "tools", "instructions", "functions", "metadata", "user", "stream_options", "octavo"}
)
_RENAMED = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop": "stop_sequences",
    "n": "choice.count",
}


def parameters_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for beside the content."""
    return {_RENAMED.get(name, name): value for name, value in body.items() if name not in _CONTENT}


def chat_messages(messages: Any) -> list[Any]:
    """A chat as messages of parts."""
    return [chat_message(one) for one in messages] if isinstance(messages, list) else []


def chat_message(message: Any) -> Any:
    """One message of a chat."""
    if not isinstance(message, Mapping):
        return {"role": "user", "parts": _parts(message)}
    role = message.get("role", "user")
    if role == "tool":
        return _tool_result(message.get("tool_call_id"), message.get("content"))
    parts: list[Any] = []
    if reasoning := message.get("reasoning_content") or message.get("reasoning"):
        parts.append({"type": "reasoning", "content": reasoning})
    parts += _parts(message.get("content"))
    if refusal := message.get("refusal"):
        parts.append({"type": "refusal", "refusal": refusal})
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        parts.append(_tool_call(call.get("id"), function.get("name"), function.get("arguments", function.get("input"))))
    return {"role": role, "parts": parts}


def chat_output(choices: Any) -> list[Any]:
    """The choices of a completion."""
    return [
        {**chat_message(choice.get("message") or {}), "finish_reason": choice.get("finish_reason") or ""}
        for choice in choices or ()
    ]


def responses_input(given: Any) -> list[Any]:
    """The input of the responses API."""
    if isinstance(given, str):
        return [{"role": "user", "parts": _parts(given)}]
    return [_item(one) for one in given] if isinstance(given, list) else []


def responses_output(items: Any) -> list[Any]:
    """The output of the responses API as one message of the assistant."""
    parts = [part for one in items or () if isinstance(one, Mapping) for part in _item(one)["parts"]]
    return [{"role": "assistant", "parts": parts}] if parts else []


def _item(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"role": "user", "parts": _parts(item)}
    match item.get("type", "message"):
        case "message":
            return {"role": item.get("role", "user"), "parts": _parts(item.get("content"))}
        case "function_call":
            call = _tool_call(item.get("call_id"), item.get("name"), item.get("arguments"))
            return {"role": "assistant", "parts": [call]}
        case "function_call_output":
            return _tool_result(item.get("call_id"), item.get("output"))
        case "reasoning":
            said = [one.get("text", "") for one in item.get("summary") or () if isinstance(one, Mapping)]
            return {"role": "assistant", "parts": [{"type": "reasoning", "content": "\n".join(said)}]}
    return {"role": item.get("role", "assistant"), "parts": [dict(item)]}


def _parts(content: Any) -> list[Any]:
    if content is None or content == "":
        return []
    if isinstance(content, list):
        return [_part(one) for one in content]
    return [{"type": "text", "content": content}]


def _part(block: Any) -> Any:
    if isinstance(block, Mapping) and block.get("type") in ("text", "input_text", "output_text"):
        return {"type": "text", "content": block.get("text", "")}
    return {"type": "text", "content": block} if isinstance(block, str) else block


def _tool_call(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    try:
        arguments = json.loads(arguments)
    except (TypeError, ValueError):
        pass
    return {"type": "tool_call", "id": id, "name": name, "arguments": arguments}


def _tool_result(id: Any, content: Any) -> dict[str, Any]:
    return {"role": "tool", "parts": [{"type": "tool_call_response", "id": id, "response": content}]}


class ChatChunks:
    """The chunks of a streamed completion, put together."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Mapping[str, Any]) -> bool:
        """Takes a chunk; whether it brings something of the answer."""
        for name in ("id", "model", "usage"):
            if chunk.get(name):
                self.answer[name] = chunk[name]
        brings = False
        for told in chunk.get("choices") or ():
            choice = self._choices.setdefault(
                told.get("index", 0), {"message": {"role": "assistant"}, "finish_reason": ""}
            )
            choice["finish_reason"] = told.get("finish_reason") or choice["finish_reason"]
            brings |= self._extend(choice["message"], told.get("delta") or {})
        return brings

    def whole(self) -> dict[str, Any]:
        """The completion so far, as if it had not been streamed."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        return {**self.answer, "choices": [{**one, "message": _joined(one["message"])} for one in choices]}

    def _extend(self, message: dict[str, Any], delta: Mapping[str, Any]) -> bool:
        brings = False
        for name in ("content", "refusal", "reasoning_content", "reasoning"):
            if piece := delta.get(name):
                message.setdefault(name, []).append(piece)
                brings = True
        for told in delta.get("tool_calls") or ():
            calls = message.setdefault("tool_calls", {})
            call = calls.setdefault(told.get("index", 0), {"id": None, "function": {"name": "", "arguments": []}})
            function = told.get("function") or {}
            call["id"] = told.get("id") or call["id"]
            call["function"]["name"] += function.get("name") or ""
            call["function"]["arguments"].append(function.get("arguments") or "")
            brings = True
        return brings


def _joined(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message whose pieces are put together."""
    whole = {name: "".join(value) if isinstance(value, list) else value for name, value in message.items()}
    if calls := message.get("tool_calls"):
        whole["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": "".join(call["function"]["arguments"])}}
            for _, call in sorted(calls.items())
        ]
    return whole
