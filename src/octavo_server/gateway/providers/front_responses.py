"""Clients that speak OpenAI's Responses API, served by providers that only speak chat completions.

Stateless: `store` is accepted and answers are not kept, so `previous_response_id` and `conversation` are refused.
"""

from __future__ import annotations

from typing import Any

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.base import RESPONSES, Call, EventKind, Failure, JsonObject, StreamEvent
from octavo_server.gateway.providers.chat import Tokens
from octavo_server.gateway.providers.failures import error_event
from octavo_server.gateway.providers.hub import Front

_PASSED = ("temperature", "top_p", "parallel_tool_calls", "stream", "user", "metadata", "service_tier")
_READ = frozenset({"model", "input", "instructions", "max_output_tokens", "reasoning", "text", "tools", "tool_choice"})
_HARMLESS = frozenset(
    {"store", "include", "stream_options", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
     "prompt_cache_options", "truncation", "context_management"}
)  # fmt: skip
_IDLE: dict[str, tuple[Any, ...]] = {"background": (False,), "top_logprobs": (0,)}


# ---- request ----------------------------------------------------------------------------------------------------


def to_chat(body: JsonObject) -> JsonObject:
    """The chat completions body that says what a Responses body says."""
    for name, value in body.items():
        if name in _READ or name in _HARMLESS or name in _PASSED or value is None or value in _IDLE.get(name, ()):
            continue
        raise Invalid(
            f"{name} cannot be expressed for a provider that only speaks chat completions. Leave it out, or call a "
            "provider with a Responses endpoint.",
            param=name,
            code="unsupported_parameter",
        )
    chat: JsonObject = {"model": body.get("model"), "messages": _messages(body)}
    chat.update({name: body[name] for name in _PASSED if body.get(name) is not None})
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = body["max_output_tokens"]
    if effort := (body.get("reasoning") or {}).get("effort"):
        chat["reasoning_effort"] = effort
    _add_format(chat, body)
    _add_tools(chat, body)
    return chat


def _messages(body: JsonObject) -> list[JsonObject]:
    messages: list[JsonObject] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": body["instructions"]})
    given = body.get("input")
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    if not isinstance(given, list):
        raise Invalid("input must be a text or a list of items.", param="input")
    for index, item in enumerate(given):
        _add_item(messages, item, f"input[{index}]")
    return messages


def _add_item(messages: list[JsonObject], item: Any, where: str) -> None:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    if kind == "message" and isinstance(item.get("role"), str):
        messages.append({"role": item["role"], "content": _content(item.get("content"), f"{where}.content")})
    elif kind == "function_call":
        call = {
            "id": item.get("call_id", ""),
            "type": "function",
            "function": {"name": item.get("name", ""), "arguments": item.get("arguments") or "{}"},
        }
        last = messages[-1] if messages else {}
        if last.get("role") == "assistant":
            last.setdefault("tool_calls", []).append(call)
        else:
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    elif kind == "function_call_output":
        output = _content(item.get("output"), f"{where}.output")
        messages.append({"role": "tool", "tool_call_id": item.get("call_id", ""), "content": output})
    elif kind != "reasoning":  # another model's thoughts are of no use to this one
        raise Invalid(f"{where} is an item of type {kind!r}, which cannot be translated to chat.", param=where)


def _content(content: Any, where: str) -> Any:
    if content is None or isinstance(content, str):
        return content or ""
    parts: list[JsonObject] = []
    for index, part in enumerate(content):
        at = f"{where}[{index}]"
        match part.get("type") if isinstance(part, dict) else None:
            case "input_text" | "output_text" | "text":
                parts.append({"type": "text", "text": part.get("text", "")})
            case "refusal":
                parts.append({"type": "text", "text": part.get("refusal", "")})
            case "input_image" if part.get("image_url"):
                image = {"url": part["image_url"]}
                if part.get("detail"):
                    image["detail"] = part["detail"]
                parts.append({"type": "image_url", "image_url": image})
            case "input_file" if part.get("file_data"):
                file = {"filename": part.get("filename", "file"), "file_data": part["file_data"]}
                parts.append({"type": "file", "file": file})
            case other:
                raise Invalid(f"{at} is a part of type {other!r}, which cannot be translated to chat.", param=at)
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _add_format(chat: JsonObject, body: JsonObject) -> None:
    text = body.get("text") or {}
    if text.get("verbosity"):
        chat["verbosity"] = text["verbosity"]
    wanted = text.get("format") or {}
    match wanted.get("type", "text"):
        case "text":
            pass
        case "json_object":
            chat["response_format"] = {"type": "json_object"}
        case "json_schema":
            named = {key: wanted[key] for key in ("name", "description", "schema", "strict") if key in wanted}
            chat["response_format"] = {"type": "json_schema", "json_schema": named}
        case other:
            raise Invalid(f"text.format.type is {other!r}; expected text, json_object or json_schema.", param="text")


def _add_tools(chat: JsonObject, body: JsonObject) -> None:
    tools = []
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") != "function":
            raise Invalid(
                f"tools[{index}] is of type {tool.get('type')!r}; a provider that only chats takes functions.",
                param=f"tools[{index}]",
            )
        function = {key: tool[key] for key in ("name", "description", "parameters") if tool.get(key) is not None}
        if tool.get("strict"):
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    if not tools:
        return
    chat["tools"] = tools
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function":
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    if choice is not None:
        chat["tool_choice"] = choice


# ---- reply ------------------------------------------------------------------------------------------------------


def from_chat(call: Call, chat: JsonObject) -> tuple[JsonObject, str]:
    """A chat completion as a response."""
    choice = chat["choices"][0] if chat.get("choices") else {}
    message = choice.get("message") or {}
    output: list[JsonObject] = []
    name = _bare(chat["id"])
    if thought := message.get("reasoning_content") or message.get("reasoning"):
        output.append(_reasoning_item(f"rs_{name}", thought))
    if text := message.get("content"):
        output.append(_message_item(f"msg_{name}", [_text_part(text)]))
    elif refusal := message.get("refusal"):
        output.append(_message_item(f"msg_{name}", [{"type": "refusal", "refusal": refusal}]))
    for index, item in enumerate(message.get("tool_calls") or ()):
        function = item.get("function") or {}
        output.append(
            _call_item(f"fc_{name}_{index}", item["id"], function.get("name", ""), function.get("arguments") or "")
        )
    body = _response(call, f"resp_{name}", chat.get("model"), chat.get("created"))
    reason = _ended(body, choice.get("finish_reason"))
    body["output"] = output
    body["usage"] = usage_of(chat.get("usage"))
    return body, reason


def usage_of(usage: JsonObject | None) -> JsonObject | None:
    if not usage:
        return None
    tokens = Tokens.of_chat(usage)
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cache_read, "cache_write_tokens": tokens.cache_write},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.completion,
    }


def _bare(chat_id: str) -> str:
    return chat_id.removeprefix("chatcmpl-").removeprefix("msg_")


def _response(call: Call, response_id: str, model: str | None, created: int | None) -> JsonObject:
    """The response object while in progress: what was asked is echoed, as OpenAI does."""
    body = call.body
    return {
        "id": response_id,
        "object": "response",
        "created_at": created or int(call.now.timestamp()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": model or call.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": (body.get("reasoning") or {}).get("effort"), "summary": None},
        "store": False,
        "temperature": body.get("temperature"),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [{"strict": False, **tool} for tool in body.get("tools") or []],
        "top_p": body.get("top_p"),
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _ended(body: JsonObject, finish_reason: str | None) -> str:
    """Sets the final status and gives the reason to record."""
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish_reason or "")
    body["status"] = "incomplete" if reason else "completed"
    body["incomplete_details"] = {"reason": reason} if reason else None
    return reason or "completed"


def _text_part(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message_item(item_id: str, content: list[JsonObject], status: str = "completed") -> JsonObject:
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def _reasoning_item(item_id: str, text: str) -> JsonObject:
    return {"id": item_id, "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def _call_item(item_id: str, call_id: str, name: str, arguments: str, status: str = "completed") -> JsonObject:
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


# ---- stream -----------------------------------------------------------------------------------------------------


class ResponsesEncoder:
    """Chunks as the Responses API's events: one output item open at a time."""

    __slots__ = (
        "_call", "_finish", "_item", "_key", "_name", "_number", "_output", "_response", "_text", "_usage",
        "finish_reason",
    )  # fmt: skip

    def __init__(self, call: Call) -> None:
        self.finish_reason = ""
        self._call = call
        self._number = 0
        self._response: JsonObject = {}
        self._name = ""
        self._output: list[JsonObject] = []
        self._item: JsonObject = {}
        self._key: str | tuple[str, int] = ""
        self._text: list[str] = []
        self._finish = ""
        self._usage: JsonObject | None = None

    def encode(self, chunk: JsonObject) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if not self._response:
            self._name = _bare(chunk["id"] or self._call.request_id)
            self._response = _response(self._call, f"resp_{self._name}", chunk.get("model"), chunk.get("created"))
            events.append(self._event("response.created", response=self._response))
            events.append(self._event("response.in_progress", response=self._response))
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index"):
                continue
            events.extend(self._delta(choice.get("delta") or {}))
            self._finish = choice.get("finish_reason") or self._finish
        return events

    def _delta(self, delta: JsonObject) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            if self._key != "reasoning":
                item = {"id": f"rs_{self._name}", "type": "reasoning", "summary": [], "content": []}
                events.extend(self._enter("reasoning", item))
            events.append(self._piece("response.reasoning_text.delta", thought, content_index=0))
        if text := delta.get("content"):
            if self._key != "message":
                events.extend(self._enter("message", _message_item(self._next_id("msg"), [], "in_progress")))
                events.append(self._part("response.content_part.added", _text_part("")))
            events.append(self._piece("response.output_text.delta", text, content_index=0, logprobs=[]))
        for item in delta.get("tool_calls") or ():
            function = item.get("function") or {}
            key = ("call", item.get("index") or 0)
            if self._key != key:
                call_id = item.get("id") or ""
                started = _call_item(self._next_id("fc"), call_id, function.get("name") or "", "", "in_progress")
                events.extend(self._enter(key, started))
            if function.get("arguments"):
                events.append(self._piece("response.function_call_arguments.delta", function["arguments"]))
        return events

    def _next_id(self, prefix: str) -> str:
        index = len(self._output) + (1 if self._item else 0)
        return f"{prefix}_{self._name}" if prefix == "msg" and not index else f"{prefix}_{self._name}_{index}"

    def _enter(self, key: str | tuple[str, int], item: JsonObject) -> list[StreamEvent]:
        events = self._leave()
        self._key, self._item, self._text = key, item, []
        events.append(self._event("response.output_item.added", output_index=len(self._output), item=item))
        return events

    def _leave(self) -> list[StreamEvent]:
        if not self._item:
            return []
        item, text = dict(self._item), "".join(self._text)
        at: JsonObject = {"item_id": item["id"], "output_index": len(self._output)}
        events = []
        if item["type"] == "message":
            events.append(self._event("response.output_text.done", **at, content_index=0, text=text, logprobs=[]))
            events.append(self._part("response.content_part.done", _text_part(text)))
            item["content"], item["status"] = [_text_part(text)], "completed"
        elif item["type"] == "reasoning":
            events.append(self._event("response.reasoning_text.done", **at, content_index=0, text=text))
            item["content"] = [{"type": "reasoning_text", "text": text}]
        else:
            done = {"arguments": text, "name": item["name"]}
            events.append(self._event("response.function_call_arguments.done", **at, **done))
            item["arguments"], item["status"] = text, "completed"
        events.append(self._event("response.output_item.done", output_index=len(self._output), item=item))
        self._output.append(item)
        self._item, self._key = {}, ""
        return events

    def _piece(self, kind: str, text: str, **fields: Any) -> StreamEvent:
        self._text.append(text)
        return self._event(kind, item_id=self._item["id"], output_index=len(self._output), delta=text, **fields)

    def _part(self, kind: str, part: JsonObject) -> StreamEvent:
        return self._event(kind, item_id=self._item["id"], output_index=len(self._output), content_index=0, part=part)

    def _event(self, kind: str, **fields: Any) -> StreamEvent:
        value = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        what: EventKind = "content" if kind.endswith(".delta") else ""
        return StreamEvent(sse.write(value, kind), what)

    def close(self) -> list[StreamEvent]:
        events = self._leave()
        self.finish_reason = _ended(self._response, self._finish)
        self._response["output"] = self._output
        self._response["usage"] = usage_of(self._usage)
        last = self._event(f"response.{self._response['status']}", response=self._response)
        return [*events, StreamEvent(last.data, "done")]

    def fail(self, problem: Failure) -> StreamEvent:
        return error_event(RESPONSES, problem, sequence_number=self._number)


RESPONSES_FRONT = Front(to_chat=to_chat, reply=from_chat, encoder=ResponsesEncoder)
