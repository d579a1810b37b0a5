"""What a judge's mean score is worth: corrected for its known errors, and the certificate that lets it gate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from numpy.typing import ArrayLike

from octavo_server.core.errors import Invalid
from octavo_server.evals.statistics.intervals import Interval, check_counts, numbers, z_of


def prediction_powered_mean(
    truth: ArrayLike, judged: ArrayLike, unlabelled: ArrayLike, *, confidence: float = 0.95
) -> Interval:
    """Mean of the true scores from a few labelled cases (`truth` and the judge's score of the same, `judged`) and many
    judged ones without a label (Angelopoulos et al. 2023; the weight of the judge tuned as in PPI++, 2024). A judge that
    is worth nothing costs nothing: the interval is then the labelled cases' own. At least two of each."""
    y, f, g = numbers(truth), numbers(judged), numbers(unlabelled)
    if y.size != f.size:
        raise Invalid(f"Got {y.size} labels and {f.size} judgements of them; expected one each.")
    if min(y.size, g.size) < 2:
        raise Invalid(f"Got {y.size} labelled and {g.size} unlabelled cases; expected at least two of each.")
    n, m = y.size, g.size
    pooled = float(((f - f.mean()) ** 2).sum() + ((g - g.mean()) ** 2).sum()) / (n + m - 2)
    covariance = float(((y - y.mean()) * (f - f.mean())).sum()) / (n - 1)
    weight = min(1.0, max(0.0, covariance / ((1 + n / m) * pooled))) if pooled else 0.0
    rest = y - weight * f
    estimate = float(rest.mean()) + weight * float(g.mean())
    half = z_of(confidence) * math.sqrt(float(rest.var(ddof=1)) / n + weight**2 * float(g.var(ddof=1)) / m)
    return Interval(estimate, estimate - half, estimate + half)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeErrors:
    """A yes/no judge against people: of `positives` truly passing cases it passed `hits`, of `negatives` failing ones
    it failed `rejections`."""

    hits: int
    positives: int
    rejections: int
    negatives: int


def rogan_gladen(passed: int, judged: int, errors: JudgeErrors, *, confidence: float = 0.95) -> Interval:
    """True pass rate from the judge's (Rogan & Gladen 1978), with the interval of Lang & Reiczigel (2014), which counts
    that sensitivity and specificity were estimated, too. `Invalid` when the judge is no better than chance."""
    check_counts(passed, judged)
    check_counts(errors.hits, errors.positives)
    check_counts(errors.rejections, errors.negatives)
    z = z_of(confidence)
    raw = errors.hits / errors.positives + errors.rejections / errors.negatives - 1
    n, n_se, n_sp = judged + z * z, errors.positives + 2, errors.negatives + 2
    p, se, sp = (passed + z * z / 2) / n, (errors.hits + 1) / n_se, (errors.rejections + 1) / n_sp
    youden = se + sp - 1
    if raw <= 0 or youden <= 0:
        raise Invalid("The judge is no better than chance on the labelled cases; its pass rate cannot be corrected.")
    estimate = (passed / judged + errors.rejections / errors.negatives - 1) / raw
    centre = (p + sp - 1) / youden
    of_se, of_sp = se * (1 - se) / n_se, sp * (1 - sp) / n_sp
    shift = 2 * z * z * (centre * of_se - (1 - centre) * of_sp)
    half = z * math.sqrt(p * (1 - p) / n + centre**2 * of_se + (1 - centre) ** 2 * of_sp) / youden
    low, high = centre + shift - half, centre + shift + half
    return Interval(min(1.0, max(0.0, estimate)), min(1.0, max(0.0, low)), min(1.0, max(0.0, high)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Leave for one judge to gate, until it expires or its digest changes."""

    judge_digest: str
    agreement: Interval
    cases: int
    limit: float
    issued_at: datetime
    expires_at: datetime

    def allows(self, judge_digest: str, at: datetime) -> bool:
        """Whether this very judge may gate now. An agreement of NaN allows nothing."""
        in_time = self.issued_at <= at < self.expires_at
        return in_time and judge_digest == self.judge_digest and self.agreement.low > self.limit
