"""What to expect before spending: how many cases a question needs, and what a number of cases can tell."""

from __future__ import annotations

import math

from scipy import special

from octavo_server.core.errors import Invalid
from octavo_server.evals.statistics.sequential import check_alpha


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    check_alpha(alpha)
    if not 0 < power < 1:
        raise Invalid(f"Got power {power!r}; expected a fraction between 0 and 1.")
    return float(special.ndtri(1 - alpha / 2)), float(special.ndtri(power))


def cases_unpaired(first: float, second: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Cases *each* arm needs to tell two proportions apart, two-sided (Fleiss, Levin & Paik 2003, without continuity)."""
    if first == second or not (0 <= first <= 1 and 0 <= second <= 1):
        raise Invalid(f"Got proportions {first!r} and {second!r}; expected two different ones between 0 and 1.")
    za, zb = _quantiles(alpha, power)
    mean = (first + second) / 2
    spread = za * math.sqrt(2 * mean * (1 - mean)) + zb * math.sqrt(first * (1 - first) + second * (1 - second))
    return math.ceil((spread / (first - second)) ** 2)


def cases_paired(effect: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Cases a paired yes/no comparison needs (Connor 1987): `effect` is p1 - p2, `discordant` the share of cases on
    which the two differ, at least |effect|."""
    if not 0 < abs(effect) <= discordant <= 1:
        raise Invalid(f"Got effect {effect!r} and discordant {discordant!r}; expected 0 < |effect| <= discordant <= 1.")
    za, zb = _quantiles(alpha, power)
    spread = za * math.sqrt(discordant) + zb * math.sqrt(max(0.0, discordant - effect**2))
    return math.ceil((spread / effect) ** 2)


def cases_mean(effect: float, deviation: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Cases a paired comparison of means needs; `deviation` is that of the differences. At least 2."""
    if not (effect and deviation > 0):
        raise Invalid(f"Got effect {effect!r} and deviation {deviation!r}; expected an effect and a deviation above 0.")
    return max(2, math.ceil((sum(_quantiles(alpha, power)) * deviation / effect) ** 2))


def cases_not_worse(margin: float, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Cases a gate `not_worse` needs to pass a candidate that is as good as its baseline, one-sided (Nam 1997, with the
    variance of no difference)."""
    if not (margin > 0 and 0 < discordant <= 1):
        raise Invalid(f"Got margin {margin!r} and discordant {discordant!r}; expected both above 0, at most 1.")
    za, zb = _quantiles(2 * alpha, power)
    return math.ceil(((za + zb) / margin) ** 2 * discordant)


def detectable_paired(cases: int, discordant: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The least |p1 - p2| that so many cases detect; NaN when not even all of `discordant` would do."""
    if cases < 1 or not 0 < discordant <= 1:
        raise Invalid(f"Got {cases!r} cases, {discordant!r} discordant; expected at least 1, and a share above 0.")
    if cases_paired(discordant, discordant, alpha=alpha, power=power) > cases:
        return math.nan
    low, high = 0.0, discordant
    for _ in range(60):
        middle = (low + high) / 2
        if cases_paired(middle, discordant, alpha=alpha, power=power) <= cases:
            high = middle
        else:
            low = middle
    return high


def detectable_unpaired(cases: int, base: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The least drop from the proportion `base` that so many cases an arm detect; NaN when not even a drop to 0."""
    if cases < 1 or not 0 < base <= 1:
        raise Invalid(f"Got {cases!r} cases and proportion {base!r}; expected at least 1, and a proportion above 0.")
    if cases_unpaired(base, 0.0, alpha=alpha, power=power) > cases:
        return math.nan
    low, high = 0.0, base
    for _ in range(60):
        middle = (low + high) / 2
        if middle and cases_unpaired(base, base - middle, alpha=alpha, power=power) <= cases:
            high = middle
        else:
            low = middle
    return high


def design_effect(repeats: int, correlation: float) -> float:
    """By what the repeats' number must be divided to get independent ones (Kish 1965): 1 + (repeats - 1) * correlation
    within a case."""
    return 1 + (repeats - 1) * correlation
