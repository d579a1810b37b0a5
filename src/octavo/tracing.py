"""How spans come from the application to Octavo: set-up at the first use, beside whatever else uses OpenTelemetry, and
what all spans of a request have in common."""

from __future__ import annotations

import atexit
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack
from weakref import WeakSet

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, Tracer, format_span_id, format_trace_id

from octavo.config import Config, read_config, read_tracing
from octavo.errors import ConfigError
from octavo.quietly import quietly, say_once
from octavo.serialising import MOST_CHARACTERS, plain_of, text_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

    from octavo.delivery import Delivery, Score
    from octavo.outbox import Outbox

Mask = Callable[[Any], Any]

_AT_EXIT_S = 5.0
_SHARED = otel.create_key("octavo-shared-attributes")
_TRACE_IDS = 1 << 64


class Options(TypedDict, total=False):
    """What `configure` takes."""

    url: str
    api_key: str
    project: str
    environment: str
    release: str
    enabled: bool
    sample_rate: float
    mask: Mask | None
    max_characters: int
    tracer_provider: TracerProvider | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is in force."""

    config: Config = field(default_factory=Config)
    enabled: bool = False
    sample_rate: float = 1.0
    release: str = ""
    mask: Mask | None = None
    max_characters: int = MOST_CHARACTERS
    tracer_provider: TracerProvider | None = None


@dataclass(frozen=True, slots=True)
class _Running:
    settings: Settings
    tracer: Tracer
    spans: Outbox[ReadableSpan] | None = None
    scores: Outbox[Score] | None = None
    delivery: Delivery | None = None

    def flush(self, timeout_s: float, *, patient: bool) -> bool:
        """Spans first, so that scores find them."""
        from time import monotonic

        until = monotonic() + timeout_s
        flushed = [
            outbox.flush(max(until - monotonic(), 0.0), patient=patient)
            for outbox in (self.spans, self.scores)
            if outbox is not None
        ]
        return all(flushed)

    def close(self) -> None:
        for outbox in (self.spans, self.scores):
            if outbox is not None:
                outbox.close()
        if self.delivery is not None:
            self.delivery.close()


class Tracing:
    """The one of this process. Nothing happens before a span, a score or `configure` asks for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._options: Options = {}
        self._running: _Running | None = None
        self._at_exit = False
        self.unfinished: WeakSet[Any] = WeakSet()
        """Generators and streams whose spans end, with what there is, at the latest when the process does."""
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """Another thread of the parent may have held the lock."""
        self._lock = threading.RLock()

    def configure(self, **options: Unpack[Options]) -> None:
        """Goes before the environment. What was set before and is not given here stays."""
        with self._lock:
            if self._running is not None:
                self._running.flush(_AT_EXIT_S, patient=False)
                self._running.close()
            self._options = {**self._options, **options}
            self._running = None

    def running(self) -> _Running:
        """Set up now, if it is not yet."""
        running = self._running
        if running is not None:
            return running
        with self._lock:
            if self._running is None:
                self._running = self._start() or _Running(Settings(), NoOpTracer())
            return self._running

    def flush(self, timeout_s: float, *, patient: bool = True) -> bool:
        """Whether all is sent."""
        running = self._running
        return running is None or running.flush(timeout_s, patient=patient)

    @quietly
    def _start(self) -> _Running | None:
        try:
            settings = self._settings()
        except ConfigError as error:
            say_once("config", "Octavo does not trace: %s", error)
            return None
        if not settings.enabled:
            return None
        if not settings.config.api_key:
            say_once("key", "Octavo does not trace: OCTAVO_API_KEY is not set (OCTAVO_TRACING=off says so on purpose)")
        return self._connect(settings)

    def _connect(self, settings: Settings) -> _Running:
        from opentelemetry.sdk.trace import TracerProvider

        from octavo.delivery import Delivery
        from octavo.outbox import Outbox
        from octavo.processor import OctavoSpanProcessor, OwnIds, weight_of

        spans: Outbox[ReadableSpan] | None = None
        scores: Outbox[Score] | None = None
        delivery: Delivery | None = None
        provider: Any = settings.tracer_provider or trace.get_tracer_provider()
        if settings.config.api_key:
            delivery = Delivery(settings.config)
            spans = Outbox("spans", delivery.spans, weigh=weight_of)
            scores = Outbox("scores", delivery.scores, batch=50)
            if not hasattr(provider, "add_span_processor"):
                # None is there, or one of a kind that takes no processors.
                alone = isinstance(provider, trace.ProxyTracerProvider)
                provider = TracerProvider(shutdown_on_exit=False, id_generator=OwnIds())
                if alone:
                    trace.set_tracer_provider(provider)
            if not self._at_exit:
                atexit.register(self._end)
                self._at_exit = True
        # Without a key, spans go to whatever else the application sends spans to.
        if hasattr(provider, "add_span_processor"):
            provider.add_span_processor(OctavoSpanProcessor(spans, settings))
        return _Running(settings, provider.get_tracer("octavo", settings.config.version), spans, scores, delivery)

    def _settings(self) -> Settings:
        told = self._options
        config = read_config(
            url=told.get("url"),
            api_key=told.get("api_key"),
            project=told.get("project"),
            environment=told.get("environment"),
        )
        environ = read_tracing()
        sample_rate = told.get("sample_rate", environ.sample_rate)
        if not 0 <= sample_rate <= 1:
            raise ConfigError(f"sample_rate={sample_rate!r}: expected a number from 0 to 1")
        return Settings(
            config=config,
            enabled=told.get("enabled", environ.enabled),
            sample_rate=sample_rate,
            release=told.get("release", environ.release),
            mask=told.get("mask"),
            max_characters=told.get("max_characters", MOST_CHARACTERS),
            tracer_provider=told.get("tracer_provider"),
        )

    @quietly
    def _end(self) -> None:
        for one in list(self.unfinished):
            one.finish()
        self.flush(_AT_EXIT_S, patient=False)


TRACING = Tracing()


def configure(**options: Unpack[Options]) -> None:
    """Sets what the environment does not, or other than it says; best before the first span.

    `mask` is given each input, output, metadata and error message as plain data (dicts, lists, texts, numbers) and
    returns what may be sent. `sample_rate` is the share of traces that are sent, chosen by trace id. `tracer_provider`
    is used instead of OpenTelemetry's global one. `max_characters` cuts longer values."""
    TRACING.configure(**options)


def flush(timeout_s: float = 10.0) -> bool:
    """Waits until the server has all spans and scores so far; False when it has not within the time."""
    return bool(quietly(TRACING.flush)(timeout_s))


def samples(trace_id: int, rate: float) -> bool:
    """Whether a trace is sent: the same answer in every process, as OpenTelemetry's TraceIdRatioBased gives it."""
    return (trace_id & (_TRACE_IDS - 1)) < rate * _TRACE_IDS


def content_of(value: Any, settings: Settings) -> str:
    """What an application gave, masked, as text."""
    if settings.mask is None:
        return text_of(value, settings.max_characters)
    plain = value if isinstance(value, str) else plain_of(value, settings.max_characters)
    masked = quietly(settings.mask)(plain)
    if masked is None and plain is not None:
        return "<masked>"  # a mask that fails hides all
    return text_of(masked, settings.max_characters)


def current_trace_id() -> str | None:
    """32 hexadecimal digits; None outside of spans."""
    at = trace.get_current_span().get_span_context()
    return format_trace_id(at.trace_id) if at.is_valid else None


def current_span_id() -> str | None:
    """16 hexadecimal digits; None outside of spans."""
    at = trace.get_current_span().get_span_context()
    return format_span_id(at.span_id) if at.is_valid else None


def trace_url(trace_id: str | None = None) -> str | None:
    """Where the console shows a trace, the current one if none is named."""
    trace_id = trace_id or current_trace_id()
    return f"{TRACING.running().settings.config.url}/traces/{trace_id}" if trace_id else None


def shared_attributes(context: otel.Context | None = None) -> Mapping[str, Any]:
    """What `trace_context` says of every span in a context."""
    found = otel.get_value(_SHARED, context)
    return found if isinstance(found, Mapping) else {}


class trace_context:  # noqa: N801, it reads as a statement
    """Says of every span inside, whoever makes it, which session and user it belongs to, and more:

        with octavo.trace_context(session_id="s-1", user_id="ada", tags=["beta"]):
            answer(question)

    Also `async with`. Inner ones add to outer ones. Other threads do not inherit it."""

    def __init__(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        environment: str | None = None,
        release: str | None = None,
    ) -> None:
        texts = {
            "session.id": session_id,
            "user.id": user_id,
            "deployment.environment.name": environment,
            "octavo.release": release,
        }
        self._texts = {name: str(text) for name, text in texts.items() if text is not None}
        self._tags, self._metadata = tags, metadata
        self._token: object | None = None

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            otel.detach(self._token)  # type: ignore[arg-type]
            self._token = None

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)

    @quietly
    def _enter(self) -> None:
        outer = shared_attributes()
        shared: dict[str, Any] = {**outer, **self._texts}
        if self._tags is not None:
            tags = [self._tags] if isinstance(self._tags, str) else [str(tag) for tag in self._tags]
            shared["tag.tags"] = tuple(dict.fromkeys([*outer.get("tag.tags", ()), *tags]))
        if self._metadata is not None:
            known = json.loads(outer["metadata"]) if "metadata" in outer else {}
            given = content_of(dict(self._metadata), TRACING.running().settings)
            shared["metadata"] = merged(known, given)
        self._token = otel.attach(otel.set_value(_SHARED, shared))
        trace.get_current_span().set_attributes(shared)


def merged(known: Mapping[str, Any], given: str) -> str:
    """Metadata with more of it."""
    try:
        more = json.loads(given)
    except ValueError:
        more = given
    return json.dumps({**known, **(more if isinstance(more, dict) else {"metadata": more})}, ensure_ascii=False)
