"""Octavo: what an application imports (tracing, client SDK and CLI).

    import octavo

    @octavo.observe
    def answer(question: str) -> str: ...

Importing this costs nothing; a name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octavo.client import AsyncOctavo, Octavo
    from octavo.decorating import observe
    from octavo.errors import APIError, OctavoError
    from octavo.observing import Span, current_span, span
    from octavo.scoring import score, score_current_span, score_current_trace
    from octavo.tracing import configure, current_span_id, current_trace_id, flush, trace_context, trace_url

__all__ = [
    "APIError",
    "AsyncOctavo",
    "Octavo",
    "OctavoError",
    "Span",
    "configure",
    "current_span",
    "current_span_id",
    "current_trace_id",
    "flush",
    "observe",
    "score",
    "score_current_span",
    "score_current_trace",
    "span",
    "trace_context",
    "trace_url",
]

_HOMES = {
    "APIError": "octavo.errors",
    "AsyncOctavo": "octavo.client",
    "Octavo": "octavo.client",
    "OctavoError": "octavo.errors",
    "Span": "octavo.observing",
    "configure": "octavo.tracing",
    "current_span": "octavo.observing",
    "current_span_id": "octavo.tracing",
    "current_trace_id": "octavo.tracing",
    "flush": "octavo.tracing",
    "observe": "octavo.decorating",
    "score": "octavo.scoring",
    "score_current_span": "octavo.scoring",
    "score_current_trace": "octavo.scoring",
    "span": "octavo.observing",
    "trace_context": "octavo.tracing",
    "trace_url": "octavo.tracing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'octavo' has no attribute {name!r}")
    from importlib import import_module  # an application that never asks a server need not load an HTTP client

    return getattr(import_module(_HOMES[name]), name)
