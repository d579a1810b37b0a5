"""Confidence sequences: intervals that hold at all times at once, so that one may look after every observation.

At any time, however often one looks and whatever makes one stop, the chance that a sequence has *ever* left out the
truth is at most `alpha`. State is a few sums; every call takes constant time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scipy import special

from octavo_server.core.errors import Invalid
from octavo_server.evals.model import Change
from octavo_server.evals.statistics.intervals import Interval, check_counts


def _log_evidence(successes: int, trials: int, p: float) -> float:
    """log of the beta-binomial mixture martingale against the chance `p`, uniform mixture (Robbins 1970; Howard et al.
    2021, prop. 7). Its expectation is 1 at the true chance, at every time."""
    failures = trials - successes
    if (p <= 0 and successes) or (p >= 1 and failures):
        return math.inf
    likelihood = float(special.xlogy(successes, p) + special.xlog1py(failures, -p))
    return float(special.betaln(successes + 1, failures + 1)) - likelihood


def proportion(successes: int, trials: int, *, alpha: float = 0.05) -> Interval:
    """Confidence sequence of a chance from counts, by Ville's inequality on the mixture; exact, not asymptotic."""
    check_alpha(alpha)
    if trials == 0:
        return Interval(0.5, 0.0, 1.0)
    check_counts(successes, trials)
    p, limit = successes / trials, math.log(1 / alpha)

    def holds(q: float) -> bool:
        return _log_evidence(successes, trials, q) < limit

    return Interval(p, _edge(holds, p, 0.0), _edge(holds, p, 1.0))


def difference(first: tuple[int, int], second: tuple[int, int], *, alpha: float = 0.05) -> Interval:
    """Confidence sequence of p1 - p2 for two arms of live traffic, each `(successes, trials)`.

    The product of both arms' mixtures is a martingale at the true pair of chances in whatever order users arrive, and
    a difference is kept while some pair with that difference is not refuted."""
    check_alpha(alpha)
    for successes, trials in (first, second):
        if trials:
            check_counts(successes, trials)
    if not (first[1] and second[1]):
        return Interval(0.0, -1.0, 1.0)
    d, limit = first[0] / first[1] - second[0] / second[1], math.log(1 / alpha)

    def holds(delta: float) -> bool:
        return least_evidence(first, second, delta=delta) < limit

    return Interval(d, _edge(holds, d, -1.0), _edge(holds, d, 1.0))


def least_evidence(first: tuple[int, int], second: tuple[int, int], *, delta: float = 0.0) -> float:
    """The log evidence against p1 - p2 = delta: the least over all pairs, which is convex along them."""
    if delta == 0:
        pooled = (first[0] + second[0]) / max(1, first[1] + second[1])
        return _log_evidence(*first, pooled) + _log_evidence(*second, pooled)
    low, high = max(0.0, -delta), min(1.0, 1.0 - delta)
    return _least(lambda q: _log_evidence(*first, min(1.0, q + delta)) + _log_evidence(*second, q), low, high)


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """The minimum of a convex function, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = function(a), function(b)
    for _ in range(60):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = function(b)
    return min(at_a, at_b)


def _edge(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where what holds inside ends on the way to outside; rounded outwards."""
    if holds(outside):
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return outside


@dataclass(slots=True)
class BoundedMean:
    """Confidence sequence of the mean of values in [low, high], with no assumption on their distribution: the
    predictable plug-in empirical Bernstein of Waudby-Smith & Ramdas (2024, JRSS B, theorem 2)."""

    alpha: float = 0.05
    low: float = 0.0
    high: float = 1.0
    n: int = 0
    _sum: float = 0.0
    _squares: float = 0.25
    _variance: float = 0.25
    _mean: float = 0.5
    _weights: float = 0.0
    _weighted: float = 0.0
    _penalty: float = 0.0
    _bounds: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        if not self.low < self.high:
            raise Invalid(f"Got the range {self.low!r} to {self.high!r}; expected the lower end first.")

    def add(self, value: float) -> None:
        """Take one more value; `Invalid` when it is outside of the range or NaN."""
        if not self.low <= value <= self.high:
            raise Invalid(f"Got {value!r}; expected a value from {self.low!r} to {self.high!r}.")
        x = (value - self.low) / (self.high - self.low)
        self.n += 1
        wanted = math.sqrt(2 * math.log(2 / self.alpha) / (self._variance * self.n * math.log(1 + self.n)))
        weight = min(wanted, 0.5)
        self._weights += weight
        self._weighted += weight * x
        self._penalty += (x - self._mean) ** 2 * (-math.log1p(-weight) - weight)
        self._sum += x
        self._mean = (0.5 + self._sum) / (self.n + 1)
        self._squares += (x - self._mean) ** 2
        self._variance = self._squares / (self.n + 1)
        centre = self._weighted / self._weights
        half = (math.log(2 / self.alpha) + self._penalty) / self._weights
        # Sets that hold at all times may be intersected; kept sane when the truth drifts and they no longer meet.
        self._bounds = (max(self._bounds[0], centre - half), min(self._bounds[1], centre + half))

    def extend(self, values: Iterable[float]) -> None:
        """Take several values in order."""
        for value in values:
            self.add(value)

    def interval(self) -> Interval:
        """Where the mean is. The whole range before the first value, and when the values drifted so far that no single
        mean explains them all."""
        span = self.high - self.low
        estimate = self.low + span * (self._sum / self.n if self.n else 0.5)
        low, high = self._bounds if self._bounds[0] <= self._bounds[1] else (0.0, 1.0)
        return Interval(estimate, self.low + span * low, self.low + span * high)


@dataclass(slots=True)
class Moments:
    """Count, mean and sum of squared deviations of a stream (Welford 1962)."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Take one more value; `Invalid` when it is no finite number."""
        if not math.isfinite(value):
            raise Invalid(f"Got {value!r}; expected a finite number.")
        self.n += 1
        step = value - self.mean
        self.mean += step / self.n
        self.squares += step * (value - self.mean)

    @property
    def variance(self) -> float:
        return self.squares / (self.n - 1) if self.n > 1 else 0.0


BURN_IN = 100
"""Values an arm needs before a sequence that rests on the central limit theorem says anything."""


def mean_difference(
    first: Moments, second: Moments, *, alpha: float = 0.05, best_at: int = 2_000, burn_in: int = BURN_IN
) -> Interval:
    """Asymptotic confidence sequence of a difference of means, for unbounded values such as log latency or log cost:
    a normal mixture (Robbins 1970; Waudby-Smith et al. 2024, Ann. Stat.; the dual of Johari et al.'s mixture SPRT).

    `best_at`: the number of observations, both arms together, at which it is to be tightest. Says nothing (an
    infinite interval) before each arm has `burn_in` values."""
    check_alpha(alpha)
    d = first.mean - second.mean
    if min(first.n, second.n) < max(2, burn_in):
        return Interval(d, -math.inf, math.inf)
    t = first.n + second.n
    variance = first.variance / first.n + second.variance / second.n
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / best_at
    half = math.sqrt(variance * 2 * (t * rho2 + 1) / (t * rho2) * math.log(math.sqrt(t * rho2 + 1) / alpha))
    return Interval(d, d - half, d + half)


def judge(interval: Interval, *, margin: float, higher_is_better: bool = True) -> Change:
    """What an interval of candidate minus baseline says, in the units of `margin`, which is from 0.

    Not worse by more than the margin goes before worse: a loss that is certain but tolerated."""
    if not margin >= 0:
        raise Invalid(f"Got margin {margin!r}; expected a number from 0.")
    low, high = (interval.low, interval.high) if higher_is_better else (-interval.high, -interval.low)
    if low > 0:
        return Change.BETTER
    if low > -margin:
        return Change.NOT_WORSE
    return Change.WORSE if high < 0 else Change.UNDECIDED


def check_alpha(alpha: float) -> None:
    """`Invalid` unless alpha is a risk between 0 and 1."""
    if not 0 < alpha < 1:
        raise Invalid(f"Got alpha {alpha!r}; expected a fraction between 0 and 1.")
