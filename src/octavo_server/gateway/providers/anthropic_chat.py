"""Chat completions on Anthropic's Messages API: request, reply and stream.

JSON modes: `json_schema` uses structured outputs (`output_config.format`), on models older than those a forced tool;
`json_object`, which Anthropic has not, is an instruction in the system prompt, and a code fence around the answer is
taken off. Thinking is returned as `reasoning_content`, with the signed blocks as `thinking_blocks`; sent back in a
message, these go upstream again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers import chat, sse
from octavo_server.gateway.providers.base import Call, Failure, JsonObject, Usage
from octavo_server.gateway.providers.chat import ChunkWriter, Media, Tokens
from octavo_server.gateway.providers.failures import in_stream, read_object
from octavo_server.gateway.providers.hub import ChatReply
from octavo_server.gateway.providers.schema import closed

JSON_INSTRUCTION = "Answer with one JSON object and nothing else: no introduction, no explanation, no code fence."
ANSWER_TOOL = "json_answer"

KNOWN = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "top_k", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
        "thinking", "seed", "functions",
    }
)  # fmt: skip

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}

# Before structured outputs (Sonnet 4.5, Opus 4.1), and before adaptive thinking (Opus and Sonnet 4.6).
_NO_STRUCTURED_OUTPUTS = re.compile(r"claude-(?:2|instant|3|(?:opus|sonnet)-4(?:-0|-2025\d{4}|$|@))")
_BUDGET_THINKING = re.compile(r"claude-(?:2|instant|3|(?:opus|sonnet|haiku)-4(?:-[0-5]\b|-2025\d{4}|$|@))")
_SMALL_OUTPUT = re.compile(r"claude-(?:2|instant|3-(?:opus|haiku|sonnet))")
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32000}
DEFAULT_MAX_TOKENS = 8192


# ---- request ----------------------------------------------------------------------------------------------------


def request_body(call: Call) -> JsonObject:
    """The Messages body that says what a chat completions body says."""
    body = call.body
    chat.refuse_unknown(body, KNOWN, "Anthropic")
    system, messages = _conversation(chat.messages_of(body))
    built: JsonObject = {"model": call.model, "max_tokens": _max_tokens(call), "messages": messages}
    wanted = chat.response_format(body)
    if wanted is not None and wanted.schema is None:
        system.append({"type": "text", "text": JSON_INSTRUCTION})
    if system:
        built["system"] = system
    if stops := chat.stops_of(body):
        built["stop_sequences"] = stops
    for name in ("temperature", "top_p", "top_k"):
        if body.get(name) is not None:
            built[name] = body[name]
    if "temperature" in built:
        built["temperature"] = min(built["temperature"], 1.0)  # OpenAI's scale ends at 2, Anthropic's at 1
    _add_tools(built, body)
    _add_thinking(built, body, call.model)
    if wanted is not None and wanted.schema is not None:
        _add_schema(built, wanted, call.model)
    if isinstance(body.get("user"), str):
        built["metadata"] = {"user_id": body["user"]}
    if call.stream:
        built["stream"] = True
    return built


def _max_tokens(call: Call) -> int:
    limit = DEFAULT_MAX_TOKENS if _SMALL_OUTPUT.search(call.model) is None else 4096
    option = call.connection.options.get("max_tokens")
    return chat.max_tokens_of(call.body) or (int(option) if isinstance(option, int | str) and option else limit)


def _conversation(messages: list[JsonObject]) -> tuple[list[JsonObject], list[JsonObject]]:
    """System blocks, and the turns with neighbours of one role merged (tool results are user content)."""
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
        at = f"messages[{index}].content"
        match message["role"]:
            case "system" | "developer":
                text = chat.text_of(message.get("content"), at)
                blocks = [{"type": "text", "text": text}] if text else []
                system.extend(_with_cache_marks(blocks, message.get("content")))
            case "user":
                add("user", _with_cache_marks(_blocks(message.get("content"), at), message.get("content")))
            case "assistant":
                add("assistant", _assistant_blocks(message, index))
            case "tool":
                add("user", [_tool_result(message, index)])
            case other:
                raise Invalid(
                    f"messages[{index}].role is {other!r}; expected system, developer, user, assistant or tool.",
                    param=f"messages[{index}].role",
                )
    if not turns:
        raise Invalid("messages holds no user or assistant message; Anthropic needs at least one.", param="messages")
    return system, turns


def _with_cache_marks(blocks: list[JsonObject], content: Any) -> list[JsonObject]:
    """`cache_control` on the last part of a content marks the last block made of it."""
    if blocks and isinstance(content, list) and content and isinstance(content[-1], dict):
        mark = content[-1].get("cache_control")
        if isinstance(mark, dict):
            blocks[-1] = {**blocks[-1], "cache_control": mark}
    return blocks


def _blocks(content: Any, where: str) -> list[JsonObject]:
    return [
        _media_block(part, where) if isinstance(part, Media) else {"type": "text", "text": part}
        for part in chat.parts_of(content, where)
    ]


def _media_block(media: Media, where: str) -> JsonObject:
    if media.kind == "audio":
        raise Invalid(f"{where} holds audio, which Anthropic does not take.", param=where)
    kind = "image" if media.kind == "image" and not media.mime.startswith("application/") else "document"
    if media.url:
        return {"type": kind, "source": {"type": "url", "url": media.url}}
    if media.mime == "text/plain":
        text = chat.media_bytes(media, where).decode("utf-8", "replace")
        block: JsonObject = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}
    else:
        source = {"type": "base64", "media_type": media.mime, "data": media.data}
        block = {"type": kind, "source": source}
    if media.name and kind == "document":
        block["title"] = media.name
    return block


def _assistant_blocks(message: JsonObject, index: int) -> list[JsonObject]:
    at = f"messages[{index}]"
    blocks: list[JsonObject] = [block for block in message.get("thinking_blocks") or () if isinstance(block, dict)]
    blocks.extend(_blocks(message.get("content"), f"{at}.content"))
    for position, item in enumerate(message.get("tool_calls") or ()):
        where = f"{at}.tool_calls[{position}]"
        blocks.append(
            {
                "type": "tool_use",
                "id": item["id"],
                "name": item["function"]["name"],
                "input": chat.arguments_of(item, where),
            }
        )
    return blocks


def _tool_result(message: JsonObject, index: int) -> JsonObject:
    at = f"messages[{index}]"
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise Invalid(f"{at}.tool_call_id is needed: it names the call this is the result of.", param=at)
    content = _blocks(message.get("content"), f"{at}.content")
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def _add_tools(built: JsonObject, body: JsonObject) -> None:
    tools = []
    for function in chat.tools_of(body):
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        tool: JsonObject = {"name": function["name"], "input_schema": parameters}
        if function.get("description"):
            tool["description"] = function["description"]
        if function.get("strict"):
            tool["strict"] = True
            tool["input_schema"] = closed(parameters)
        tools.append(tool)
    if not tools:
        return
    built["tools"] = tools
    kind, name = chat.tool_choice_of(body)
    chosen: JsonObject = {"type": {"auto": "auto", "none": "none", "required": "any", "function": "tool"}[kind]}
    if name:
        chosen["name"] = name
    if body.get("parallel_tool_calls") is False and kind != "none":
        chosen["disable_parallel_tool_use"] = True
    if chosen != {"type": "auto"}:
        built["tool_choice"] = chosen


def _add_thinking(built: JsonObject, body: JsonObject, model: str) -> None:
    effort = body.get("reasoning_effort")
    if isinstance(body.get("thinking"), dict):
        built["thinking"] = body["thinking"]
    elif effort == "none":
        built["thinking"] = {"type": "disabled"}
    elif effort is not None and effort not in _BUDGETS:
        raise Invalid(
            f"reasoning_effort is {effort!r}; expected none, minimal, low, medium, high, xhigh or max.",
            param="reasoning_effort",
        )
    elif effort is not None and _BUDGET_THINKING.search(model):
        budget = _BUDGETS[effort]
        built["thinking"] = {"type": "enabled", "budget_tokens": budget}
        built["max_tokens"] = max(built["max_tokens"], budget + 1024)
    elif effort is not None:
        built["thinking"] = {"type": "adaptive"}
        built["output_config"] = {"effort": "low" if effort == "minimal" else effort}


def _add_schema(built: JsonObject, wanted: chat.Schema, model: str) -> None:
    assert wanted.schema is not None
    if _NO_STRUCTURED_OUTPUTS.search(model) is None:
        chosen = {"type": "json_schema", "schema": closed(wanted.schema)}
        built["output_config"] = {**built.get("output_config", {}), "format": chosen}
        return
    if "tools" in built:
        raise Invalid(
            f"{model} cannot combine response_format json_schema with tools. Use a model with structured outputs "
            "(Claude Opus 4.1, Sonnet 4.5 or later), or leave one of the two out.",
            param="response_format",
        )
    built["tools"] = [{"name": ANSWER_TOOL, "description": "Gives the answer.", "input_schema": wanted.schema}]
    built["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}


# ---- reply ------------------------------------------------------------------------------------------------------


def read_reply(call: Call, raw: bytes) -> ChatReply:
    """A message as a chat completion."""
    message = read_object(raw)
    texts, thoughts, blocks, calls = [], [], [], []
    finish = FINISH_REASONS.get(message.get("stop_reason") or "", "stop")
    for block in message.get("content") or ():
        match block.get("type"):
            case "text":
                texts.append(block["text"])
            case "thinking":
                thoughts.append(block["thinking"])
                blocks.append(block)
            case "redacted_thinking":
                blocks.append(block)
            case "tool_use" if block["name"] == ANSWER_TOOL:
                texts.append(orjson.dumps(block["input"]).decode())
                finish = "stop" if finish == "tool_calls" else finish
            case "tool_use":
                calls.append(chat.tool_call(block["id"], block["name"], orjson.dumps(block["input"]).decode()))
            case _:
                continue  # results of Anthropic's own server tools, which no chat request can ask for
    text = "".join(texts)
    if json_object_wanted(call):
        text = without_fence(text)
    refusal = text or "The model refused to answer." if message.get("stop_reason") == "refusal" else None
    reply = chat.message(text=None if refusal else text, tool_calls=calls, reasoning="".join(thoughts), refusal=refusal)
    if blocks:
        reply["thinking_blocks"] = blocks
    counted = message.get("usage") or {}
    body = chat.completion(
        call,
        model=message.get("model", ""),
        response_id=message.get("id", ""),
        choices=[chat.choice(0, reply, finish)],
        tokens=tokens_of(counted),
    )
    return ChatReply(body, Usage("anthropic", counted) if counted else None)


def tokens_of(usage: JsonObject) -> Tokens:
    """Anthropic counts cached tokens beside the input, OpenAI inside it."""
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    return Tokens(
        prompt=(usage.get("input_tokens") or 0) + read + written,
        completion=usage.get("output_tokens") or 0,
        cache_read=read,
        cache_write=written,
        reasoning=(usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    )


def json_object_wanted(call: Call) -> bool:
    wanted = call.body.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") == "json_object"


_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n?(?P<inside>.*?)\n?\s*```\s*\Z", re.S)


def without_fence(text: str) -> str:
    """The text inside one code fence, if the whole text is one."""
    match = _FENCE.match(text)
    return match["inside"] if match else text


# ---- stream -----------------------------------------------------------------------------------------------------


class MessageSource:
    """Anthropic's events as chat completion chunks."""

    __slots__ = (
        "_answer", "_calls", "_events", "_fence", "_finish", "_handlers", "_refused", "_usage", "_writer", "complete",
        "failure", "usage",
    )  # fmt: skip

    def __init__(self, call: Call) -> None:
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.complete = False
        self._events = sse.Splitter()
        self._writer = ChunkWriter(call)
        self._usage: JsonObject = {}
        self._finish = "stop"
        self._calls: dict[int, int] = {}  # content block -> tool call
        self._answer: set[int] = set()  # content blocks of the answer tool: their input is the content
        self._fence = FenceFilter() if json_object_wanted(call) else None
        self._handlers: dict[str, Callable[[JsonObject], list[JsonObject]]] = {
            "message_start": self._start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "message_delta": self._message_delta,
            "message_stop": self._stop,
            "error": self._error,
        }

    def feed(self, data: bytes) -> list[JsonObject]:
        return self._read_all(self._events.feed(data))

    def finish(self) -> list[JsonObject]:
        return self._read_all(self._events.finish())

    def _read_all(self, events: list[bytes]) -> list[JsonObject]:
        chunks: list[JsonObject] = []
        for event in events:
            _, text = sse.read(event)
            if text:
                chunks.extend(self._read(sse.read_json(text)))
        return chunks

    def _read(self, event: JsonObject) -> list[JsonObject]:
        handler = self._handlers.get(str(event.get("type")))
        return handler(event) if handler else []

    def _start(self, event: JsonObject) -> list[JsonObject]:
        message = event["message"]
        self._writer.response_id = message.get("id") or self._writer.response_id
        self._writer.model = message.get("model") or self._writer.model
        self._count(message.get("usage") or {})
        return [self._writer.delta({"role": "assistant", "content": ""})]

    def _block_start(self, event: JsonObject) -> list[JsonObject]:
        block, index = event["content_block"], event["index"]
        match block.get("type"):
            case "tool_use" if block["name"] == ANSWER_TOOL:
                self._answer.add(index)
            case "tool_use":
                number = self._calls[index] = len(self._calls)
                call = {"index": number, **chat.tool_call(block["id"], block["name"], "")}
                return [self._writer.delta({"tool_calls": [call]})]
            case "text" if block.get("text"):
                return self._text(block["text"])
            case "redacted_thinking":
                return [self._writer.delta({"thinking_blocks": [block]})]
        return []

    def _block_delta(self, event: JsonObject) -> list[JsonObject]:
        delta, index = event["delta"], event["index"]
        match delta.get("type"):
            case "text_delta":
                return self._text(delta["text"])
            case "input_json_delta" if index in self._answer:
                return self._text(delta["partial_json"])
            case "input_json_delta" if index in self._calls:
                if not delta["partial_json"]:
                    return []
                call = {"index": self._calls[index], "function": {"arguments": delta["partial_json"]}}
                return [self._writer.delta({"tool_calls": [call]})]
            case "thinking_delta":
                return [self._writer.delta({"reasoning_content": delta["thinking"]})]
            case "signature_delta":
                block = {"type": "thinking", "thinking": "", "signature": delta["signature"]}
                return [self._writer.delta({"thinking_blocks": [block]})]
        return []

    def _text(self, text: str) -> list[JsonObject]:
        if self._fence is not None:
            text = self._fence.feed(text)
        return [self._writer.delta({"content": text})] if text else []

    def _message_delta(self, event: JsonObject) -> list[JsonObject]:
        reason = (event.get("delta") or {}).get("stop_reason") or ""
        self._finish = FINISH_REASONS.get(reason, "stop")
        if self._answer and self._finish == "tool_calls":
            self._finish = "stop"
        self._count(event.get("usage") or {})
        return []

    def _stop(self, event: JsonObject) -> list[JsonObject]:
        del event
        self.complete = True
        chunks = []
        if self._fence is not None and (text := self._fence.close()):
            chunks.append(self._writer.delta({"content": text}))
        chunks.append(self._writer.delta({}, finish_reason=self._finish))
        chunks.append(self._writer.usage(tokens_of(self._usage)))
        return chunks

    def _error(self, event: JsonObject) -> list[JsonObject]:
        self.failure = in_stream(event.get("error") or {})
        return []

    def _count(self, usage: JsonObject) -> None:
        self._usage.update({name: count for name, count in usage.items() if count is not None})
        self.usage = Usage("anthropic", self._usage)


class FenceFilter:
    """Takes a code fence off a text that arrives in pieces; a text without one passes at once."""

    __slots__ = ("_held", "_mode")

    def __init__(self) -> None:
        self._held = ""
        self._mode = "start"  # start | open (nothing to take off) | fenced

    def feed(self, text: str) -> str:
        if self._mode == "open":
            return text
        self._held += text
        if self._mode == "start":
            head = self._held.lstrip()
            if "```".startswith(head[:3]) and (len(head) < 3 or "\n" not in head):
                return ""
            if not head.startswith("```"):
                self._mode, held, self._held = "open", self._held, ""
                return held
            self._mode, self._held = "fenced", head[head.index("\n") + 1 :]
        # Hold back what may be the closing fence.
        cut = len(self._held.rstrip().rstrip("`").rstrip())
        out, self._held = self._held[:cut], self._held[cut:]
        return out

    def close(self) -> str:
        held, self._held = self._held, ""
        return held if self._mode == "start" else held.strip().strip("`").rstrip() if self._mode == "fenced" else ""
