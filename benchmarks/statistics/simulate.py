"""Coverage, false alarms and detection, each against the nominal figure."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from octavo_server.evals.statistics import correction, gates, intervals, paired, sequential
from octavo_server.evals.statistics.intervals import Cell, Interval

Draw = Callable[[np.random.Generator], tuple[Interval, float]]


def coverage(name: str, draw: Draw, runs: int, nominal: float = 0.95) -> None:
    """How often the interval holds the truth."""
    rng = np.random.default_rng(1)
    held = sum(found.low <= truth <= found.high for found, truth in (draw(rng) for _ in range(runs)))
    print(f"coverage    {name:58} {held / runs:7.4f}  nominal {nominal}, {runs} runs")


def wilson(rng: np.random.Generator) -> tuple[Interval, float]:
    p = rng.uniform(0.05, 0.95)
    return intervals.wilson(int(rng.binomial(120, p)), 120), p


def exact(rng: np.random.Generator) -> tuple[Interval, float]:
    p = rng.uniform(0.05, 0.95)
    return intervals.clopper_pearson(int(rng.binomial(120, p)), 120), p


def newcombe(rng: np.random.Generator) -> tuple[Interval, float]:
    p, q = rng.uniform(0.1, 0.9, 2)
    return intervals.newcombe((int(rng.binomial(150, p)), 150), (int(rng.binomial(120, q)), 120)), p - q


def newcombe_paired(rng: np.random.Generator) -> tuple[Interval, float]:
    cells = rng.dirichlet([4, 1, 1, 2])
    return intervals.newcombe_paired(Cell(*map(int, rng.multinomial(150, cells)))), float(cells[1] - cells[2])


def clustered(rng: np.random.Generator) -> tuple[Interval, float]:
    rates = rng.beta(2, 1, 60)
    return intervals.clustered_mean(
        (rng.random((60, 5)) < rates[:, None]).ravel(), np.repeat(range(60), 5).tolist()
    ), 2 / 3


def bca(rng: np.random.Generator) -> tuple[Interval, float]:
    return paired.bootstrap_mean(rng.beta(2, 5, 80), resamples=1_500, seed=int(rng.integers(1 << 30))), 2 / 7


def powered(rng: np.random.Generator) -> tuple[Interval, float]:
    truth = rng.random(1_150) < 0.7
    judged = np.where(rng.random(1_150) < 0.88, truth, ~truth)
    return correction.prediction_powered_mean(truth[:150], judged[:150], judged[150:]), 0.7


def corrected(rng: np.random.Generator) -> tuple[Interval, float]:
    p, se, sp = rng.uniform(0.1, 0.9), rng.uniform(0.75, 0.97), rng.uniform(0.75, 0.97)
    errors = correction.JudgeErrors(
        hits=int(rng.binomial(100, se)), positives=100, rejections=int(rng.binomial(80, sp)), negatives=80
    )
    return correction.rogan_gladen(int(rng.binomial(400, p * se + (1 - p) * (1 - sp))), 400, errors), p


def gate(name: str, first: list[float], margin: float, verdict: str, runs: int = 20_000) -> None:
    """How often a gate of 200 yes/no cases gives a verdict; cells are both, candidate alone, baseline alone, neither."""
    rng = np.random.default_rng(2)
    found = 0
    for cells in rng.multinomial(200, first, size=runs):
        candidate = np.repeat([1.0, 1.0, 0.0, 0.0], cells)
        baseline = np.repeat([1.0, 0.0, 1.0, 0.0], cells)
        found += gates.not_worse(baseline.tolist(), candidate.tolist(), margin=margin).verdict == verdict
    print(f"gate        {name:58} {found / runs:7.4f}  {verdict}, {runs} runs")


def rollouts(name: str, good: float, canary_good: float, share: float, users: int, runs: int = 2_000) -> None:
    """Alarms of `sequential.difference` with a look after every user, and how many users until then."""
    rng, alpha, step = np.random.default_rng(3), 0.05, 250
    crossed = np.full(runs, users + 1)
    for start in range(0, runs, step):
        canary = rng.random((step, users)) < share
        ok = rng.random((step, users)) < np.where(canary, canary_good, good)
        pooled = ok.cumsum(1) / np.arange(1, users + 1)
        evidence = np.zeros((step, users))
        for arm in (canary, ~canary):
            n, s = arm.cumsum(1), (arm & ok).cumsum(1)
            evidence += betaln(s + 1, n - s + 1) - xlogy(s, pooled) - xlog1py(n - s, -pooled)
        hit = evidence >= math.log(1 / alpha)
        crossed[start : start + step] = np.where(hit.any(1), hit.argmax(1) + 1, users + 1)
    seen = crossed[crossed <= users]
    median = f", median {int(np.median(crossed))} users until then" if seen.size > runs / 2 else ""
    print(f"rollout     {name:58} {seen.size / runs:7.4f}  alarms, {runs} runs of {users} users{median}")


def latencies(name: str, factor: float, runs: int = 2_000, users: int = 3_000) -> None:
    """Alarms of `sequential.mean_difference` on log latency, half the users to each arm, a look after every pair."""
    rng, alpha, best_at = np.random.default_rng(4), 0.05, 2_000
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / best_at
    crossed = np.full(runs, users + 1)
    n = np.arange(1, users // 2 + 1)
    for run in range(runs):
        a = rng.normal(math.log(factor), 0.8, n.size) + rng.exponential(0.3, n.size)
        b = rng.normal(0, 0.8, n.size) + rng.exponential(0.3, n.size)
        mean_a, mean_b = a.cumsum() / n, b.cumsum() / n
        var = sum(((x**2).cumsum() / n - m**2) / np.maximum(1, n - 1) for x, m in ((a, mean_a), (b, mean_b)))
        half = np.sqrt(var * 2 * (2 * n * rho2 + 1) / (2 * n * rho2) * np.log(np.sqrt(2 * n * rho2 + 1) / alpha))
        hit = (np.abs(mean_a - mean_b) > half) & (n >= sequential.BURN_IN)
        if hit.any():
            crossed[run] = 2 * (int(hit.argmax()) + 1)
    seen = crossed[crossed <= users]
    median = f", median {int(np.median(crossed))} users until then" if seen.size > runs / 2 else ""
    print(f"rollout     {name:58} {seen.size / runs:7.4f}  alarms, {runs} runs of {users} users{median}")


def bounded(runs: int = 2_000, values: int = 500) -> None:
    """How often the sequence of a bounded mean ever loses the mean."""
    rng, lost = np.random.default_rng(5), 0
    for _ in range(runs):
        sequence = sequential.BoundedMean(alpha=0.05)
        for value in rng.beta(3, 1, values).tolist():
            sequence.add(value)
            interval = sequence.interval()
            if not interval.low <= 0.75 <= interval.high:
                lost += 1
                break
    print(
        f"sequence    {'bounded mean, beta(3,1): truth ever lost':58} {lost / runs:7.4f}  alpha 0.05, {runs} runs of {values}"
    )


if __name__ == "__main__":
    for name, draw, runs in (
        ("Wilson, n=120", wilson, 20_000),
        ("Clopper-Pearson, n=120 (never below nominal)", exact, 20_000),
        ("Newcombe, 150 and 120", newcombe, 20_000),
        ("Newcombe paired, n=150", newcombe_paired, 20_000),
        ("clustered mean, 60 cases x 5 repeats", clustered, 5_000),
        ("BCa bootstrap of a mean, n=80", bca, 2_000),
        ("prediction-powered mean, 150 labels + 1000", powered, 10_000),
        ("Rogan-Gladen by Lang & Reiczigel", corrected, 20_000),
    ):
        coverage(name, draw, runs)
    gate("worse by exactly the margin .05: false pass", [0.75, 0.05, 0.10, 0.10], 0.05, "pass")
    gate("as good: false fail", [0.80, 0.05, 0.05, 0.10], 0.0, "fail")
    gate("as good, margin .05: passes", [0.80, 0.05, 0.05, 0.10], 0.05, "pass")
    rollouts("A/A, 10 % canary, success .95", 0.95, 0.95, 0.1, 2_000)
    rollouts("A/A, 50 %, success .7", 0.7, 0.7, 0.5, 2_000)
    rollouts("success .95 -> .85, 10 % canary", 0.95, 0.85, 0.1, 4_000)
    rollouts("success .95 -> .85, 50 %", 0.95, 0.85, 0.5, 4_000)
    bounded()
    latencies("A/A latency", 1.0)
    latencies("latency + 25 %", 1.25)
