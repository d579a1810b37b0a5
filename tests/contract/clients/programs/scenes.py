"""What the programs share: where the stage is, and when a scene begins and ends. Runs in each client's own environment,
so it imports nothing but the standard library and, when asked for a provider, the OpenTelemetry SDK."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STAGE = os.environ["STAGE_URL"]
OPENAI = f"{STAGE}/v1"
MODEL, EMBEDDER, CLAUDE, GEMINI = "gpt-4.1-mini", "text-embedding-3-small", "claude-sonnet-4-5", "gemini-2.5-flash"
SYSTEM = "You tell the weather."
QUESTION = "What is the weather in Rome?"
CHAT = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
DOCUMENTS = ["Rome lies on the Tiber.", "Paris lies on the Seine.", "Vienna lies on the Danube."]
SESSION, USER = "session-7", "user-ada"

Flush = Callable[[], Any]


def provider(*, logs: bool = False) -> Flush:
    """OpenTelemetry's SDK as its documentation sets it up; returns what sends what is left."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "weather-bot", "deployment.environment.name": "staging"})
    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracing)
    if not logs:
        return tracing.force_flush

    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    logging = LoggerProvider(resource=resource)
    logging.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    set_logger_provider(logging)
    return lambda: (tracing.force_flush(), logging.force_flush())


class Play:
    """Plays scenes: what is exported in one belongs to it."""

    def __init__(self, flush: Flush) -> None:
        self._flush = flush

    @contextmanager
    def scene(self, name: str, *, fails: bool = False) -> Iterator[None]:
        _tell(name)
        try:
            yield
            failed = None
        except Exception as error:  # noqa: BLE001
            failed = error
        self._flush()
        _tell("between")
        if (failed is not None) != fails:
            raise SystemExit(f"scene {name}: {failed!r}") from failed


def _tell(name: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{STAGE}/scene/{name}", data=b"", method="POST")).read()


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: The city's name.
    """
    return f"Sunny, 21 degrees, in {city}."
