"""Tests of two systems over the same cases. Rows are cases; average repeats first with `intervals.case_means`.

Differences are first minus second. p-values are two-sided unless `alternative` says otherwise."""

from __future__ import annotations

import math
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from octavo_server.core.errors import Invalid
from octavo_server.evals.statistics.intervals import Interval, numbers, z_of

Alternative = Literal["two-sided", "less", "greater"]


def binomial_test(successes: int, trials: int, *, p: float = 0.5, alternative: Alternative = "two-sided") -> float:
    """Exact test that the chance of success is `p`; 1.0 when there was no trial."""
    if trials == 0:
        return 1.0
    return float(stats.binomtest(successes, trials, p, alternative=alternative).pvalue)


def mcnemar(only_first: int, only_second: int, *, alternative: Alternative = "two-sided") -> float:
    """Exact McNemar test (1947) of the cases on which just one of the two succeeded. 1.0 when there is none."""
    if min(only_first, only_second) < 0:
        raise Invalid(f"Got counts {only_first!r} and {only_second!r}; expected none below 0.")
    return binomial_test(only_first, only_first + only_second, alternative=alternative)


def sign_test(differences: ArrayLike, *, alternative: Alternative = "two-sided") -> float:
    """Exact sign test (Arbuthnot 1710); ties are left out."""
    d = numbers(differences)
    return mcnemar(int((d > 0).sum()), int((d < 0).sum()), alternative=alternative)


def wilcoxon(differences: ArrayLike, *, alternative: Alternative = "two-sided") -> float:
    """Signed-rank test (Wilcoxon 1945) by scipy, zeros left out; 1.0 when nothing differs."""
    d = numbers(differences)
    d = d[d != 0]
    if d.size == 0:
        return 1.0
    return float(stats.wilcoxon(d, alternative=alternative).pvalue)


def permutation_test(
    differences: ArrayLike, *, alternative: Alternative = "two-sided", resamples: int = 9_999, seed: int = 0
) -> float:
    """Test of the mean difference by sign flips (Fisher 1935): all of them up to 12 differing cases, else drawn ones
    with the observed one counted, so that p is never below 1/(resamples+1) (Phipson & Smyth 2010)."""
    d = numbers(differences)
    d = d[d != 0]
    if d.size == 0:
        return 1.0
    observed = float(d.sum())
    if d.size <= 12:
        sums = np.array(list(product((1.0, -1.0), repeat=d.size))) @ d
        extra = 0
    else:
        sums, extra = _flipped_sums(d, resamples, seed), 1
    slack = 1e-9 * float(np.abs(d).sum())
    above = float((sums >= observed - slack).sum() + extra) / (sums.size + extra)
    below = float((sums <= observed + slack).sum() + extra) / (sums.size + extra)
    by_side = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}
    return float(by_side[alternative])


def _flipped_sums(d: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    rows = max(1, 2_000_000 // d.size)
    parts = [
        (1.0 - 2.0 * rng.integers(0, 2, size=(min(rows, resamples - start), d.size))) @ d
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(parts)


def bootstrap_mean(values: ArrayLike, *, confidence: float = 0.95, resamples: int = 5_000, seed: int = 0) -> Interval:
    """BCa bootstrap interval of a mean (Efron 1987); give differences for a paired comparison. At least two values;
    zero width when all are alike."""
    x = numbers(values)
    z_of(confidence)
    n = x.size
    if n < 2:
        raise Invalid(f"Got {n} values; a bootstrap needs at least two.")
    mean = float(x.mean())
    if float(np.ptp(x)) == 0:
        return Interval(mean, mean, mean)
    rng = np.random.default_rng(seed)
    rows = max(1, 2_000_000 // n)
    means = np.concatenate(
        [
            x[rng.integers(0, n, size=(min(rows, resamples - start), n))].mean(axis=1)
            for start in range(0, resamples, rows)
        ]
    )
    below = float((means < mean).sum() + 0.5 * (means == mean).sum()) / resamples
    bias = float(special.ndtri(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples)))
    left = mean - (x.sum() - x) / (n - 1)  # the jackknife's deviations
    acceleration = float((left**3).sum()) / (6 * float((left**2).sum()) ** 1.5)
    tails = special.ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    levels = special.ndtr(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    low, high = np.quantile(means, levels)
    return Interval(mean, float(low), float(high))


def cohens_h(first: float, second: float) -> float:
    """Effect size of two proportions (Cohen 1988): 0.2 small, 0.5 medium, 0.8 large."""
    return 2 * math.asin(math.sqrt(first)) - 2 * math.asin(math.sqrt(second))


def cohens_dz(differences: ArrayLike) -> float:
    """Effect size of paired differences: their mean over their standard deviation (Cohen 1988). 0 when none differs;
    infinite when all differ alike."""
    d = numbers(differences)
    if d.size < 2:
        raise Invalid(f"Got {d.size} differences; an effect size needs at least two.")
    mean, deviation = float(d.mean()), float(d.std(ddof=1))
    if deviation == 0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / deviation


def cliffs_delta(first: ArrayLike, second: ArrayLike) -> float:
    """How much more often a value of `first` is above one of `second` than below (Cliff 1993), in [-1, 1]."""
    a, b = numbers(first), np.sort(numbers(second))
    if not a.size or not b.size:
        raise Invalid("Got an empty sample; expected at least one value on each side.")
    above = np.searchsorted(b, a, side="left").sum()
    below = (b.size - np.searchsorted(b, a, side="right")).sum()
    return float(above - below) / (a.size * b.size)
