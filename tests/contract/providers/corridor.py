"""The gateway's use of a provider, without the network: a real SDK on one side, a recorded exchange on the other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import orjson

from octavo_server.costs.model import Connection
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Call,
    Exchange,
    Facts,
    Reply,
    Stream,
    StreamEvent,
    UpstreamRequest,
)
from octavo_server.gateway.providers.eventstream import encode
from octavo_server.gateway.providers.failures import error_event
from octavo_server.gateway.providers.registry import PROVIDERS, open_exchange

RECORDED = Path(__file__).parent / "recorded"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENDPOINTS = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT_TOKENS,
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def recorded(name: str) -> bytes:
    """A recorded answer; `.jsonl` files of Bedrock are framed as its binary event stream."""
    data = (RECORDED / name).read_bytes()
    return frames(data) if name.endswith(".jsonl") else data


def frames(lines: bytes) -> bytes:
    out = b""
    for line in lines.splitlines():
        kind, value = json.loads(line)
        headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
        out += encode(headers, orjson.dumps(value))
    return out


def connection(kind: str, **fields: Any) -> Connection:
    values: dict[str, Any] = {
        "id": "con_1", "project_id": "prj_1", "name": kind, "provider": kind, "secret": "sk-upstream-0123456789",
        "base_url": PROVIDERS[kind].default_base_url,
    }  # fmt: skip
    return Connection(**{**values, **fields})


def call(kind: str, endpoint: str, body: dict[str, Any], *, model: str = "", **fields: Any) -> Call:
    return Call(
        connection=connection(kind, **fields),
        endpoint=endpoint,
        model=model or body.get("model", "m"),
        body=body,
        raw=orjson.dumps(body),
        stream=bool(body.get("stream")),
        now=NOW,
        request_id="req1",
    )


def sent(kind: str, endpoint: str, body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body that goes upstream."""
    value: dict[str, Any] = orjson.loads(open_exchange(call(kind, endpoint, body, **fields)).request.body)
    return value


def drain(stream: Stream, data: bytes, size: int = 0) -> list[StreamEvent]:
    """All events of a stream whose bytes arrive `size` at a time."""
    events: list[StreamEvent] = []
    for start in range(0, len(data), size or max(1, len(data))):
        events.extend(stream.feed(data[start : start + (size or len(data))]))
    events.extend(stream.finish())
    return events


@dataclass
class Corridor:
    """Plays the gateway to the SDKs: shapes their request, answers with the recorded bytes, translated."""

    kind: str
    answer: bytes
    status: int = 200
    upstream_headers: dict[str, str] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=dict)
    piece: int = 7
    # The SDK's own models refuse what OpenAI really sends in two places: legacy stream chunks, base64 embeddings.
    strict: bool = True
    sent: UpstreamRequest | None = None
    facts: Facts | None = None
    stream: Stream | None = None

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        body = orjson.loads(request.content)
        made = Call(
            connection=connection(self.kind, **self.connection),
            endpoint=ENDPOINTS[request.url.path],
            model=body["model"],
            body=body,
            raw=request.content,
            stream=bool(body.get("stream")),
            now=NOW,
            request_id="req1",
            headers=dict(request.headers),
        )
        exchange = open_exchange(made)
        self.sent = exchange.request
        if self.status >= 400:
            return self._refuse(exchange)
        if made.stream:
            self.stream = exchange.stream()
            events = drain(self.stream, self.answer, self.piece)
            self.facts = self.stream.facts
            data = b"".join(event.data for event in events)
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)
        reply: Reply = exchange.reply(self.answer)
        self.facts = reply.facts
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=reply.body)

    def _refuse(self, exchange: Exchange) -> httpx2.Response:
        problem = exchange.failure(self.status, self.upstream_headers, self.answer)
        body = {"message": problem.message, "type": problem.type, "code": problem.code, "param": problem.param}
        return httpx2.Response(problem.client_status, json={"error": body})

    @property
    def body(self) -> dict[str, Any]:
        assert self.sent is not None
        value: dict[str, Any] = orjson.loads(self.sent.body)
        return value

    def openai(self) -> openai.OpenAI:
        http = httpx2.Client(transport=httpx2.MockTransport(self.handle))
        return openai.OpenAI(
            api_key="sk-oct-x", base_url="http://octavo/v1", http_client=http, max_retries=0,
            _strict_response_validation=self.strict,
        )  # fmt: skip

    def anthropic(self) -> anthropic.Anthropic:
        http = httpx2.Client(transport=httpx2.MockTransport(self.handle))
        return anthropic.Anthropic(
            api_key="sk-oct-x", base_url="http://octavo", http_client=http, max_retries=0,
            _strict_response_validation=self.strict,
        )  # fmt: skip


__all__ = [
    "CHAT",
    "COMPLETIONS",
    "EMBEDDINGS",
    "MESSAGES",
    "RESPONSES",
    "Corridor",
    "StreamEvent",
    "call",
    "connection",
    "drain",
    "error_event",
    "frames",
    "recorded",
    "sent",
]
