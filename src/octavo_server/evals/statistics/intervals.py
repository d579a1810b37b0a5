"""Intervals of proportions, of their differences, and of means, clusters included."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from octavo_server.core.errors import Invalid


class Interval(NamedTuple):
    """An estimate between two bounds."""

    estimate: float
    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


class Cell(NamedTuple):
    """Paired yes/no outcomes of two systems over the same cases, counted."""

    both: int
    only_first: int
    only_second: int
    neither: int


def numbers(values: ArrayLike) -> NDArray[np.float64]:
    """A one-dimensional array of finite numbers; `Invalid` otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise Invalid(f"Got an array of {array.ndim} dimensions; expected a list of numbers.")
    if not np.isfinite(array).all():
        raise Invalid("Got NaN or infinity; leave out what was not measured, and count it as missing.")
    return array


def z_of(confidence: float) -> float:
    """The standard normal quantile of a two-sided confidence."""
    if not 0 < confidence < 1:
        raise Invalid(f"Got confidence {confidence!r}; expected a fraction between 0 and 1.")
    return float(special.ndtri((1 + confidence) / 2))


def check_counts(successes: int, trials: int) -> None:
    """`Invalid` unless 0 <= successes <= trials and there was a trial."""
    if not 0 <= successes <= trials or trials < 1:
        raise Invalid(
            f"Got {successes!r} of {trials!r}; expected at least one trial, and no more successes than trials."
        )


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Interval of a proportion (Wilson 1927). Coverage is near nominal on average, and it never leaves [0, 1]."""
    check_counts(successes, trials)
    z = z_of(confidence)
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(p, low, high)


def clopper_pearson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson 1934). Coverage is never below nominal."""
    check_counts(successes, trials)
    z_of(confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(special.betaincinv(successes + 1, trials - successes, 1 - tail))
    return Interval(successes / trials, low, high)


def newcombe(first: tuple[int, int], second: tuple[int, int], *, confidence: float = 0.95) -> Interval:
    """Interval of p1 - p2 for two independent samples, each `(successes, trials)` (Newcombe 1998, method 10)."""
    a, b = wilson(*first, confidence=confidence), wilson(*second, confidence=confidence)
    d = a.estimate - b.estimate
    low = d - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = d + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(d, low, high)


def newcombe_paired(cells: Cell, *, confidence: float = 0.95) -> Interval:
    """Interval of p1 - p2 for two systems over the same cases (Newcombe 1998, Stat. Med. 17:2635, method 10)."""
    n = sum(cells)
    first = wilson(cells.both + cells.only_first, n, confidence=confidence)
    second = wilson(cells.both + cells.only_second, n, confidence=confidence)
    phi = _phi(cells)
    d = (cells.only_first - cells.only_second) / n
    below = (first.estimate - first.low, second.high - second.estimate)
    above = (first.high - first.estimate, second.estimate - second.low)
    low = d - math.sqrt(max(0.0, below[0] ** 2 - 2 * phi * below[0] * below[1] + below[1] ** 2))
    high = d + math.sqrt(max(0.0, above[0] ** 2 - 2 * phi * above[0] * above[1] + above[1] ** 2))
    return Interval(d, max(-1.0, low), min(1.0, high))


def _phi(cells: Cell) -> float:
    """The correlation of the two outcomes, corrected for continuity where it is positive."""
    a, b, c, d = cells
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    cross = a * d - b * c
    if cross > 0:
        cross = max(0.0, cross - sum(cells) / 2)  # type: ignore[assignment]
    return cross / math.sqrt(margins)


def mean_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Student's interval of a mean; at least two values. Zero width when all values are alike: see `paired.difference`
    for what a gate may rely on."""
    x = numbers(values)
    z_of(confidence)
    if x.size < 2:
        raise Invalid(f"Got {x.size} values; a mean's interval needs at least two.")
    mean = float(x.mean())
    half = float(special.stdtrit(x.size - 1, (1 + confidence) / 2)) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return Interval(mean, mean - half, mean + half)


def case_means(values: ArrayLike, cases: Sequence[Hashable]) -> NDArray[np.float64]:
    """One mean a case, in order of first appearance. Repeats of a case are no independent evidence, so that every test
    here takes cases, not repeats, as its rows (cluster-level summary analysis, Donner & Klar 2000)."""
    x = numbers(values)
    if len(cases) != x.size:
        raise Invalid(f"Got {x.size} values and {len(cases)} cases; expected one case a value.")
    places: dict[Hashable, int] = {}
    index = np.array([places.setdefault(case, len(places)) for case in cases], dtype=np.intp)
    if x.size == 0:
        return x
    return np.asarray(np.bincount(index, weights=x) / np.bincount(index), dtype=np.float64)


def clustered_mean(values: ArrayLike, cases: Sequence[Hashable], *, confidence: float = 0.95) -> Interval:
    """Interval of the mean over all repeats, its error robust to likeness within a case (Liang & Zeger 1986, with the
    factor G/(G-1) and Student's quantile of G-1 degrees of freedom); at least two cases."""
    x = numbers(values)
    if len(cases) != x.size:
        raise Invalid(f"Got {x.size} values and {len(cases)} cases; expected one case a value.")
    names = {case: place for place, case in enumerate(dict.fromkeys(cases))}
    groups = len(names)
    if groups < 2:
        raise Invalid(f"Got {groups} cases; a clustered interval needs at least two.")
    mean = float(x.mean())
    sums = np.bincount(np.array([names[case] for case in cases]), weights=x - mean)
    error = math.sqrt(float((sums**2).sum()) * groups / (groups - 1)) / x.size
    half = float(special.stdtrit(groups - 1, (1 + confidence) / 2)) * error
    return Interval(mean, mean - half, mean + half)
