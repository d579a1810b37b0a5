"""Octavo's own small model: a llama.cpp server that a child process runs on the loopback.

JSON mode, JSON schemas and forced tool calls become a grammar (`json_grammar`), so that the answer always parses.
An answer without a limit gets one: a model of this size may never stop by itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.costs.model import Connection
from octavo_server.gateway.providers import chat
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    Call,
    Exchange,
    JsonObject,
    Option,
    Provider,
    UpstreamRequest,
    Usage,
)
from octavo_server.gateway.providers.chat import ChatSource, Media
from octavo_server.gateway.providers.failures import read_failure
from octavo_server.gateway.providers.fronts import FRONTS
from octavo_server.gateway.providers.hub import Backend, ChatReply, ChunkSource, translate
from octavo_server.gateway.providers.json_grammar import example_in, grammar_for
from octavo_server.gateway.providers.openai import PATHS, body_of, headers_of, models_in, native_exchange
from octavo_server.gateway.providers.urls import join, text_option

DEFAULT_BASE_URL = "http://127.0.0.1:8080/v1"
DEFAULT_MAX_TOKENS = 512
DEFAULT_CONTEXT = 4096


def _open(call: Call) -> Exchange:
    if call.endpoint == COMPLETIONS:
        return native_exchange(call, _url(call.connection, COMPLETIONS), headers_of(call.connection, {}))
    if call.endpoint == CHAT and not _forces_tool(call.body):
        return native_exchange(
            call, _url(call.connection, CHAT), headers_of(call.connection, {}), body_of(_shaped(call))
        )
    return translate(call, FRONTS[call.endpoint], BACKEND)


def _url(connection: Connection, endpoint: str) -> str:
    return join(connection.base_url or DEFAULT_BASE_URL, PATHS[endpoint])


def _shaped(call: Call) -> Call:
    """The call as llama.cpp is asked: limits set, JSON as a grammar."""
    body = dict(call.body)
    limit = chat.max_tokens_of(body)
    body.pop("max_completion_tokens", None)
    body["max_tokens"] = limit or DEFAULT_MAX_TOKENS
    wanted = chat.response_format(body)
    if _forces_tool(body):
        schema, hint = _call_schema(body)
        body["messages"] = [{"role": "system", "content": hint}, *chat.messages_of(body)]
        body["grammar"] = grammar_for(schema, budget=_budget(call, body))
    elif wanted is not None:
        example = example_in(_prompt(body)) if wanted.schema is None else None
        body["grammar"] = grammar_for(wanted.schema, budget=_budget(call, body), example=example)
    else:
        return replace(call, body=body, raw=b"")
    for name in ("response_format", "tools", "tool_choice", "parallel_tool_calls"):
        body.pop(name, None)  # llama.cpp takes a grammar or one of these, not both
    return replace(call, body=body, raw=b"")


def _budget(call: Call, body: JsonObject) -> int:
    """Bytes that surely fit: the token limit, and what the prompt leaves of the context."""
    context = int(text_option(call.connection, "context", str(DEFAULT_CONTEXT)))
    prompt = len(_prompt(body).encode()) // 2 + 64  # two bytes a token is few for any language
    return max(1, min(int(body["max_tokens"]), context - prompt) - 1)


def _prompt(body: JsonObject) -> str:
    texts: list[str] = []
    for index, message in enumerate(chat.messages_of(body)):
        parts = chat.parts_of(message.get("content"), f"messages[{index}].content")
        texts.extend(part for part in parts if not isinstance(part, Media))
    return "\n".join(texts)


def _forces_tool(body: JsonObject) -> bool:
    return bool(body.get("tools")) and chat.tool_choice_of(body)[0] in ("required", "function")


def _call_schema(body: JsonObject) -> tuple[JsonObject, str]:
    """The schema of a call to one of the tools that may be called, and what the model is told about them."""
    _, name = chat.tool_choice_of(body)
    functions = [item for item in chat.tools_of(body) if not name or item["name"] == name]
    if not functions:
        raise Invalid(f"tool_choice names {name!r}, which is not among the tools.", param="tool_choice")
    options: list[Any] = []
    definitions: JsonObject = {}
    for function in functions:
        parameters = dict(function.get("parameters") or {"type": "object", "properties": {}})
        definitions.update(parameters.pop("$defs", {}))
        members = {"name": {"const": function["name"]}, "arguments": parameters}
        options.append({"type": "object", "properties": members, "required": ["name", "arguments"]})
    listed = "\n".join(f"- {item['name']}: {item.get('description', '')}".rstrip(": ") for item in functions)
    hint = f"Answer with the JSON of one call to a function that helps to answer:\n{listed}"
    return {"anyOf": options, "$defs": definitions}, hint


# ---- forced tool calls ------------------------------------------------------------------------------------------


def _request(call: Call) -> UpstreamRequest:
    return UpstreamRequest(
        method="POST",
        url=_url(call.connection, CHAT),
        headers=headers_of(call.connection, {}),
        body=body_of(_shaped(call)),
    )


def _reply(call: Call, raw: bytes) -> ChatReply:
    reply = chat.read_chat_reply(call, raw)
    if _forces_tool(call.body):
        for choice in reply.body["choices"]:
            tool_call = _tool_call(call, choice["message"].get("content") or "")
            if tool_call is not None:
                choice["message"] = chat.message(text=None, tool_calls=[tool_call])
                choice["finish_reason"] = "tool_calls"
    return reply


def _tool_call(call: Call, text: str) -> JsonObject | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None  # cut off by the limit: the client sees the text and finish_reason "length"
    arguments = orjson.dumps(value["arguments"]).decode()
    return chat.tool_call(f"call_{call.request_id}", value["name"], arguments)


class ToolCallSource:
    """A stream whose text is a tool call: held until whole, then told as one."""

    __slots__ = ("_call", "_source", "_text", "_writer")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._source = ChatSource()
        self._text: list[str] = []
        self._writer = chat.ChunkWriter(call)

    @property
    def usage(self) -> Usage | None:
        return self._source.usage

    @property
    def failure(self) -> Any:
        return self._source.failure

    @property
    def complete(self) -> bool:
        return self._source.complete

    def feed(self, data: bytes) -> list[JsonObject]:
        return self._held(self._source.feed(data))

    def finish(self) -> list[JsonObject]:
        return self._held(self._source.finish())

    def _held(self, chunks: list[JsonObject]) -> list[JsonObject]:
        told: list[JsonObject] = []
        for chunk in chunks:
            self._writer.response_id, self._writer.model = chunk["id"], chunk.get("model") or self._writer.model
            if not chunk.get("choices"):
                told.append(chunk)
                continue
            choice = chunk["choices"][0]
            self._text.append(choice["delta"].get("content") or "")
            if choice.get("finish_reason"):
                told.extend(self._whole(choice["finish_reason"]))
        return told

    def _whole(self, finish_reason: str) -> list[JsonObject]:
        text = "".join(self._text)
        tool_call = _tool_call(self._call, text)
        if tool_call is None:
            delta: JsonObject = {"role": "assistant", "content": text}
        else:
            delta = {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **tool_call}]}
            finish_reason = "tool_calls"
        return [self._writer.delta(delta), self._writer.delta({}, finish_reason=finish_reason)]


def _source(call: Call) -> ChunkSource:
    return ToolCallSource(call) if _forces_tool(call.body) else ChatSource()


BACKEND = Backend(
    request=_request,
    reply=_reply,
    source=_source,
    failure=read_failure,
)


def _probe(connection: Connection, now: datetime) -> UpstreamRequest:
    del now
    url = join(connection.base_url or DEFAULT_BASE_URL, "/models")
    return UpstreamRequest(method="GET", url=url, headers=headers_of(connection, {}))


LOCAL = Provider(
    kind="local",
    title="Local model",
    default_base_url=DEFAULT_BASE_URL,
    needs_secret=False,
    wire="openai",
    models=("smollm2*", "local/*"),
    native=frozenset({CHAT, COMPLETIONS}),
    translated=frozenset({RESPONSES, MESSAGES}),
    open=_open,
    failure=read_failure,
    probe=_probe,
    models_in=models_in,
    options=(
        Option(
            name="context",
            title="Context",
            help="Tokens of one slot's context window; prompt and answer share it.",
            kind="number",
            default=str(DEFAULT_CONTEXT),
        ),
    ),
)
