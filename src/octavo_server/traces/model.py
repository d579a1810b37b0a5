"""The noun of observability: the span, one schema for every client and dialect; and the gateway's raw record of a call."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from octavo_server.core.digest import JSON


class SpanKind(StrEnum):
    """What a span did, in the field's words (OpenInference and OTel GenAI agree on these)."""

    LLM = "llm"
    EMBEDDING = "embedding"
    RETRIEVER = "retriever"
    RERANKER = "reranker"
    TOOL = "tool"
    AGENT = "agent"
    CHAIN = "chain"
    GUARDRAIL = "guardrail"
    EVALUATOR = "evaluator"
    EVENT = "event"
    SPAN = "span"


class CaptureMode(StrEnum):
    """How much of a call is kept: everything, all but the contents, or nothing but the count."""

    FULL = "full"
    METADATA = "metadata"
    NONE = "none"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens in disjoint buckets: the sum of the buckets is the total. Providers that count cached tokens inside
    input, or reasoning inside output, are normalised before this is made (see `costs.runtime`).

    `details` counts what is priced apart from its bucket: a part of one (`cache_write_1h`, `input_image`, …) or a use
    that is no token (`web_searches`). It adds nothing to the total."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    input_audio: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    details: dict[str, int] = {}

    @property
    def total(self) -> int:
        return (
            self.input
            + self.cache_read
            + self.cache_write
            + self.input_audio
            + self.output
            + self.reasoning
            + self.output_audio
        )


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened at one instant of a span (an exception, a first token)."""

    name: str
    time_ns: int
    attributes: dict[str, JSON] = {}


class SpanLink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A causal link to a span of another trace."""

    trace_id: str
    span_id: str
    attributes: dict[str, JSON] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a trace. Times are nanoseconds since 1970 UTC. Contents (`input`, `output`, …) are texts, JSON when
    they were structured. `cost_nano` is None when the price is unknown, which is not zero."""

    project_id: str
    trace_id: str  # 32 hex characters when it came over OTLP; any text from legacy clients
    span_id: str
    parent_span_id: str = ""  # "" for a root
    name: str
    kind: SpanKind = SpanKind.SPAN
    source: str = "otlp"  # gateway | otlp | langfuse | sdk
    start_ns: int
    end_ns: int
    is_root: bool = False  # no parent, or marked as the application's root
    status: str = "unset"  # unset | ok | error
    status_message: str = ""
    level: str = "DEFAULT"  # DEBUG | DEFAULT | WARNING | ERROR, Langfuse's scale
    error_type: str = ""  # as reported: "openai.RateLimitError", "429", an exception's class
    error_class: str = ""  # taxonomy: rate_limit | timeout | auth | invalid_request | content_filter | upstream | cancelled | budget | guardrail | internal
    environment: str = "default"
    service: str = ""
    app: str = ""
    release: str = ""  # digest of the release that served it; "" until releases exist
    version: str = ""  # version label the client sent
    trace_name: str = ""
    session_id: str = ""
    user_id: str = ""
    tags: list[str] = []
    metadata: dict[str, JSON] = {}
    provider: str = ""
    connection_id: str = ""
    model_requested: str = ""
    model: str = ""  # model that answered
    parameters: dict[str, JSON] = {}
    streaming: bool = False
    finish_reason: str = ""
    response_id: str = ""
    input: str = ""
    output: str = ""
    input_preview: str = ""  # the newest question in one line, for lists
    output_preview: str = ""
    tools: str = ""
    documents: str = ""
    usage: Usage | None = None
    usage_extra: dict[str, int] = {}  # buckets no price is kept for, as reported
    cost_nano: int | None = None
    cost_source: str = ""  # gateway | reported | priced | "" when unknown
    cost_details: dict[str, int] = {}  # nano-USD by bucket
    ttft_ns: int | None = None
    attempts: int = 0
    cache_status: str = ""  # hit | miss | "" when no cache was asked
    api_key_id: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    request_id: str = ""
    captured: CaptureMode = CaptureMode.FULL
    # Whether totals count its usage and cost: not when a step inside it reports the same, nor when the gateway recorded
    # the same call, whose span is then `duplicate_of`, found by `match` (see docs/reference/traces.md).
    counted: bool = True
    duplicate_of: str = ""
    match: str = ""  # traceparent | response_id | fingerprint
    # Attributes whose texts are `input` and `output` word for word; they are in `attributes` only when read back.
    input_from: str = ""
    output_from: str = ""
    call_digest: int = 0  # of a model call's messages, see `messages.call_digest`; 0 when it has none
    # Everything the client sent, so that export gives back what came in.
    otel_kind: int = 0
    flags: int = 0
    trace_state: str = ""
    scope_name: str = ""
    scope_version: str = ""
    scope_attributes: dict[str, JSON] = {}
    resource: dict[str, JSON] = {}
    attributes: dict[str, JSON] = {}
    events: list[SpanEvent] = []
    links: list[SpanLink] = []


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent spans that did not come through the gateway, as the spool keeps it beside their bytes."""

    project_id: str
    environment: str = ""  # of the key; "" when it is not bound to one
    api_key_id: str = ""
    json: bool = False  # OTLP's JSON encoding rather than protobuf


class ProjectRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a project wants kept of the spans that are sent to it."""

    capture: CaptureMode = CaptureMode.FULL
    masks: tuple[str, ...] = ()
    retention_days: int = 90


class GatewayCall(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The gateway's record of one call, made on the hot path and turned into a Span off it (`traces.service`).

    `request` and `response` are the bytes as exchanged with the client (a stream's response is the concatenation of
    its events); both empty unless the capture mode is full. `usage` and `cost_nano` are settled on the hot path."""

    project_id: str
    trace_id: str
    span_id: str
    parent_span_id: str
    endpoint: str  # chat.completions | completions | embeddings | responses | messages
    start_ns: int
    end_ns: int
    first_token_ns: int  # 0 when there was none
    status_code: int  # as sent to the client; 499 when the client went away
    error_class: str
    error_message: str
    environment: str
    api_key_id: str
    connection_id: str
    provider: str
    model_requested: str
    model: str
    release: str
    app: str
    streaming: bool
    attempts: int
    attempt_errors: list[str]
    usage: Usage | None
    cost_nano: int | None
    captured: CaptureMode
    request: bytes
    response: bytes
    request_headers: dict[str, str]  # only the allow-listed, informative ones (user-agent, x-stainless-*, baggage)
    request_id: str
    finish_reason: str
    response_id: str
    price_known: bool
    # What the caller said about the call: session_id, user_id, tags, metadata, trace_name, name. Kept in every mode
    # but none, since it is not content.
    context: dict[str, Any] = {}


SCORE_TYPES = ("NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION")


class Score(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A judgement of a trace, a span, a session or an experiment, by a person, a program or an evaluator. Scores may
    come before what they judge. Written again under its id it replaces what was there."""

    project_id: str
    id: str
    name: str
    data_type: str  # one of SCORE_TYPES
    value: float | None = None  # of NUMERIC, BOOLEAN (0 or 1), and of a category that has a number
    string_value: str = ""  # of CATEGORICAL, TEXT and CORRECTION
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    experiment_id: str = ""
    source: str = "API"  # API | ANNOTATION | EVAL
    comment: str = ""
    config_id: str = ""
    queue_id: str = ""
    author: str = ""  # id of the user who annotated
    metadata: Any = None
    environment: str = "default"
    time_ns: int  # what it is about
    written_ns: int  # the later of two writes of one id stays
    deleted: bool = False


class ScoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What scores of a name may be."""

    id: str
    project_id: str
    name: str
    data_type: str  # NUMERIC | BOOLEAN | CATEGORICAL | TEXT
    min_value: float | None = None
    max_value: float | None = None
    categories: tuple[tuple[str, float], ...] = ()  # label and number
    description: str = ""
    is_archived: bool = False
    created_at: datetime
    updated_at: datetime


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says about a trace or a span."""

    id: str
    project_id: str
    trace_id: str
    span_id: str = ""
    text: str
    author: str  # id of a user or an API key
    author_name: str
    created_at: datetime


VIEW_PAGES = ("traces", "sessions", "end-users", "metrics", "failures")


class SavedView(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the console with its filters, under a name."""

    id: str
    project_id: str
    owner: str  # id of the user or key that saved it
    name: str
    page: str  # one of VIEW_PAGES
    query: str  # the search part of the page's address
    shared: bool  # others see it too
    created_at: datetime
    updated_at: datetime


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts are told. `sealed` holds the secret that webhooks are signed with."""

    id: str
    project_id: str
    name: str
    kind: str  # webhook | email
    url: str = ""
    addresses: tuple[str, ...] = ()
    sealed: bytes | None = None
    created_at: datetime
    updated_at: datetime


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """A measure that is looked at every minute over the last `window_minutes`."""

    id: str
    project_id: str
    name: str
    measure: str
    filter: str
    environment: str
    window_minutes: int
    direction: str  # above | below
    threshold: float
    channel_ids: tuple[str, ...] = ()
    enabled: bool = True
    created_at: datetime
    updated_at: datetime

    def breached(self, value: float | None) -> bool:
        """Whether a value of the measure is beyond the threshold; no traffic is not."""
        if value is None:
            return False
        return value > self.threshold if self.direction == "above" else value < self.threshold


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was breached, from then until it held again twice in a row."""

    id: str
    project_id: str
    rule_id: str
    rule_name: str
    state: str  # firing | resolved
    value: float | None
    threshold: float
    calm: int = 0  # how often in a row the rule held
    started_at: datetime
    resolved_at: datetime | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One telling of an alert to one channel, kept until it succeeded or was given up."""

    id: str
    project_id: str
    alert_id: str
    channel_id: str
    event: str  # firing | resolved
    state: str  # pending | delivered | failed
    attempts: int = 0
    last_error: str = ""
    due_at: datetime
    updated_at: datetime


class Told(NamedTuple):
    """What came of telling a channel something."""

    ok: bool
    status: int
    message: str
