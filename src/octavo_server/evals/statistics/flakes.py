"""Cases that pass now and fail then: how often to repeat them, and when to set them aside."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from octavo_server.core.errors import Invalid
from octavo_server.evals.statistics.intervals import Interval, check_counts, wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How often one case passed under one unchanged release and evaluator."""

    passes: int
    runs: int

    def __post_init__(self) -> None:
        if self.runs or self.passes:
            check_counts(self.passes, self.runs)

    @property
    def rate(self) -> float:
        """Posterior mean of the pass rate under Jeffreys' prior: never 0 or 1 on thin evidence."""
        return (self.passes + 0.5) / (self.runs + 1)

    def interval(self, *, confidence: float = 0.95) -> Interval:
        return wilson(self.passes, self.runs, confidence=confidence) if self.runs else Interval(0.5, 0.0, 1.0)

    @property
    def is_flaky(self) -> bool:
        """Whether it has both passed and failed, nothing else having changed."""
        return 0 < self.passes < self.runs


def majority_error(rate: float, repeats: int) -> float:
    """Chance that the majority of an odd number of repeats goes against what the case does more often."""
    if repeats < 1 or repeats % 2 == 0:
        raise Invalid(f"Got {repeats!r} repeats; expected an odd number, so that there is a majority.")
    usual = max(rate, 1 - rate)
    return float(special.bdtr(repeats // 2, repeats, usual))


def repeats_needed(history: History, *, risk: float = 0.05, most: int = 25) -> int | None:
    """The least odd number of repeats whose majority is wrong at most at `risk`, going by the case's history. None:
    more than `most` would be needed, so set it aside (visibly). A case that never flickered needs one."""
    if not history.is_flaky:
        return 1
    return next((n for n in range(1, most + 1, 2) if majority_error(history.rate, n) <= risk), None)


def share_of_noise(rates: list[float]) -> float:
    """What share of a run's variance comes from flicker: the mean of p(1-p) over the variance of one outcome drawn from
    all cases. NaN for no case or when nothing varies."""
    if not rates:
        return math.nan
    mean = sum(rates) / len(rates)
    total = mean * (1 - mean)
    return sum(p * (1 - p) for p in rates) / len(rates) / total if total else math.nan
