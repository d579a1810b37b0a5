"""Clients that speak Anthropic's Messages API, served by any other provider by way of chat completions."""

from __future__ import annotations

from typing import Any

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.base import MESSAGES, Call, Failure, JsonObject, StreamEvent
from octavo_server.gateway.providers.chat import Tokens
from octavo_server.gateway.providers.failures import error_event
from octavo_server.gateway.providers.hub import Front

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_PASSED = ("temperature", "top_p", "top_k", "stream")
# Hints and bookkeeping: no answer changes by leaving them out.
_HARMLESS = frozenset(
    {"model", "max_tokens", "messages", "system", "stop_sequences", "tools", "tool_choice", "thinking", "metadata",
     "output_config", "service_tier", "cache_control", "inference_geo", "diagnostics", "user_profile_id"}
)  # fmt: skip


# ---- request ----------------------------------------------------------------------------------------------------


def to_chat(body: JsonObject) -> JsonObject:
    """The chat completions body that says what a Messages body says."""
    for name, value in body.items():
        if name not in _HARMLESS and name not in _PASSED and value is not None:
            raise Invalid(
                f"{name} cannot be expressed for a provider that does not speak Anthropic's format. Leave it out.",
                param=name,
                code="unsupported_parameter",
            )
    if not isinstance(body.get("messages"), list):
        raise Invalid("messages must be a list.", param="messages")
    messages: list[JsonObject] = []
    if system := _plain(body.get("system"), "system"):
        messages.append({"role": "system", "content": system})
    for index, message in enumerate(body["messages"]):
        messages.extend(_message(message, f"messages[{index}]"))
    chat: JsonObject = {"model": body.get("model"), "messages": messages}
    chat.update({name: body[name] for name in _PASSED if body.get(name) is not None})
    if body.get("max_tokens") is not None:
        chat["max_tokens"] = body["max_tokens"]
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    user = (body.get("metadata") or {}).get("user_id")
    if isinstance(user, str):
        chat["user"] = user
    _add_tools(chat, body)
    _add_effort(chat, body)
    wanted = (body.get("output_config") or {}).get("format")
    if wanted:
        schema = {"name": "answer", "schema": wanted.get("schema"), "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    return chat


def _plain(content: Any, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for block in content:
        if not isinstance(block, dict) or block.get("type") != "text":
            raise Invalid(f"{where} can hold only text blocks.", param=where)
        texts.append(block["text"])
    return "\n".join(texts)


def _message(message: Any, where: str) -> list[JsonObject]:
    if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
        raise Invalid(f"{where}.role must be 'user' or 'assistant'.", param=f"{where}.role")
    role, content = message["role"], message.get("content")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if not isinstance(content, list):
        raise Invalid(f"{where}.content must be a text or a list of blocks.", param=f"{where}.content")
    return _assistant(content, where) if role == "assistant" else _user(role, content, where)


def _user(role: str, content: list[Any], where: str) -> list[JsonObject]:
    """Tool results become messages of their own, before what the user says besides."""
    results: list[JsonObject] = []
    parts: list[JsonObject] = []
    for index, block in enumerate(content):
        at = f"{where}.content[{index}]"
        if isinstance(block, dict) and block.get("type") == "tool_result":
            text, media = _result(block, at)
            results.append({"role": "tool", "tool_call_id": block.get("tool_use_id", ""), "content": text})
            parts.extend(media)
        else:
            parts.append(_part(block, at))
    if not parts:
        return results
    if all(part["type"] == "text" for part in parts):
        return [*results, {"role": role, "content": "\n".join(part["text"] for part in parts)}]
    return [*results, {"role": role, "content": parts}]


def _result(block: JsonObject, where: str) -> tuple[str, list[JsonObject]]:
    """A tool's result as text; images, which a tool message cannot hold, go to the user message after it."""
    inner = block.get("content")
    if inner is None or isinstance(inner, str):
        text, media = inner or "", []
    else:
        parts = [_part(item, where) for item in inner]
        text = "\n".join(part["text"] for part in parts if part["type"] == "text")
        media = [part for part in parts if part["type"] != "text"]
    return (f"Error: {text}" if block.get("is_error") else text), media


def _part(block: Any, where: str) -> JsonObject:
    kind = block.get("type") if isinstance(block, dict) else None
    source = (block.get("source") or {}) if isinstance(block, dict) else {}
    match kind, source.get("type"):
        case "text", _:
            return {"type": "text", "text": block["text"]}
        case "image", "base64":
            return {"type": "image_url", "image_url": {"url": f"data:{source['media_type']};base64,{source['data']}"}}
        case "image", "url":
            return {"type": "image_url", "image_url": {"url": source["url"]}}
        case "document", "text":
            return {"type": "text", "text": source["data"]}
        case "document", "base64":
            data = f"data:{source['media_type']};base64,{source['data']}"
            return {"type": "file", "file": {"filename": block.get("title") or "document.pdf", "file_data": data}}
        case _:
            raise Invalid(
                f"{where} is a block of type {kind!r}, which only a provider that speaks Anthropic's format takes.",
                param=where,
            )


def _assistant(content: list[Any], where: str) -> list[JsonObject]:
    texts, calls, thoughts = [], [], []
    for index, block in enumerate(content):
        match block.get("type") if isinstance(block, dict) else None:
            case "text":
                texts.append(block["text"])
            case "tool_use":
                arguments = orjson.dumps(block.get("input") or {}).decode()
                calls.append(
                    {
                        "id": block.get("id", ""),
                        "type": "function",
                        "function": {"name": block.get("name", ""), "arguments": arguments},
                    }
                )
            case "thinking" | "redacted_thinking":
                thoughts.append(block)  # signed by one provider; another cannot use it
            case other:
                at = f"{where}.content[{index}]"
                raise Invalid(f"{at} is a block of type {other!r}, which cannot be translated.", param=at)
    message: JsonObject = {"role": "assistant", "content": "".join(texts) or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    return [message]


def _add_tools(chat: JsonObject, body: JsonObject) -> None:
    tools = []
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") not in (None, "custom"):
            raise Invalid(
                f"tools[{index}] is Anthropic's own tool {tool['type']!r}, which other providers have not.",
                param=f"tools[{index}]",
            )
        function: JsonObject = {"name": tool.get("name"), "parameters": tool.get("input_schema")}
        if tool.get("description"):
            function["description"] = tool["description"]
        if tool.get("strict"):
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    if not tools:
        return
    chat["tools"] = tools
    choice = body.get("tool_choice") or {}
    match choice.get("type"):
        case "any":
            chat["tool_choice"] = "required"
        case "none":
            chat["tool_choice"] = "none"
        case "tool":
            chat["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False


def _add_effort(chat: JsonObject, body: JsonObject) -> None:
    """How hard to think: Anthropic's budget or effort as OpenAI's effort."""
    thinking = body.get("thinking") or {}
    effort = (body.get("output_config") or {}).get("effort")
    if effort:
        chat["reasoning_effort"] = effort
    elif thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens") or 0
        chat["reasoning_effort"] = "low" if budget < 4096 else "medium" if budget < 12288 else "high"


# ---- reply ------------------------------------------------------------------------------------------------------


def from_chat(call: Call, chat: JsonObject) -> tuple[JsonObject, str]:
    """A chat completion as a message."""
    choice = chat["choices"][0] if chat.get("choices") else {}
    message = choice.get("message") or {}
    content: list[JsonObject] = []
    if blocks := message.get("thinking_blocks"):
        content.extend(blocks)
    elif thought := _reasoning(message):
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    if text := message.get("content") or message.get("refusal"):
        content.append({"type": "text", "text": text})
    for item in message.get("tool_calls") or ():
        function = item.get("function") or {}
        content.append(
            {"type": "tool_use", "id": item["id"], "name": function.get("name", ""), "input": _input(function)}
        )
    reason = STOP_REASONS.get(choice.get("finish_reason") or "stop", "end_turn")
    body = {
        "id": _message_id(chat["id"]),
        "type": "message",
        "role": "assistant",
        "model": chat.get("model") or call.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage_of(chat.get("usage") or {}),
    }
    return body, reason


def usage_of(usage: JsonObject) -> JsonObject:
    """OpenAI counts cached tokens inside the input, Anthropic beside it."""
    tokens = Tokens.of_chat(usage)
    return {
        "input_tokens": max(0, tokens.prompt - tokens.cache_read - tokens.cache_write),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": tokens.completion,
    }


def _reasoning(value: JsonObject) -> str:
    thought = value.get("reasoning_content") or value.get("reasoning")
    return thought if isinstance(thought, str) else ""


def _input(function: JsonObject) -> JsonObject:
    try:
        value = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        return {"_malformed_arguments": function.get("arguments")}  # what the model wrote, for the caller to judge
    return value if isinstance(value, dict) else {"_malformed_arguments": value}


def _message_id(chat_id: str) -> str:
    return "msg_" + chat_id.removeprefix("chatcmpl-").removeprefix("msg_")


# ---- stream -----------------------------------------------------------------------------------------------------


class MessagesEncoder:
    """Chunks as Anthropic's events: one block open at a time, closed before the next."""

    __slots__ = ("_block", "_call", "_index", "_open", "_started", "_usage", "finish_reason")

    def __init__(self, call: Call) -> None:
        self.finish_reason = ""
        self._call = call
        self._started = False
        self._index = -1
        self._open = False
        self._block: str | tuple[str, int] = ""
        self._usage: JsonObject = {}

    def encode(self, chunk: JsonObject) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if not self._started:
            self._started = True
            events.append(self._start(chunk))
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = usage
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            events.extend(self._delta(choice.get("delta") or {}))
            if choice.get("finish_reason"):
                self.finish_reason = STOP_REASONS.get(choice["finish_reason"], "end_turn")
        return events

    def _start(self, chunk: JsonObject) -> StreamEvent:
        message: JsonObject = {
            "id": _message_id(chunk["id"] or self._call.request_id),
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model") or self._call.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # The counts are known only at the end: `message_delta` carries them.
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return _event({"type": "message_start", "message": message})

    def _delta(self, delta: JsonObject) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if thought := _reasoning(delta):
            events.extend(self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""}))
            events.append(self._piece({"type": "thinking_delta", "thinking": thought}))
        for block in delta.get("thinking_blocks") or ():
            if block.get("type") == "thinking" and block.get("signature"):
                events.extend(self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""}))
                events.append(self._piece({"type": "signature_delta", "signature": block["signature"]}))
            elif block.get("type") == "redacted_thinking":
                events.extend(self._leave())
                events.extend(self._enter("redacted", block))
        if text := delta.get("content") or delta.get("refusal"):
            events.extend(self._enter("text", {"type": "text", "text": ""}))
            events.append(self._piece({"type": "text_delta", "text": text}))
        for item in delta.get("tool_calls") or ():
            function = item.get("function") or {}
            key = ("tool", item.get("index") or 0)
            if self._block != key or not self._open:
                block = {
                    "type": "tool_use",
                    "id": item.get("id") or "",
                    "name": function.get("name") or "",
                    "input": {},
                }
                events.extend(self._enter(key, block))
            if function.get("arguments"):
                events.append(self._piece({"type": "input_json_delta", "partial_json": function["arguments"]}))
        return events

    def _enter(self, key: str | tuple[str, int], block: JsonObject) -> list[StreamEvent]:
        if self._open and self._block == key:
            return []
        events = self._leave()
        self._index += 1
        self._open, self._block = True, key
        events.append(_event({"type": "content_block_start", "index": self._index, "content_block": block}))
        return events

    def _leave(self) -> list[StreamEvent]:
        if not self._open:
            return []
        self._open = False
        return [_event({"type": "content_block_stop", "index": self._index})]

    def _piece(self, delta: JsonObject) -> StreamEvent:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def close(self) -> list[StreamEvent]:
        delta = {"stop_reason": self.finish_reason or "end_turn", "stop_sequence": None}
        return [
            *self._leave(),
            _event({"type": "message_delta", "delta": delta, "usage": usage_of(self._usage)}),
            StreamEvent(sse.write({"type": "message_stop"}, "message_stop"), "done"),
        ]

    def fail(self, problem: Failure) -> StreamEvent:
        return error_event(MESSAGES, problem)


def _event(value: JsonObject) -> StreamEvent:
    kind = value["type"]
    return StreamEvent(sse.write(value, kind), "content" if kind == "content_block_delta" else "")


MESSAGES_FRONT = Front(to_chat=to_chat, reply=from_chat, encoder=MessagesEncoder)
