"""What Octavo brings to a tracer provider: the span processor that it adds to any, and the ids of its own."""

from __future__ import annotations

from secrets import randbits
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator

from octavo.outbox import Outbox
from octavo.quietly import quietly
from octavo.tracing import samples, shared_attributes

if TYPE_CHECKING:
    from octavo.tracing import Settings

_OWN_WEIGHT = 1000


class OwnIds(IdGenerator):
    """Ids that no `random.seed(0)` of the application repeats in its next run."""

    def generate_span_id(self) -> int:
        """64 bits, not all zero."""
        return randbits(64) or 1

    def generate_trace_id(self) -> int:
        """128 bits, not all zero."""
        return randbits(128) or 1

    def is_trace_id_random(self) -> bool:
        """Samplers may go by it."""
        return True


class OctavoSpanProcessor(SpanProcessor):
    """Tells every span, whoever makes it, what it shares with the spans around it, and queues it when it has ended.
    Ending or flushing it is left to `octavo`, so that a provider that shuts down waits for nobody."""

    def __init__(self, outbox: Outbox[ReadableSpan] | None, settings: Settings) -> None:
        self._outbox = outbox
        self._rate = settings.sample_rate
        told = {"deployment.environment.name": settings.config.environment, "octavo.release": settings.release}
        self._defaults = {name: text for name, text in told.items() if text}

    @quietly
    def _tell(self, span: Span, parent_context: Context | None) -> None:
        if (
            self._outbox is not None and self._outbox.closed
        ):  # another configuration is in force, with a processor of its own
            return
        own = span.attributes or {}
        shared = {**self._defaults, **shared_attributes(parent_context)}
        span.set_attributes({name: value for name, value in shared.items() if name not in own})

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Another instrumentation's own word on session or user stays."""
        self._tell(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Queues it, if its trace is one of the sample."""
        at = span.context
        if self._outbox is not None and at is not None and at.trace_flags.sampled and samples(at.trace_id, self._rate):
            self._outbox.put(span)

    def shutdown(self) -> None:
        """The queue outlives the provider until the process ends."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits until the server has all."""
        return self._outbox is None or self._outbox.flush(timeout_millis / 1000, patient=False)


def weight_of(span: ReadableSpan) -> int:
    """About how many characters a span holds."""
    texts = (value for value in (span.attributes or {}).values() if isinstance(value, str))
    return _OWN_WEIGHT + sum(map(len, texts))
