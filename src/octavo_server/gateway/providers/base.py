"""What the gateway knows of a model provider: a frozen value of facts and pure functions, no I/O, no state.

A call becomes an `Exchange`: the request to send upstream, and the functions that read what comes back. For the
endpoints in `Provider.native` the bytes pass through in both directions; for the others they are translated, and what
comes out is exactly what a native provider of that endpoint would have sent (for chat streams: as if the client had
asked for `stream_options.include_usage`), so that the gateway treats both alike.

Usage is reported as the provider counted it (`Usage.values`) under the name of the provider's wire (`Usage.wire`),
for `costs.runtime.normalise_usage`; the client's body carries it converted to the client's own wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from octavo_server.costs.model import Connection

JsonObject = dict[str, Any]

CHAT = "chat.completions"
COMPLETIONS = "completions"
EMBEDDINGS = "embeddings"
RESPONSES = "responses"
MESSAGES = "messages"
COUNT_TOKENS = "messages.count_tokens"

Wire = Literal["openai", "anthropic", "gemini", "bedrock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt at one provider. `body` is the client's parsed body and `raw` its bytes: a native exchange sends
    `raw` as it came when nothing in it has to change (give `b""` when `body` was edited). `headers` are the client's, names in lower case; only the few
    that belong to the wire (`anthropic-version`, `anthropic-beta`, `openai-beta`) are passed on."""

    connection: Connection
    endpoint: str
    model: str  # name to ask upstream
    body: JsonObject
    raw: bytes
    stream: bool
    now: datetime  # aware; signs requests and dates replies
    request_id: str  # seeds the ids of replies whose provider gives none
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """The HTTP request to send. Headers hold the secret: never log them."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = b""


class Usage(NamedTuple):
    """Token counts as the provider reported them, and whose counting rules they follow."""

    wire: Wire
    values: JsonObject


@dataclass(slots=True, kw_only=True)
class Facts:
    """What the record of a call needs to know of its answer. A stream fills it in as it goes."""

    usage: Usage | None = None
    model: str = ""
    finish_reason: str = ""  # in the client's words: "stop", "tool_calls", "end_turn", …
    response_id: str = ""


class Reply(NamedTuple):
    """A whole answer in the client's wire format."""

    body: bytes
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An upstream's refusal. `status` is what the upstream said and `client_status` what the caller is told; `message`
    is bounded and holds no secret. `code` is one of those that OpenAI's clients match where that can be known."""

    status: int
    code: str
    message: str
    type: str = "api_error"  # OpenAI's error type
    param: str | None = None
    retryable: bool = False
    retry_after_s: float | None = None

    @property
    def client_status(self) -> int:
        """401 and 403 are between Octavo and the provider: to the caller the gateway is broken, not its key."""
        if self.status in (401, 403):
            return 502
        return self.status if 400 <= self.status <= 599 else 502


EventKind = Literal["", "content", "finish", "usage", "done", "error"]


class StreamEvent(NamedTuple):
    """One server-sent event as sent to the client, blank line included. `kind` says what is in it:

    content  the first or a further piece of output (text, reasoning or tool arguments)
    finish   chat.completions: the chunk that carries `finish_reason`
    usage    chat.completions and completions: the extra last chunk with `choices: []` and `usage`
    done     the wire's last event (`[DONE]`, `message_stop`, `response.completed`)
    error    the upstream failed after the first byte (`Stream.failure` is set)
    ""       anything else
    """

    data: bytes
    kind: EventKind = ""


class Stream(Protocol):
    """Turns the upstream's bytes into the client's events, whatever way the bytes are cut.

    After the upstream's body has ended, call `finish()` once. `complete` is then False when the upstream stopped
    half way: such a stream must not be closed cleanly (send `error_event`)."""

    facts: Facts
    failure: Failure | None
    complete: bool

    def feed(self, data: bytes) -> Sequence[StreamEvent]: ...

    def finish(self) -> Sequence[StreamEvent]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A prepared call. `reply` raises `UpstreamError` when a successful answer is not what it should be."""

    request: UpstreamRequest
    passthrough: bool
    reply: Callable[[bytes], Reply]
    stream: Callable[[], Stream]
    failure: Callable[[int, Mapping[str, str], bytes], Failure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A provider's own field of a connection, as the console's form shows it."""

    name: str
    title: str
    help: str
    kind: Literal["text", "map", "list", "choice", "flag", "number", "secret"] = "text"
    choices: tuple[str, ...] = ()
    default: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One kind of provider. `open` raises `Invalid` (with `param`) for a request it cannot express upstream."""

    kind: str
    title: str
    default_base_url: str
    needs_secret: bool
    wire: Wire
    models: tuple[str, ...]  # globs of the model names it serves unless the connection says otherwise
    native: frozenset[str]
    translated: frozenset[str]
    open: Callable[[Call], Exchange]
    failure: Callable[[int, Mapping[str, str], bytes], Failure]
    probe: Callable[[Connection, datetime], UpstreamRequest]  # cheap and free: list the models
    models_in: Callable[[bytes], list[str]]  # names in the probe's answer
    credential: str = ""
    options: tuple[Option, ...] = ()

    def serves(self, endpoint: str) -> bool:
        """Whether a call to this endpoint can be sent here at all."""
        return endpoint in self.native or endpoint in self.translated
