"""The gate's three-valued decision over paired scores. What is missing never passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo_server.core.errors import Invalid
from octavo_server.evals.model import Verdict
from octavo_server.evals.statistics.intervals import Cell, Interval, mean_interval, newcombe_paired, wilson
from octavo_server.evals.statistics.sequential import BoundedMean, check_alpha

FEW = 20
"""Below so many differing cases Student's interval is not to be trusted (it has no width when nothing differs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict with what it rests on. `interval` is None when there was nothing to compare."""

    verdict: Verdict
    interval: Interval | None
    cases: int
    missing: int
    reason: str


def not_worse(
    baseline: Sequence[float | bool | None],
    candidate: Sequence[float | bool | None],
    *,
    margin: float,
    alpha: float = 0.05,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Decision:
    """Whether the candidate is not worse than the baseline by more than `margin`, case by case; higher is better.

    Passes when the lower bound of the difference is above -margin at a one-sided risk of `alpha`, fails when the upper
    bound is below it, else undecided. Both risks are at most `alpha`. A case without a finite score on either side
    (None, NaN) is missing, and with one missing nothing passes. Scores outside of `bounds` are refused."""
    check_alpha(alpha)
    if len(baseline) != len(candidate):
        raise Invalid(f"Got {len(baseline)} and {len(candidate)} scores; expected the same cases on both sides.")
    if not margin >= 0:
        raise Invalid(f"Got margin {margin!r}; expected a number from 0.")
    first, second = _floats(candidate), _floats(baseline)
    present = np.isfinite(first) & np.isfinite(second)
    missing = int((~present).sum())
    first, second = first[present], second[present]
    if first.size == 0:
        return Decision(
            verdict=Verdict.UNDECIDED, interval=None, cases=0, missing=missing, reason="No case was scored."
        )
    if min(first.min(), second.min()) < bounds[0] or max(first.max(), second.max()) > bounds[1]:
        raise Invalid(f"Got a score outside of {bounds!r}; say within which bounds the scores are.")
    interval = difference(first, second, confidence=1 - 2 * alpha, bounds=bounds)
    return _decide(interval, -margin, missing, int(first.size), f"difference to the baseline, {-margin:+g} allowed")


def at_least(passed: Sequence[bool | None], *, limit: float, alpha: float = 0.05) -> Decision:
    """Whether the share of passing cases is at least `limit`, by Wilson's bounds at a one-sided risk of `alpha`.
    None is a case that was not judged; with one, nothing passes."""
    check_alpha(alpha)
    judged = [one for one in passed if one is not None]
    missing = len(passed) - len(judged)
    if not judged:
        return Decision(
            verdict=Verdict.UNDECIDED, interval=None, cases=0, missing=missing, reason="No case was scored."
        )
    interval = wilson(sum(judged), len(judged), confidence=1 - 2 * alpha)
    return _decide(interval, limit, missing, len(judged), f"pass rate, {limit:g} wanted")


def no_regression(baseline: Sequence[bool | None], candidate: Sequence[bool | None]) -> Decision:
    """Whether no case that passes in the approved baseline fails now. Cases that the baseline did not pass are free;
    one that it passed and that was not judged now leaves the gate undecided."""
    if len(baseline) != len(candidate):
        raise Invalid(f"Got {len(baseline)} and {len(candidate)} scores; expected the same cases on both sides.")
    approved = [now for before, now in zip(baseline, candidate, strict=True) if before]
    lost, missing = sum(now is False for now in approved), sum(now is None for now in approved)
    if lost:
        verdict, reason = Verdict.FAIL, f"{lost} of {len(approved)} approved cases no longer pass."
    elif missing or not approved:
        verdict, reason = Verdict.UNDECIDED, f"{missing} of {len(approved)} approved cases were not judged."
    else:
        verdict, reason = Verdict.PASS, f"All {len(approved)} approved cases still pass."
    return Decision(verdict=verdict, interval=None, cases=len(approved), missing=missing, reason=reason)


def difference(
    first: NDArray[np.float64], second: NDArray[np.float64], *, confidence: float, bounds: tuple[float, float] = (0, 1)
) -> Interval:
    """Interval of the mean of first - second over the same cases. Yes/no scores: Newcombe's paired interval. Others:
    Student's, or, while fewer than `FEW` cases differ, an empirical Bernstein bound that needs no normality."""
    if np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all():
        a, b = first == 1, second == 1
        cells = Cell(int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))
        return newcombe_paired(cells, confidence=confidence)
    d = first - second
    if int((d != 0).sum()) >= FEW:
        return mean_interval(d, confidence=confidence)
    span = bounds[1] - bounds[0]
    sequence = BoundedMean(alpha=1 - confidence, low=-span, high=span)
    sequence.extend(np.clip(d, -span, span).tolist())
    return sequence.interval()


def _decide(interval: Interval, limit: float, missing: int, cases: int, about: str) -> Decision:
    told = f"{interval.estimate:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}] over {cases} cases: {about}."
    if interval.high < limit:
        verdict = Verdict.FAIL
    elif missing:
        verdict, told = Verdict.UNDECIDED, f"{missing} cases have no score. {told}"
    else:
        verdict = Verdict.PASS if interval.low > limit else Verdict.UNDECIDED
    return Decision(verdict=verdict, interval=interval, cases=cases, missing=missing, reason=told)


def _floats(values: Sequence[float | bool | None]) -> NDArray[np.float64]:
    return np.array([math.nan if one is None else float(one) for one in values], dtype=np.float64)
