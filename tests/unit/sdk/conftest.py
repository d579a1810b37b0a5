"""Spans as an application's own exporter gets them, with Octavo's server nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import octavo


class Spans:
    """What has ended so far."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def all(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def one(self, name: str = "") -> Any:
        (found,) = [span for span in self.all() if not name or span.name == name]
        return found

    def said(self, attribute: str, name: str = "") -> Any:
        """An attribute, read as JSON where it is JSON."""
        value = self.one(name).attributes.get(attribute)
        try:
            return json.loads(value)
        except (TypeError, ValueError):
            return value


@pytest.fixture
def spans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    for name in ("URL", "API_KEY", "PROJECT", "ENVIRONMENT", "TRACING", "SAMPLE_RATE", "RELEASE"):
        monkeypatch.delenv(f"OCTAVO_{name}", raising=False)
    monkeypatch.setenv("OCTAVO_CONFIG", str(tmp_path / "none.json"))
    found = Spans()
    octavo.configure(
        url="http://127.0.0.1:9",
        tracer_provider=found.provider,
        enabled=True,
        mask=None,
        sample_rate=1.0,
        max_characters=200_000,
    )
    yield found
    octavo.configure(tracer_provider=None, enabled=False)
