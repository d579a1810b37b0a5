"""Chat completions on Amazon Bedrock's Converse: request, reply and stream.

`response_format: json_schema` is a forced tool whose input is the answer, which every model with tools can do;
`json_object` is an instruction in the system prompt. Reasoning comes back as `reasoning_content` and
`thinking_blocks`, as with Anthropic, and signed blocks sent back go upstream again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers import chat, sse
from octavo_server.gateway.providers.anthropic_chat import (
    ANSWER_TOOL,
    JSON_INSTRUCTION,
    FenceFilter,
    json_object_wanted,
    without_fence,
)
from octavo_server.gateway.providers.base import Call, Failure, JsonObject, Usage
from octavo_server.gateway.providers.chat import ChunkWriter, Media, Tokens
from octavo_server.gateway.providers.eventstream import Decoder, Frame
from octavo_server.gateway.providers.failures import in_stream, read_object
from octavo_server.gateway.providers.hub import ChatReply

KNOWN = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "top_k", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
        "thinking", "functions",
    }
)  # fmt: skip

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}


# ---- request ----------------------------------------------------------------------------------------------------


def request_body(call: Call) -> JsonObject:
    """The Converse body that says what a chat completions body says."""
    body = call.body
    chat.refuse_unknown(body, KNOWN, "Bedrock")
    system, messages = _conversation(chat.messages_of(body))
    wanted = chat.response_format(body)
    if wanted is not None and wanted.schema is None:
        system.append({"text": JSON_INSTRUCTION})
    built: JsonObject = {"messages": messages}
    if system:
        built["system"] = system
    inference: JsonObject = {}
    if limit := chat.max_tokens_of(body):
        inference["maxTokens"] = limit
    for ours, theirs in (("temperature", "temperature"), ("top_p", "topP")):
        if body.get(ours) is not None:
            inference[theirs] = min(body[ours], 1)  # OpenAI's temperature ends at 2, Bedrock's at 1
    if stops := chat.stops_of(body):
        inference["stopSequences"] = stops
    if inference:
        built["inferenceConfig"] = inference
    _add_tools(built, body, wanted)
    if extra := _model_fields(body, call.model):
        built["additionalModelRequestFields"] = extra
        budget = (extra.get("thinking") or {}).get("budget_tokens")
        if budget and inference.get("maxTokens", budget + 1024) <= budget:
            inference["maxTokens"] = budget + 1024
    return built


def _conversation(messages: list[JsonObject]) -> tuple[list[JsonObject], list[JsonObject]]:
    system: list[JsonObject] = []
    turns: list[JsonObject] = []

    def add(role: str, blocks: list[JsonObject]) -> None:
        if not blocks:
            return
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})

    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        content, where = message.get("content"), f"{at}.content"
        match message["role"]:
            case "system" | "developer":
                if text := chat.text_of(content, where):
                    system.extend([{"text": text}, *_cache_point(content)])
            case "user":
                add("user", [*_blocks(content, where), *_cache_point(content)])
            case "assistant":
                add("assistant", _assistant(message, at))
            case "tool":
                result = {"toolUseId": message["tool_call_id"], "content": _blocks(content, where) or [{"text": ""}]}
                add("user", [{"toolResult": result}])
            case other:
                raise Invalid(
                    f"{at}.role is {other!r}; expected system, developer, user, assistant or tool.", param=f"{at}.role"
                )
    if not turns:
        raise Invalid("messages holds no user or assistant message; Bedrock needs at least one.", param="messages")
    return system, turns


def _cache_point(content: Any) -> list[JsonObject]:
    """`cache_control` on the last part asks for a cache point after it."""
    marked = (
        isinstance(content, list) and content and isinstance(content[-1], dict) and content[-1].get("cache_control")
    )
    return [{"cachePoint": {"type": "default"}}] if marked else []


def _blocks(content: Any, where: str) -> list[JsonObject]:
    return [
        _media(part, where) if isinstance(part, Media) else {"text": part} for part in chat.parts_of(content, where)
    ]


def _media(media: Media, where: str) -> JsonObject:
    if media.url and not media.url.startswith("s3://"):
        raise Invalid(
            f"{where} refers to a URL. Bedrock takes inline data (a data URI) or an s3:// address.", param=where
        )
    source: JsonObject = {"s3Location": {"uri": media.url}} if media.url else {"bytes": media.data}
    kind = media.mime.partition("/")[2] or media.url.rpartition(".")[2].lower()
    if media.kind == "image" and not media.mime.startswith("application/"):
        return {"image": {"format": "jpeg" if kind == "jpg" else kind, "source": source}}
    if media.mime not in _DOCUMENTS:
        raise Invalid(f"{where} holds {media.mime or media.kind!r}, which Bedrock does not take.", param=where)
    # Bedrock allows letters, digits, single spaces, hyphens and brackets in a document's name.
    name = " ".join(re.sub(r"[^A-Za-z0-9 ()\[\]-]", " ", media.name.rpartition(".")[0] or media.name).split())
    return {"document": {"format": _DOCUMENTS[media.mime], "name": name or "document", "source": source}}


def _assistant(message: JsonObject, at: str) -> list[JsonObject]:
    blocks: list[JsonObject] = []
    for block in message.get("thinking_blocks") or ():
        if block.get("type") == "redacted_thinking":
            blocks.append({"reasoningContent": {"redactedContent": block["data"]}})
        else:
            text = {"text": block["thinking"], "signature": block["signature"]}
            blocks.append({"reasoningContent": {"reasoningText": text}})
    blocks.extend(_blocks(message.get("content"), f"{at}.content"))
    for position, item in enumerate(message.get("tool_calls") or ()):
        arguments = chat.arguments_of(item, f"{at}.tool_calls[{position}]")
        blocks.append({"toolUse": {"toolUseId": item["id"], "name": item["function"]["name"], "input": arguments}})
    return blocks


def _add_tools(built: JsonObject, body: JsonObject, wanted: chat.Schema | None) -> None:
    functions = chat.tools_of(body)
    kind, name = chat.tool_choice_of(body)
    if wanted is not None and wanted.schema is not None:
        if functions:
            raise Invalid(
                "response_format json_schema cannot be combined with tools on Bedrock. Leave one of the two out.",
                param="response_format",
            )
        functions = [{"name": ANSWER_TOOL, "description": "Gives the answer.", "parameters": wanted.schema}]
        kind, name = "function", ANSWER_TOOL
    if not functions:
        return
    if body.get("parallel_tool_calls") is False:
        raise Invalid("parallel_tool_calls: false cannot be expressed for Bedrock.", param="parallel_tool_calls")
    if kind == "none":
        if any("toolUse" in block for turn in built["messages"] for block in turn["content"]):
            raise Invalid(
                "tool_choice 'none' cannot be expressed for Bedrock in a conversation with tool calls.",
                param="tool_choice",
            )
        return
    tools = []
    for function in functions:
        spec: JsonObject = {"name": function["name"]}
        if function.get("description"):
            spec["description"] = function["description"]
        spec["inputSchema"] = {"json": function.get("parameters") or {"type": "object", "properties": {}}}
        tools.append({"toolSpec": spec})
    config: JsonObject = {"tools": tools}
    if kind == "required":
        config["toolChoice"] = {"any": {}}
    elif kind == "function":
        config["toolChoice"] = {"tool": {"name": name}}
    built["toolConfig"] = config


def _model_fields(body: JsonObject, model: str) -> JsonObject:
    """What Converse leaves to the model: top_k and thinking, of Anthropic's models."""
    extra: JsonObject = {}
    effort = body.get("reasoning_effort")
    if body.get("top_k") is None and effort in (None, "none") and not body.get("thinking"):
        return extra
    if "anthropic" not in model:
        name = "top_k" if body.get("top_k") is not None else "reasoning_effort"
        raise Invalid(f"{name} cannot be expressed for {model!r} on Bedrock.", param=name)
    if body.get("top_k") is not None:
        extra["top_k"] = body["top_k"]
    if body.get("thinking"):
        extra["thinking"] = body["thinking"]
    elif effort in _BUDGETS:
        extra["thinking"] = {"type": "enabled", "budget_tokens": _BUDGETS[effort]}
    elif effort not in (None, "none"):
        raise Invalid(
            f"reasoning_effort is {effort!r}; expected none, minimal, low, medium, high, xhigh or max.",
            param="reasoning_effort",
        )
    return extra


# ---- reply ------------------------------------------------------------------------------------------------------


def read_reply(call: Call, raw: bytes) -> ChatReply:
    """A Converse answer as a chat completion."""
    answer = read_object(raw)
    texts, thoughts, blocks, calls = [], [], [], []
    finish = FINISH_REASONS.get(answer.get("stopReason") or "", "stop")
    for block in answer["output"]["message"]["content"]:
        if "text" in block:
            texts.append(block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            arguments = orjson.dumps(use["input"]).decode()
            if use["name"] == ANSWER_TOOL:
                texts.append(arguments)
                finish = "stop" if finish == "tool_calls" else finish
            else:
                calls.append(chat.tool_call(use["toolUseId"], use["name"], arguments))
        elif reasoning := block.get("reasoningContent"):
            thought = reasoning.get("reasoningText") or {}
            thoughts.append(thought.get("text", ""))
            blocks.append(_thinking_block(reasoning, thought))
    text = without_fence("".join(texts)) if json_object_wanted(call) else "".join(texts)
    message = chat.message(text=text, tool_calls=calls, reasoning="".join(thoughts))
    if blocks:
        message["thinking_blocks"] = blocks
    counted = answer.get("usage") or {}
    body = chat.completion(
        call,
        model=call.model,
        choices=[chat.choice(0, message, finish)],
        tokens=tokens_of(counted) if counted else None,
    )
    return ChatReply(body, Usage("bedrock", counted) if counted else None)


def _thinking_block(reasoning: JsonObject, thought: JsonObject) -> JsonObject:
    if "redactedContent" in reasoning:
        return {"type": "redacted_thinking", "data": reasoning["redactedContent"]}
    return {"type": "thinking", "thinking": thought.get("text", ""), "signature": thought.get("signature", "")}


def tokens_of(usage: JsonObject) -> Tokens:
    """Bedrock, like Anthropic, counts cached tokens beside the input."""
    read = usage.get("cacheReadInputTokens") or 0
    written = usage.get("cacheWriteInputTokens") or 0
    return Tokens(
        prompt=(usage.get("inputTokens") or 0) + read + written,
        completion=usage.get("outputTokens") or 0,
        cache_read=read,
        cache_write=written,
    )


# ---- stream -----------------------------------------------------------------------------------------------------


class ConverseSource:
    """Bedrock's frames as chat completion chunks. Usage (`metadata`) comes after `messageStop`."""

    __slots__ = (
        "_answer",
        "_calls",
        "_fence",
        "_finish",
        "_frames",
        "_handlers",
        "_writer",
        "complete",
        "failure",
        "usage",
    )

    def __init__(self, call: Call) -> None:
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.complete = False
        self._frames = Decoder()
        self._writer = ChunkWriter(call)
        self._finish = "stop"
        self._calls: dict[int, int] = {}
        self._answer: set[int] = set()
        self._fence = FenceFilter() if json_object_wanted(call) else None
        self._handlers: dict[str, Callable[[JsonObject], list[JsonObject]]] = {
            "messageStart": self._start,
            "contentBlockStart": self._block_start,
            "contentBlockDelta": self._block_delta,
            "messageStop": self._stop,
            "metadata": self._metadata,
        }

    def feed(self, data: bytes) -> list[JsonObject]:
        chunks: list[JsonObject] = []
        for frame in self._frames.feed(data):
            if self.failure is None:
                chunks.extend(self._read(frame))
        return chunks

    def finish(self) -> list[JsonObject]:
        return []

    def _read(self, frame: Frame) -> list[JsonObject]:
        value = sse.read_json(frame.payload) if frame.payload else {}
        if frame.headers.get(":message-type", "event") != "event":
            kind = frame.headers.get(":exception-type") or frame.headers.get(":error-code", "")
            self.failure = in_stream({"type": kind, "message": value.get("message") or kind})
            return []
        handler = self._handlers.get(frame.headers.get(":event-type", ""))
        return handler(value) if handler else []

    def _start(self, event: JsonObject) -> list[JsonObject]:
        del event
        return [self._writer.delta({"role": "assistant", "content": ""})]

    def _block_start(self, event: JsonObject) -> list[JsonObject]:
        use = (event.get("start") or {}).get("toolUse")
        if not use:
            return []
        index = event["contentBlockIndex"]
        if use["name"] == ANSWER_TOOL:
            self._answer.add(index)
            return []
        number = self._calls[index] = len(self._calls)
        call = {"index": number, **chat.tool_call(use["toolUseId"], use["name"], "")}
        return [self._writer.delta({"tool_calls": [call]})]

    def _block_delta(self, event: JsonObject) -> list[JsonObject]:
        delta, index = event["delta"], event["contentBlockIndex"]
        if "text" in delta:
            return self._text(delta["text"])
        if "toolUse" in delta:
            piece = delta["toolUse"].get("input", "")
            if index in self._answer:
                return self._text(piece)
            call = {"index": self._calls[index], "function": {"arguments": piece}}
            return [self._writer.delta({"tool_calls": [call]})] if piece else []
        reasoning = delta.get("reasoningContent") or {}
        if reasoning.get("text"):
            return [self._writer.delta({"reasoning_content": reasoning["text"]})]
        if reasoning.get("signature") or "redactedContent" in reasoning:
            return [self._writer.delta({"thinking_blocks": [_thinking_block(reasoning, reasoning)]})]
        return []

    def _text(self, text: str) -> list[JsonObject]:
        if self._fence is not None:
            text = self._fence.feed(text)
        return [self._writer.delta({"content": text})] if text else []

    def _stop(self, event: JsonObject) -> list[JsonObject]:
        self.complete = True
        finish = FINISH_REASONS.get(event.get("stopReason") or "", "stop")
        finish = "stop" if self._answer and finish == "tool_calls" else finish
        held = self._fence.close() if self._fence is not None else ""
        chunks = [self._writer.delta({"content": held})] if held else []
        return [*chunks, self._writer.delta({}, finish_reason=finish)]

    def _metadata(self, event: JsonObject) -> list[JsonObject]:
        usage = event.get("usage")
        if not usage:
            return []
        self.usage = Usage("bedrock", usage)
        return [self._writer.usage(tokens_of(usage))]
