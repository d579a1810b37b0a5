"""Exchanges whose bytes pass through: what is read from them on the way, with as little parsing as can be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    MESSAGES,
    RESPONSES,
    EventKind,
    Facts,
    Failure,
    JsonObject,
    Reply,
    StreamEvent,
    Usage,
    Wire,
)
from octavo_server.gateway.providers.failures import in_stream, read_object

# Inside a JSON string a quote is escaped, so these only match where they are structure.
_NOTABLE = re.compile(rb'"finish_reason":\s*"|"usage":\s*\{|"error":\s*[{"]')


def read_reply(endpoint: str, wire: Wire) -> Callable[[bytes], Reply]:
    """Reads a whole native answer; the body goes to the client as it came."""

    def reply(raw: bytes) -> Reply:
        value = read_object(raw)
        facts = Facts()
        _note(facts, endpoint, wire, value)
        return Reply(raw, facts)

    return reply


def _note(facts: Facts, endpoint: str, wire: Wire, value: JsonObject) -> None:
    if isinstance(usage := value.get("usage"), dict):
        facts.usage = Usage(wire, usage)
    facts.model = value.get("model") or facts.model
    facts.response_id = value.get("id") or facts.response_id
    if endpoint == MESSAGES:
        facts.finish_reason = value.get("stop_reason") or facts.finish_reason
    elif endpoint == RESPONSES:
        details = value.get("incomplete_details") or {}
        facts.finish_reason = details.get("reason") or value.get("status") or facts.finish_reason
    else:
        for choice in value.get("choices") or ():
            facts.finish_reason = choice.get("finish_reason") or facts.finish_reason


class NativeStream:
    """Passes events on as they came. Only the first events, and those that close the stream, are parsed."""

    __slots__ = ("_classify", "_events", "_started", "_wire", "complete", "facts", "failure")

    def __init__(self, endpoint: str, wire: Wire) -> None:
        self.facts = Facts()
        self.failure: Failure | None = None
        self.complete = False
        self._started = False
        self._wire = wire
        self._events = sse.Splitter()
        self._classify: Callable[[bytes], EventKind] = {
            CHAT: self._chat,
            COMPLETIONS: self._chat,
            MESSAGES: self._messages,
            RESPONSES: self._responses,
        }[endpoint]

    def feed(self, data: bytes) -> list[StreamEvent]:
        return [StreamEvent(event, self._classify(event)) for event in self._events.feed(data)]

    def finish(self) -> list[StreamEvent]:
        return [StreamEvent(event, self._classify(event)) for event in self._events.finish()]

    def _chat(self, event: bytes) -> EventKind:
        if self._started and _NOTABLE.search(event) is None and b"[DONE]" not in event:
            return "content"
        _, data = sse.read(event)
        if not data:
            return ""
        if data == b"[DONE]":
            self.complete = True
            return "done"
        value = sse.read_json(data)
        if error := value.get("error"):
            self.failure = in_stream(error if isinstance(error, dict) else {"message": str(error)})
            return "error"
        _note(self.facts, CHAT, self._wire, value)
        choices = value.get("choices") or ()
        if any(choice.get("finish_reason") for choice in choices):
            self.complete = True  # some servers never send [DONE]
            self._started = True
            return "finish"
        if any(_has_output(choice) for choice in choices):
            self._started = True
            return "content"
        return "usage" if not choices and value.get("usage") else ""

    def _messages(self, event: bytes) -> EventKind:
        if event.startswith(b"event: content_block_delta"):
            return "content"
        name, data = sse.read(event)
        if name in ("message_start", "message_delta", "error") and data:
            value = sse.read_json(data)
            if name == "error":
                self.failure = in_stream(value.get("error") or {})
                return "error"
            if name == "message_start":
                _note(self.facts, MESSAGES, self._wire, value.get("message") or {})
            else:
                self._message_delta(value)
        elif name == "message_stop":
            self.complete = True
            return "done"
        return ""

    def _message_delta(self, value: JsonObject) -> None:
        self.facts.finish_reason = (value.get("delta") or {}).get("stop_reason") or self.facts.finish_reason
        counted = {key: count for key, count in (value.get("usage") or {}).items() if count is not None}
        earlier = self.facts.usage.values if self.facts.usage else {}
        self.facts.usage = Usage(self._wire, {**earlier, **counted})

    def _responses(self, event: bytes) -> EventKind:
        if event.startswith(b"event: response.output_text.delta"):
            return "content"
        name, data = sse.read(event)
        if name.endswith(".delta"):
            return "content"
        if name in ("response.created", "response.completed", "response.incomplete", "response.failed", "error"):
            value = sse.read_json(data)
            response: dict[str, Any] = value.get("response") or {}
            _note(self.facts, RESPONSES, self._wire, response)
            if name in ("response.completed", "response.incomplete"):
                self.complete = True
                return "done"
            if name != "response.created":
                self.complete = True  # the client has been told
                self.failure = in_stream(response.get("error") or value.get("error") or value)
                return "error"
        return ""


def _has_output(choice: Mapping[str, Any]) -> bool:
    delta = choice.get("delta") or {}
    return bool(
        choice.get("text")
        or delta.get("content")
        or delta.get("tool_calls")
        or delta.get("reasoning_content")
        or delta.get("reasoning")
        or delta.get("refusal")
        or delta.get("audio")
    )
