"""Which step owns the latency of a trace: its critical path. Pure.

Walks back from the end of a trace: the step that ended last is waited for, before it the one whose end it waited for, and
so on; what no step inside another accounts for is the outer one's own. The method is CRISP's (Zhang et al., "CRISP: Critical
Path Analysis of Large-Scale Microservice Architectures", USENIX ATC 2022), with steps that outlast their parent cut at its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

_SLACK_NS = 1_000_000
"""How far steps may overlap and still be taken to follow each other: clocks differ."""


class Step(NamedTuple):
    """A span as the critical path sees it. Times are nanoseconds."""

    span_id: str
    parent_span_id: str
    start_ns: int
    end_ns: int


def critical_path(steps: Sequence[Step]) -> dict[str, int]:
    """How long each step by itself kept the trace waiting, in nanoseconds, in the order in which the path meets them;
    steps that are not on it are left out. The sum is the time from the first start to the last end, but for times in
    which no step ran."""
    by_id = {step.span_id: step for step in steps}
    children: dict[str, list[Step]] = defaultdict(list)
    roots: list[Step] = []
    for step in by_id.values():
        if step.parent_span_id in by_id and step.parent_span_id != step.span_id:
            children[step.parent_span_id].append(step)
        else:
            roots.append(step)
    if not roots:
        return {}
    own: dict[str, int] = defaultdict(int)
    entered: dict[str, int] = {}
    windows = _chain(roots, min(one.start_ns for one in roots), max(one.end_ns for one in roots))[1]
    while windows:
        step, low, high = windows.pop()
        entered[step.span_id] = min(low, entered.get(step.span_id, low))
        alone, inner = _chain(children.get(step.span_id, ()), low, high)
        own[step.span_id] += alone
        windows.extend(inner)
    return {span_id: own[span_id] for span_id in sorted(entered, key=lambda one: entered[one]) if own[span_id]}


def _chain(steps: Sequence[Step], low: int, high: int) -> tuple[int, list[tuple[Step, int, int]]]:
    """The steps that were waited for from `high` back to `low`, each with the time it was, and the time between."""
    alone, at = 0, high
    chain: list[tuple[Step, int, int]] = []
    for step in sorted(steps, key=lambda one: (-min(one.end_ns, high), one.start_ns, one.span_id)):
        if step.end_ns > at + _SLACK_NS and at != high:
            continue  # ran beside the one that was waited for
        start, end = max(step.start_ns, low), min(step.end_ns, at)
        if start >= end:
            continue
        alone += at - end
        chain.append((step, start, end))
        at = start
        if at <= low:
            break
    return alone + at - low, chain
