"""What differs between two traces: their spans set side by side by where they stand in the tree. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

FIELDS = ("status", "error_class", "model", "total_tokens", "cost_nano", "duration_ms")
_NOTICED = 0.2
"""Durations that differ by less than this part of the longer are the same."""
_NOTICED_MS = 1.0

Row = Mapping[str, Any]


class Pair(NamedTuple):
    """A span of the left trace and the one in its place in the right, and the fields in which they differ."""

    change: str  # same | changed | added | removed
    left: Row | None
    right: Row | None
    fields: tuple[str, ...]


def differences(left: Sequence[Row], right: Sequence[Row]) -> list[Pair]:
    """All spans of both, in the order of the right one with those that only the left one has at their end. Two spans
    stand in the same place when kind, name and place among equals are the same, and so for all spans around them."""
    ours, theirs = _placed(left), _placed(right)
    pairs = [_pair(ours.get(place), row) for place, row in theirs.items()]
    return pairs + [_pair(row, None) for place, row in ours.items() if place not in theirs]


def _pair(left: Row | None, right: Row | None) -> Pair:
    if left is None or right is None:
        return Pair("removed" if right is None else "added", left, right, ())
    fields = tuple(name for name in FIELDS if _differs(name, left[name], right[name]))
    return Pair("changed" if fields else "same", left, right, fields)


def _differs(name: str, left: Any, right: Any) -> bool:
    if name != "duration_ms":
        return bool(left != right)
    return bool(abs(left - right) > max(_NOTICED * max(left, right), _NOTICED_MS))


def _placed(rows: Sequence[Row]) -> dict[tuple[Any, ...], Row]:
    by_id = {row["span_id"]: row for row in rows}
    places: dict[str, tuple[Any, ...]] = {}
    numbers: Counter[tuple[Any, ...]] = Counter()
    placed: dict[tuple[Any, ...], Row] = {}
    for row in by_id.values():
        branch: list[Row] = []
        seen: set[str] = set()
        at: Row | None = row
        while at is not None and at["span_id"] not in places and at["span_id"] not in seen:
            branch.append(at)
            seen.add(at["span_id"])
            at = by_id.get(at["parent_span_id"])
        above = places.get(at["span_id"], ()) if at is not None else ()
        for one in reversed(branch):
            # A hash, not the path itself: a trace may be thousands of levels deep.
            kind = (hash(above), one["kind"], one["name"])
            above = (*kind, numbers[kind])
            numbers[kind] += 1
            places[one["span_id"]] = above
            placed[above] = one
    return placed
