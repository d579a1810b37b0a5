"""Each call is counted once: usage that a step and the steps inside it both report, and calls that the client's
instrumentation and the gateway both recorded. Pure.

The rule: usage counts where it was used. A span's own usage and cost count when no span below it has any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

SLACK_NS = 2_000_000_000
"""How far the clocks of a client and the gateway may be apart."""

_WRAPPERS = frozenset({"agent", "chain", "span"})


class Seen(msgspec.Struct, gc=False):
    """What has to be known of a span to count it."""

    trace_id: str
    span_id: str
    parent_span_id: str
    kind: str
    source: str
    start_ns: int
    end_ns: int
    has_usage: bool
    failed: bool
    counted: bool
    duplicate_of: str
    match: str
    call_digest: int
    response_id: str
    content_hash: int = 0  # of the stored row; 0 for a span that is new


class Joined(NamedTuple):
    """One call as its client's instrumentation and the gateway recorded it, and how that is known."""

    client: Seen
    gateway: Seen
    match: str


def count_once(spans: Iterable[Seen]) -> list[Seen]:
    """Corrects `counted` and the link to the gateway's record on the spans of one trace; returns those it changed."""
    by_id = {span.span_id: span for span in spans}
    inside: set[str] = set()
    duplicates: dict[str, Seen] = {}
    wrappers: list[Seen] | None = None
    for span in by_id.values():
        if not span.has_usage:
            continue
        at = span
        while True:
            parent = by_id.get(at.parent_span_id) if at.parent_span_id else None
            if parent is None:
                break
            if span.source == "gateway" and parent.source != "gateway" and parent.kind in ("llm", "embedding"):
                duplicates.setdefault(parent.span_id, span)
            if parent.span_id in inside or parent.span_id == span.span_id:
                break
            inside.add(parent.span_id)
            at = parent
        if at.parent_span_id and at.parent_span_id not in by_id:
            # Something between is missing or late: a step that lasted longer and reports usage is taken for the outer.
            if wrappers is None:
                wrappers = [one for one in by_id.values() if one.has_usage and one.kind in _WRAPPERS]
            inside.update(
                one.span_id
                for one in wrappers
                if one is not span and one.start_ns <= span.start_ns and span.end_ns <= one.end_ns
            )
    changed = []
    for span in by_id.values():
        counted = span.span_id not in inside
        record = duplicates.get(span.span_id)
        duplicate_of = span.duplicate_of or (record.span_id if record else "")
        if counted != span.counted or duplicate_of != span.duplicate_of:
            span.counted, span.duplicate_of = counted, duplicate_of
            if record and not span.match:
                span.match = record.match or "traceparent"
            changed.append(span)
    return changed


def join_calls(clients: Sequence[Seen], gateway: Sequence[Seen]) -> list[Joined]:
    """Pairs the records of the gateway, each a trace of its own, with the client's spans of the same calls: by the
    provider's response id, else by equal messages, the gateway's record lying within the client's."""
    calls = {one.span_id for one in gateway}
    free = {id(one) for one in clients if not one.duplicate_of or one.duplicate_of in calls}
    by_call = {one.duplicate_of: one for one in clients if one.duplicate_of in calls}
    by_response: dict[str, list[Seen]] = {}
    by_digest: dict[int, list[Seen]] = {}
    for one in clients:
        if one.response_id:
            by_response.setdefault(one.response_id, []).append(one)
        if one.call_digest:
            by_digest.setdefault(one.call_digest, []).append(one)
    joined = []
    for call in sorted(gateway, key=lambda one: (one.failed, one.start_ns)):
        if (known := by_call.get(call.span_id)) is not None:
            joined.append(Joined(known, call, known.match))
            free.discard(id(known))
            continue
        match = "response_id"
        found = [one for one in by_response.get(call.response_id, ()) if id(one) in free] if call.response_id else []
        if not found:
            match = "fingerprint"
            around = [one for one in by_digest.get(call.call_digest, ()) if _encloses(one, call)]
            # A call that failed may be the first try of one that has been joined.
            found = [one for one in around if id(one) in free] or (around if call.failed else [])
        if found:
            client = min(found, key=lambda one: abs(one.start_ns - call.start_ns))
            joined.append(Joined(client, call, match))
            if not call.failed:
                free.discard(id(client))
    return joined


def _encloses(client: Seen, call: Seen) -> bool:
    return client.start_ns - SLACK_NS <= call.start_ns and call.end_ns <= client.end_ns + SLACK_NS
