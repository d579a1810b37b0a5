"""Each call is counted once: usage that a step and the steps inside it both report, and calls that the client's
instrumentation and the gateway both recorded. Pure.

The rule: usage counts where it was used. A span's own usage and cost count when no span below it has any.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

SLACK_NS = 2_000_000_000
"""How far the clocks of a client and the gateway may be apart."""

_NEVER_NS = 2**63
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
    # In an order of their own, so that it does not matter in which they came.
    users = sorted((span for span in by_id.values() if span.has_usage), key=lambda one: (one.start_ns, one.span_id))
    inside: set[str] = set()
    duplicates: dict[str, Seen] = {}
    torn = _Torn(by_id)
    for span in users:
        at = span
        while (parent := by_id.get(at.parent_span_id)) is not None:
            if span.source == "gateway" and parent.source != "gateway" and parent.kind in ("llm", "embedding"):
                duplicates.setdefault(parent.span_id, span)
            if parent.span_id in inside or parent.span_id == span.span_id:
                break
            inside.add(parent.span_id)
            at = parent
    # Something between is missing or late: a step that lasted longer and reports usage is taken for the outer.
    if wrappers := [one for one in users if one.kind in _WRAPPERS]:
        inside.update(_lasting_longer(wrappers, [one for one in users if torn.holds(one)]))
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


def _lasting_longer(wrappers: Iterable[Seen], others: Sequence[Seen]) -> Iterator[str]:
    """Ids of the wrappers within whose time another span began and ended. `others` are in the order of their starts."""
    starts = [one.start_ns for one in others]
    # The first end of those from each place on.
    ends = [*accumulate((one.end_ns for one in reversed(others)), min)][::-1]
    ends.append(_NEVER_NS)
    for wrapper in wrappers:
        from_it = bisect_left(starts, wrapper.start_ns)
        after_it = bisect_right(starts, wrapper.start_ns, from_it)
        if ends[from_it] < wrapper.end_ns or ends[after_it] <= wrapper.end_ns:
            yield wrapper.span_id


class _Torn:
    """Which spans of a trace are below one that is not there."""

    def __init__(self, by_id: Mapping[str, Seen]) -> None:
        self._by_id = by_id
        self._known: dict[str, bool] = {}

    def holds(self, span: Seen) -> bool:
        path: list[str] = []
        at: Seen | None = span
        torn = False
        while at is not None and at.span_id not in self._known:
            self._known[at.span_id] = False  # until more is known: a circle of parents has an end
            path.append(at.span_id)
            above = at.parent_span_id
            at = self._by_id.get(above) if above else None
            torn = bool(above) and at is None
        if at is not None:
            torn = self._known[at.span_id]
        self._known.update(dict.fromkeys(path, torn))
        return torn


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
            client = min(found, key=lambda one: (_outside(one, call), abs(one.start_ns - call.start_ns)))
            joined.append(Joined(client, call, match))
            if not call.failed:
                free.discard(id(client))
    return joined


def _outside(client: Seen, call: Seen) -> int:
    """How far the gateway's record reaches out of the client's: of two equal calls, one after the other, each has its
    own."""
    return max(0, client.start_ns - call.start_ns) + max(0, call.end_ns - client.end_ns)


def _encloses(client: Seen, call: Seen) -> bool:
    return client.start_ns - SLACK_NS <= call.start_ns and call.end_ns <= client.end_ns + SLACK_NS
