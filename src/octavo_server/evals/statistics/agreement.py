"""How far two or more raters agree, and which way a judge leans."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from octavo_server.core.errors import Invalid
from octavo_server.evals.statistics.intervals import Cell, Interval, newcombe_paired, wilson, z_of
from octavo_server.evals.statistics.paired import binomial_test

Weights = Literal["none", "linear", "quadratic"]
Level = Literal["nominal", "interval"]


class Confusion(NamedTuple):
    """Counts[i, j]: first rater said labels[i], second said labels[j]."""

    labels: tuple[Hashable, ...]
    counts: NDArray[np.int64]


def confusion(first: Sequence[Hashable], second: Sequence[Hashable], *, labels: Sequence[Hashable] = ()) -> Confusion:
    """Count both raters' labels. Without `labels` (needed for an order) they stand in order of their texts."""
    if len(first) != len(second) or not first:
        raise Invalid(f"Got {len(first)} and {len(second)} labels; expected as many of each, and at least one.")
    names = tuple(labels) or tuple(sorted({*first, *second}, key=str))
    places = {name: place for place, name in enumerate(names)}
    strange = {*first, *second} - places.keys()
    if strange:
        raise Invalid(f"Got the label {next(iter(strange))!r}; expected one of {names!r}.")
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for a, b in zip(first, second, strict=True):
        counts[places[a], places[b]] += 1
    return Confusion(names, counts)


def kappa(table: NDArray[np.int64], *, weights: Weights = "none", confidence: float = 0.95) -> Interval:
    """Cohen's kappa (1960; weighted 1968) of a square table with the interval of Fleiss, Cohen & Everitt (1969). NaN
    when both raters always say the same one thing, which proves nothing."""
    p = _shares(table)
    agree = _agreement_weights(p.shape[0], weights)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float((agree * p).sum()), float((agree * np.outer(rows, columns)).sum())
    if expected >= 1:
        return Interval(math.nan, math.nan, math.nan)
    value = (observed - expected) / (1 - expected)
    row_weights, column_weights = agree @ columns, agree.T @ rows
    spread = float((p * (agree - (row_weights[:, None] + column_weights[None, :]) * (1 - value)) ** 2).sum())
    variance = (spread - (value - expected * (1 - value)) ** 2) / ((1 - expected) ** 2 * float(table.sum()))
    half = z_of(confidence) * math.sqrt(max(0.0, variance))
    return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def gwet_ac1(table: NDArray[np.int64], *, confidence: float = 0.95) -> Interval:
    """Gwet's AC1 (2008) of a square table, with its variance for two raters: like kappa, but it does not collapse when
    nearly all cases are of one kind. At least two labels."""
    p = _shares(table)
    q, n = p.shape[0], float(table.sum())
    if q < 2:
        raise Invalid("Got a table of one label; expected at least two.")
    shares = (p.sum(axis=1) + p.sum(axis=0)) / 2
    observed, expected = float(np.trace(p)), float((shares * (1 - shares)).sum()) / (q - 1)
    value = (observed - expected) / (1 - expected)
    pair = 1 - (shares[:, None] + shares[None, :]) / 2
    cross = float((np.diag(p) * (1 - shares)).sum()) / (q - 1) - observed * expected
    square = float((p * pair**2).sum()) / (q - 1) ** 2 - expected**2
    variance = observed * (1 - observed) - 4 * (1 - value) * cross + 4 * (1 - value) ** 2 * square
    half = z_of(confidence) * math.sqrt(max(0.0, variance / n)) / (1 - expected)
    return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def krippendorff_alpha(ratings: NDArray[np.float64], *, level: Level = "nominal") -> float:
    """Krippendorff's alpha (2004) of raters by cases; NaN is a rating not given. NaN when nothing varies or no case has
    two ratings."""
    grid = np.asarray(ratings, dtype=np.float64)
    if grid.ndim != 2:
        raise Invalid(f"Got an array of {grid.ndim} dimensions; expected raters by cases.")
    grid = grid[:, np.isfinite(grid).sum(axis=0) >= 2]
    values = np.unique(grid[np.isfinite(grid)])
    if values.size < 2:
        return math.nan
    counts = (grid[:, :, None] == values[None, None, :]).sum(axis=0).astype(np.float64)  # cases by values
    per_case = counts.sum(axis=1)
    pairs = np.einsum("ui,uj,u->ij", counts, counts, 1 / (per_case - 1)) - np.diag(
        (counts / (per_case - 1)[:, None]).sum(0)
    )
    totals = pairs.sum(axis=1)
    distance = (
        (values[:, None] != values[None, :]).astype(np.float64)
        if level == "nominal"
        else (values[:, None] - values[None, :]) ** 2
    )
    expected = float((np.outer(totals, totals) * distance).sum()) / (float(totals.sum()) - 1)
    return 1 - float((pairs * distance).sum()) / expected


class PositionBias(NamedTuple):
    """`consistent`: share of pairs judged alike in both orders. `first`: share of all judgements for what stood first;
    `p_value` tests it against one half over the pairs that changed with the order."""

    consistent: Interval
    first: float
    p_value: float


def position_bias(as_given: Sequence[str], swapped: Sequence[str], *, confidence: float = 0.95) -> PositionBias:
    """Judge each pair twice. Both lists say which *position* won: "first", "second" or "tie"."""
    if len(as_given) != len(swapped) or not as_given:
        raise Invalid(f"Got {len(as_given)} and {len(swapped)} judgements; expected as many, and at least one.")
    other = {"first": "second", "second": "first", "tie": "tie"}
    strange = {*as_given, *swapped} - other.keys()
    if strange:
        raise Invalid(f"Got the judgement {next(iter(strange))!r}; expected one of {', '.join(other)}.")
    pairs = list(zip(as_given, swapped, strict=True))
    same = sum(other[a] == b for a, b in pairs)
    decided = [one for one in (*as_given, *swapped) if one != "tie"]
    stuck_first, stuck_second = pairs.count(("first", "first")), pairs.count(("second", "second"))
    return PositionBias(
        consistent=wilson(same, len(pairs), confidence=confidence),
        first=decided.count("first") / len(decided) if decided else math.nan,
        p_value=binomial_test(stuck_first, stuck_first + stuck_second),
    )


def verbosity_bias(judge_longer: Sequence[bool], human_longer: Sequence[bool], *, confidence: float = 0.95) -> Interval:
    """How much more often the judge prefers the longer of two answers than people do, over the same pairs."""
    if len(judge_longer) != len(human_longer) or not judge_longer:
        raise Invalid(f"Got {len(judge_longer)} and {len(human_longer)} pairs; expected as many, and at least one.")
    a, b = np.asarray(judge_longer, dtype=bool), np.asarray(human_longer, dtype=bool)
    cells = Cell(int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum()))
    return newcombe_paired(cells, confidence=confidence)


def _shares(table: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.sum() <= 0 or (counts < 0).any():
        raise Invalid(f"Got a table of shape {counts.shape!r}; expected a square one of counts, not all 0.")
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _agreement_weights(size: int, weights: Weights) -> NDArray[np.float64]:
    if weights == "none" or size == 1:
        return np.eye(size)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / (size - 1)
    return np.asarray(1 - (apart if weights == "linear" else apart**2), dtype=np.float64)
