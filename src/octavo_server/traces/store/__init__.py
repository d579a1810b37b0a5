"""Spans in the telemetry store: the tables, what writes them (`SpanWriter`, in the worker) and what reads them
(`SpanStore`). Everything read is bound to one project."""

from octavo_server.traces.store.reading import DIMENSIONS, MEASURES, Scope, SpanStore
from octavo_server.traces.store.rows import Draft, draft_of
from octavo_server.traces.store.schema import MIGRATIONS
from octavo_server.traces.store.writing import SpanWriter

__all__ = ["DIMENSIONS", "MEASURES", "MIGRATIONS", "Draft", "Scope", "SpanStore", "SpanWriter", "draft_of"]
