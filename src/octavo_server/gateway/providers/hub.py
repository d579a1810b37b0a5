"""Translation by way of one hub format, OpenAI's chat completions.

A *front* is what the client speaks: it turns the client's body into a chat body, and chat replies and chunks into the
client's. A *backend* is what the provider speaks: it turns a chat call into a request, and the provider's replies and
stream into chat replies and chunks. Any front goes with any backend, so N + M translations serve N x M pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import orjson

from octavo_server.core.errors import Invalid, UpstreamError
from octavo_server.gateway.providers.base import (
    CHAT,
    Call,
    Exchange,
    Facts,
    Failure,
    JsonObject,
    Reply,
    Stream,
    StreamEvent,
    UpstreamRequest,
    Usage,
)


class ChatReply(NamedTuple):
    """A chat completion as the client of the hub sees it, and the usage as the provider counted it."""

    body: JsonObject
    usage: Usage | None


class ChunkSource(Protocol):
    """Reads a provider's stream as chat completion chunks. `usage` and `failure` are set as they come; `complete`
    once the provider has said how its answer ended."""

    @property
    def usage(self) -> Usage | None: ...

    @property
    def failure(self) -> Failure | None: ...

    @property
    def complete(self) -> bool: ...

    def feed(self, data: bytes) -> list[JsonObject]: ...

    def finish(self) -> list[JsonObject]: ...


class Encoder(Protocol):
    """Writes chat completion chunks as the client's events. `close` writes what ends a complete stream."""

    finish_reason: str

    def encode(self, chunk: JsonObject) -> Sequence[StreamEvent]: ...

    def close(self) -> Sequence[StreamEvent]: ...

    def fail(self, problem: Failure) -> StreamEvent: ...


@dataclass(frozen=True, slots=True)
class Backend:
    """A provider's side of a translation. `call.body` is a chat completions body."""

    request: Callable[[Call], UpstreamRequest]
    reply: Callable[[Call, bytes], ChatReply]
    source: Callable[[Call], ChunkSource]
    failure: Callable[[int, Mapping[str, str], bytes], Failure]


@dataclass(frozen=True, slots=True)
class Front:
    """A client's side of a translation. `reply` gives the client's body and its finish reason."""

    to_chat: Callable[[JsonObject], JsonObject]
    reply: Callable[[Call, JsonObject], tuple[JsonObject, str]]
    encoder: Callable[[Call], Encoder]


def translate(call: Call, front: Front, backend: Backend) -> Exchange:
    """An exchange between a client and a provider that do not speak the same wire."""
    with _expecting(Invalid, f"The request does not have the shape that {call.endpoint} requires"):
        inner = replace(call, endpoint=CHAT, body=front.to_chat(call.body), raw=b"")
        request = backend.request(inner)

    def reply(raw: bytes) -> Reply:
        with _expecting(UpstreamError, "The provider answered something of an unknown shape"):
            chat, usage = backend.reply(inner, raw)
            body, finish_reason = front.reply(call, chat)
        facts = Facts(usage=usage, model=chat["model"], finish_reason=finish_reason, response_id=body.get("id", ""))
        return Reply(orjson.dumps(body), facts)

    def stream() -> Stream:
        return TranslatedStream(call.endpoint, backend.source(inner), front.encoder(call))

    return Exchange(request=request, passthrough=False, reply=reply, stream=stream, failure=backend.failure)


@contextmanager
def _expecting(error: type[Invalid | UpstreamError], message: str) -> Iterator[None]:
    """A member that is missing or of the wrong type is the sender's fault, found wherever it is first read."""
    try:
        yield
    except KeyError as missing:
        raise error(f"{message}: {missing.args[0]!r} is missing.") from missing
    except (TypeError, AttributeError, IndexError, ValueError) as wrong:
        raise error(f"{message}: a value in it is of the wrong type.") from wrong


class TranslatedStream:
    """A provider's stream, re-told in the client's wire."""

    __slots__ = ("_closed", "_encoder", "_endpoint", "_source", "complete", "facts", "failure")

    def __init__(self, endpoint: str, source: ChunkSource, encoder: Encoder) -> None:
        self.facts = Facts()
        self.failure: Failure | None = None
        self.complete = False
        self._closed = False
        self._endpoint = endpoint
        self._source = source
        self._encoder = encoder

    def feed(self, data: bytes) -> list[StreamEvent]:
        with _expecting(UpstreamError, "The provider sent an event of an unknown shape"):
            return self._tell(self._source.feed(data))

    def finish(self) -> list[StreamEvent]:
        with _expecting(UpstreamError, "The provider sent an event of an unknown shape"):
            events = self._tell(self._source.finish())
        if self._source.complete and self.failure is None and not self._closed:
            self._closed = True
            events.extend(self._encoder.close())
            self.facts.finish_reason = self._encoder.finish_reason
        self.complete = self._source.complete
        return events

    def _tell(self, chunks: list[JsonObject]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if self.failure is not None:
            return events
        for chunk in chunks:
            self.facts.response_id = self.facts.response_id or chunk["id"]
            self.facts.model = chunk.get("model") or self.facts.model
            events.extend(self._encoder.encode(chunk))
        self.facts.usage = self._source.usage
        self.facts.finish_reason = self._encoder.finish_reason
        if self._source.failure is not None:
            self.failure = self._source.failure
            events.append(self._encoder.fail(self.failure))
        return events
