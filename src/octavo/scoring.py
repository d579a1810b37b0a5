"""Scores of traces and spans, sent in the background."""

from __future__ import annotations

from typing import Any, Literal
from uuid import uuid4

from octavo.quietly import quietly, say_once
from octavo.serialising import plain_of
from octavo.tracing import TRACING, current_span_id, current_trace_id, samples

ScoreValue = bool | int | float | str
DataType = Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT"]


@quietly
def score(
    name: str,
    value: ScoreValue,
    *,
    trace_id: str | None = None,
    span_id: str | None = None,
    session_id: str | None = None,
    comment: str | None = None,
    data_type: DataType | None = None,
    config_id: str | None = None,
    metadata: Any = None,
    id: str | None = None,
) -> str | None:
    """Scores a trace, one span of it, or a session; the current trace if none is named. Returns the score's id at once:
    the same id again replaces it. None when nothing is sent: tracing is off, or there is nothing to score."""
    if trace_id is None and session_id is None:
        trace_id = current_trace_id()
    running = TRACING.running()
    if running.scores is None:
        return None
    if not trace_id and not session_id:
        say_once("score", "Octavo has nothing to score with %r: no span is current; give a trace_id", name)
        return None
    if trace_id and not _is_sent(trace_id, running.settings.sample_rate):
        return None
    told = {
        "id": id or uuid4().hex,
        "name": name,
        "value": plain_of(value),
        "trace_id": trace_id,
        "span_id": span_id,
        "session_id": session_id,
        "comment": comment,
        "data_type": data_type,
        "config_id": config_id,
        "metadata": plain_of(metadata),
        "environment": running.settings.config.environment or None,
    }
    score = {key: given for key, given in told.items() if given is not None}
    return str(score["id"]) if running.scores.put(score) else None


def score_current_span(name: str, value: ScoreValue, **more: Any) -> str | None:
    """Scores the current span."""
    return score(name, value, trace_id=current_trace_id() or "", span_id=current_span_id(), **more)


def score_current_trace(name: str, value: ScoreValue, **more: Any) -> str | None:
    """Scores the current trace."""
    return score(name, value, trace_id=current_trace_id() or "", **more)


def _is_sent(trace_id: str, rate: float) -> bool:
    """A trace that is no OpenTelemetry id is another's, and not ours to leave out."""
    try:
        return samples(int(trace_id, 16), rate)
    except ValueError:
        return True
