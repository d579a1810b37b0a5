"""Several metrics, one decision: p-values corrected for how many there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from octavo_server.core.errors import Invalid
from octavo_server.evals.statistics.intervals import numbers


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values that bound the chance of any false alarm (Holm 1979), in the given order."""
    p, order = _sorted(p_values)
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _in_order(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values that bound the share of false alarms (Benjamini & Hochberg 1995), in the given order."""
    p, order = _sorted(p_values)
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _in_order(np.minimum(stepped, 1.0), order)


def _sorted(p_values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    p = numbers(p_values)
    if ((p < 0) | (p > 1)).any():
        raise Invalid("Got a p-value outside of [0, 1].")
    return p, np.argsort(p, kind="stable")


def _in_order(values: NDArray[np.float64], order: NDArray[np.intp]) -> NDArray[np.float64]:
    found = np.empty_like(values)
    found[order] = values
    return found
