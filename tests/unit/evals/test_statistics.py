"""The statistics equal the libraries that the field trusts on random tables; what those do not have is simulated."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import contingency_tables, inter_rater, multitest, proportion

from octavo_server.core.errors import Invalid
from octavo_server.evals.model import Change, Verdict
from octavo_server.evals.statistics import (
    agreement,
    correction,
    flakes,
    gates,
    intervals,
    multiplicity,
    paired,
    power,
    sequential,
    split,
)
from octavo_server.evals.statistics.intervals import Cell, Interval

few = settings(max_examples=30, deadline=None)

counts = st.tuples(st.integers(0, 400), st.integers(1, 400)).map(lambda p: (min(p), max(p)))
p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@few
@given(counts, st.floats(0.5, 0.999))
def test_proportions_equal_statsmodels(count: tuple[int, int], confidence: float) -> None:
    for ours, method in ((intervals.wilson, "wilson"), (intervals.clopper_pearson, "beta")):
        found = ours(*count, confidence=confidence)
        wanted = proportion.proportion_confint(*count, alpha=1 - confidence, method=method)
        assert (found.low, found.high) == pytest.approx(wanted, abs=1e-9)


@few
@given(counts, counts)
def test_newcombe_equals_statsmodels(first: tuple[int, int], second: tuple[int, int]) -> None:
    found = intervals.newcombe(first, second)
    wanted = proportion.confint_proportions_2indep(*first, *second, method="newcomb", compare="diff")
    assert (found.low, found.high) == pytest.approx(wanted, abs=1e-9)


def test_newcombe_paired_equals_the_papers_examples() -> None:
    """Newcombe 1998, Stat. Med. 17:2635, table IV, method 10: 36/12/2/0 of 50 and 53/0/1/0 of 54."""
    assert intervals.newcombe_paired(Cell(36, 12, 2, 0))[1:] == pytest.approx((0.0569, 0.3404), abs=2e-4)
    assert intervals.newcombe_paired(Cell(53, 0, 1, 0))[1:] == pytest.approx((-0.0977, 0.0500), abs=2e-3)


@few
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=40))
def test_a_clustered_mean_with_one_value_a_case_is_students(values: list[float]) -> None:
    found = intervals.clustered_mean(values, list(range(len(values))))
    assert found == pytest.approx(intervals.mean_interval(values), abs=1e-9)


def test_repeats_are_no_evidence() -> None:
    once = [0.0, 1.0, 1.0, 0.0, 1.0]
    cases = [case for case in range(5) for _ in range(100)]
    many = [value for value in once for _ in range(100)]

    assert intervals.case_means(many, cases).tolist() == once
    assert intervals.clustered_mean(many, cases).width == pytest.approx(
        intervals.clustered_mean(once, [*range(5)]).width
    )


@few
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_statsmodels(b: int, c: int) -> None:
    wanted = contingency_tables.mcnemar([[3, b], [c, 5]], exact=True).pvalue
    assert paired.mcnemar(b, c) == pytest.approx(min(1.0, float(wanted)) if b + c else 1.0, abs=1e-9)


differences = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=11)


@few
@given(differences)
def test_signed_tests_equal_scipy(values: list[float]) -> None:
    d = np.array(values)
    if (d != 0).any():
        assert paired.wilcoxon(d) == pytest.approx(float(stats.wilcoxon(d[d != 0]).pvalue))
        signs = stats.binomtest(int((d > 0).sum()), int((d != 0).sum())).pvalue
        assert paired.sign_test(d) == pytest.approx(float(signs))
    else:
        assert paired.wilcoxon(d) == paired.sign_test(d) == paired.permutation_test(d) == 1.0


@few
@given(differences)
def test_permutation_equals_scipy(values: list[float]) -> None:
    d = np.array(values)
    if (d != 0).sum() < 2:
        return
    wanted = stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True)
    assert paired.permutation_test(d) == pytest.approx(float(wanted.pvalue), abs=1e-9)


def test_permutation_of_many_agrees_with_the_t_test() -> None:
    d = np.random.default_rng(1).normal(0.2, 1, 200)
    assert paired.permutation_test(d) == pytest.approx(float(stats.ttest_1samp(d, 0).pvalue), abs=0.005)


def test_bootstrap_equals_scipy() -> None:
    x = np.random.default_rng(2).exponential(1, 60)
    wanted = stats.bootstrap((x,), np.mean, method="BCa", n_resamples=20_000, rng=3).confidence_interval
    found = paired.bootstrap_mean(x, resamples=20_000)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.02)


@few
@given(p_lists)
def test_multiplicity_equals_statsmodels(p_values: list[float]) -> None:
    for ours, method in ((multiplicity.holm, "holm"), (multiplicity.benjamini_hochberg, "fdr_bh")):
        assert ours(p_values) == pytest.approx(multitest.multipletests(p_values, method=method)[1], abs=1e-12)


tables = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 40), min_size=k, max_size=k), min_size=k, max_size=k)
)


@few
@given(tables)
def test_kappa_equals_statsmodels(rows: list[list[int]]) -> None:
    table = np.array(rows)
    if min(table.sum(0).max(), table.sum(1).max()) == table.sum():
        return
    for ours, theirs in (("none", None), ("linear", "linear"), ("quadratic", "quadratic")):
        found = agreement.kappa(table, weights=ours)  # type: ignore[arg-type]
        # Where all agree, statsmodels takes roots of variances that rounding leaves below zero, and warns.
        with np.errstate(invalid="ignore", divide="ignore"):
            wanted = inter_rater.cohens_kappa(table, wt=theirs)
        assert found.estimate == pytest.approx(wanted.kappa, abs=1e-9)
        if np.isfinite(wanted.kappa_low):
            assert found.low == pytest.approx(max(-1, wanted.kappa_low), abs=1e-6)
            assert found.high == pytest.approx(min(1, wanted.kappa_upp), abs=1e-6)


def test_agreement_beyond_kappa_equals_the_papers() -> None:
    """Gwet (2008, table 2-like): 118 agree yes, 2 agree no, 5 and 0 apart of 125. Krippendorff (2011): .743, .849."""
    assert agreement.gwet_ac1(np.array([[118, 5], [2, 0]])).estimate == pytest.approx(0.9408, abs=1e-4)
    nan = math.nan
    ratings = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )
    assert agreement.krippendorff_alpha(ratings) == pytest.approx(0.743, abs=5e-4)
    assert agreement.krippendorff_alpha(ratings, level="interval") == pytest.approx(0.849, abs=5e-4)


def test_a_judge_that_always_takes_the_first_is_seen() -> None:
    found = agreement.position_bias(["first"] * 20, ["first"] * 20)
    assert (found.consistent.estimate, found.first) == (0.0, 1.0)
    assert found.p_value < 1e-5
    fair = agreement.position_bias(["first", "second"] * 10, ["second", "first"] * 10)
    assert (fair.consistent.estimate, fair.first, fair.p_value) == (1.0, 0.5, 1.0)


def test_a_judge_that_loves_long_answers_is_seen() -> None:
    assert agreement.verbosity_bias([True] * 40, [True, False] * 20).low > 0.3


def test_confusion_counts_in_the_given_order() -> None:
    found = agreement.confusion(["good", "bad", "good"], ["good", "good", "bad"], labels=["bad", "good"])
    assert found.counts.tolist() == [[0, 1], [1, 1]]
    with pytest.raises(Invalid, match="'ugly'"):
        agreement.confusion(["ugly"], ["good"], labels=["bad", "good"])


@pytest.mark.parametrize("bad", [None, math.nan])
def test_what_is_missing_never_passes(bad: float | None) -> None:
    good = [1.0] * 200
    passed = gates.not_worse(good, good, margin=0.05)
    assert passed.verdict is Verdict.PASS

    held = gates.not_worse(good, [*good[:-1], bad], margin=0.05)
    assert (held.verdict, held.missing) == (Verdict.UNDECIDED, 1)
    assert gates.not_worse(good, [bad] * 200, margin=0.05).verdict is Verdict.UNDECIDED
    assert gates.not_worse(good, [bad, *[0.0] * 199], margin=0.05).verdict is Verdict.FAIL
    assert gates.at_least([True] * 200 + [None], limit=0.5).verdict is Verdict.UNDECIDED
    assert gates.no_regression([True, False], [None, True]).verdict is Verdict.UNDECIDED
    assert gates.no_regression([True, False], [True, False]).verdict is Verdict.PASS
    assert gates.no_regression([True, True], [False, None]).verdict is Verdict.FAIL


def test_three_alike_scores_prove_nothing() -> None:
    """Student's interval would have no width."""
    assert gates.not_worse([0.5] * 3, [0.5] * 3, margin=0.05).verdict is Verdict.UNDECIDED
    assert gates.not_worse([0.7] * 3, [0.2] * 3, margin=0.05).verdict is Verdict.UNDECIDED


def test_scores_out_of_bounds_and_unequal_sides_are_refused() -> None:
    with pytest.raises(Invalid, match="bounds"):
        gates.not_worse([1.0], [5.0], margin=0.1)
    with pytest.raises(Invalid, match="same cases"):
        gates.not_worse([1.0], [], margin=0.1)


def test_a_gates_false_pass_rate_is_at_most_nominal() -> None:
    """The candidate is worse by exactly the margin: 2,000 gates of 150 yes/no cases pass at most at alpha."""
    rng = np.random.default_rng(4)
    cells = rng.multinomial(150, [0.70, 0.05, 0.15, 0.10], size=2_000)  # candidate .75, baseline .85
    passed = sum(intervals.newcombe_paired(Cell(*map(int, row)), confidence=0.90).low > -0.10 for row in cells)
    assert passed / 2_000 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 2_000)


def test_power_is_what_simulation_says() -> None:
    rng = np.random.default_rng(5)
    n = power.cases_unpaired(0.8, 0.7)
    a, b = rng.binomial(n, 0.8, 4_000), rng.binomial(n, 0.7, 4_000)
    pooled = (a + b) / (2 * n)
    z = (a - b) / n / np.sqrt(2 * pooled * (1 - pooled) / n)
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.03)

    n = power.cases_paired(0.1, 0.3)
    cells = rng.multinomial(n, [0.2, 0.1, 0.7], size=4_000)
    z = (cells[:, 0] - cells[:, 1]) / np.sqrt(cells[:, 0] + cells[:, 1])
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.03)


@few
@given(st.integers(50, 5_000), st.floats(0.05, 1.0))
def test_what_is_detectable_and_what_is_needed_agree(cases: int, discordant: float) -> None:
    effect = power.detectable_paired(cases, discordant)
    if not math.isnan(effect):
        assert power.cases_paired(effect, discordant) <= cases


def test_repeats_shrink_by_their_likeness() -> None:
    assert (power.design_effect(5, 0.0), power.design_effect(5, 1.0)) == (1.0, 5.0)
    assert power.cases_not_worse(0.05, 0.2) == math.ceil((1.6449 + 0.8416) ** 2 * 0.2 / 0.0025)
    assert power.detectable_unpaired(power.cases_unpaired(0.9, 0.8), 0.9) == pytest.approx(0.1, abs=0.001)


@few
@given(counts, counts, st.floats(0.001, 0.3))
def test_sequences_contain_what_was_seen(first: tuple[int, int], second: tuple[int, int], alpha: float) -> None:
    one = sequential.proportion(*first, alpha=alpha)
    both = sequential.difference(first, second, alpha=alpha)
    assert one.low <= one.estimate <= one.high
    assert both.low - 1e-12 <= both.estimate <= both.high + 1e-12
    narrower = sequential.proportion(first[0] * 10, first[1] * 10, alpha=alpha)
    assert narrower.width <= one.width + 1e-9


def test_looking_after_every_user_raises_no_false_alarm() -> None:
    """2,000 A/A rollouts of 500 users, 20 % to the canary, a look after each: the two arms' evidence against no
    difference crosses at most at alpha. Vectorised here; `difference` refutes 0 exactly when `least_evidence` does."""
    rng, runs, users, alpha = np.random.default_rng(6), 2_000, 500, 0.05
    from scipy.special import betaln, xlog1py, xlogy

    canary = rng.random((runs, users)) < 0.2
    good = rng.random((runs, users)) < 0.9
    evidence = np.zeros((runs, users))
    pooled = good.cumsum(1) / np.arange(1, users + 1)
    for arm in (canary, ~canary):
        n, s = arm.cumsum(1), (arm & good).cumsum(1)
        evidence += betaln(s + 1, n - s + 1) - xlogy(s, pooled) - xlog1py(n - s, -pooled)
    assert (evidence.max(axis=1) >= math.log(1 / alpha)).mean() <= alpha

    row, at = 7, 321
    n, s = canary[row, : at + 1].sum(), (canary & good)[row, : at + 1].sum()
    rest, rest_good = at + 1 - n, good[row, : at + 1].sum() - s
    ours = sequential.least_evidence((int(s), int(n)), (int(rest_good), int(rest)))
    assert ours == pytest.approx(evidence[row, at])


def test_least_evidence_is_the_least() -> None:
    grid = [
        sequential._log_evidence(30, 40, q + 0.1) + sequential._log_evidence(50, 90, q)
        for q in np.linspace(0, 0.9, 2001)
    ]
    assert sequential.least_evidence((30, 40), (50, 90), delta=0.1) == pytest.approx(min(grid), abs=1e-4)


def test_a_bounded_mean_is_never_lost() -> None:
    rng, lost = np.random.default_rng(7), 0
    for _ in range(200):
        sequence = sequential.BoundedMean(alpha=0.1)
        for value in rng.beta(2, 6, size=300):
            sequence.add(float(value))
            if not sequence.interval().low <= 0.25 <= sequence.interval().high:
                lost += 1
                break
    assert lost / 200 <= 0.1
    assert sequence.interval().width < 0.2


def test_a_mean_that_drifts_is_not_pinned_down() -> None:
    sequence = sequential.BoundedMean()
    sequence.extend([0.0] * 2_000 + [1.0] * 2_000)
    assert sequence.interval().width > 0.4
    with pytest.raises(Invalid):
        sequence.add(math.nan)


def test_a_slower_arm_is_found_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(8)
    base, slow, same = sequential.Moments(), sequential.Moments(), sequential.Moments()
    assert sequential.mean_difference(base, slow).width == math.inf
    for _ in range(1_500):
        for arm, mean in ((base, 0.0), (slow, 0.3), (same, 0.0)):
            arm.add(float(rng.normal(mean, 1)))
    assert sequential.mean_difference(slow, base).low > 0
    assert sequential.mean_difference(same, base).low < 0 < sequential.mean_difference(same, base).high


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0.01, 0.2, Change.BETTER),
        (-0.04, 0.2, Change.NOT_WORSE),
        (-0.2, -0.01, Change.WORSE),
        (-0.2, 0.1, Change.UNDECIDED),
        (-math.inf, math.inf, Change.UNDECIDED),
    ],
)
def test_the_four_verdicts(low: float, high: float, told: Change) -> None:
    assert sequential.judge(Interval(0, low, high), margin=0.05) is told
    assert sequential.judge(Interval(0, -high, -low), margin=0.05, higher_is_better=False) is told


def test_prediction_powered_means_cover_and_help() -> None:
    rng, covered, narrower = np.random.default_rng(9), 0, 0
    for _ in range(1_000):
        truth = rng.random(1_100) < 0.7
        judged = np.where(rng.random(1_100) < 0.9, truth, ~truth)
        found = correction.prediction_powered_mean(truth[:150], judged[:150], judged[150:])
        covered += found.low <= 0.7 <= found.high
        narrower += found.width < intervals.mean_interval(truth[:150].astype(float)).width
    assert covered / 1_000 == pytest.approx(0.95, abs=0.02)
    assert narrower / 1_000 > 0.99


def test_a_worthless_judge_costs_nothing() -> None:
    truth = [0.0, 1.0] * 20
    found = correction.prediction_powered_mean(truth, [1.0] * 40, [1.0] * 500)
    assert found.estimate == 0.5


def test_corrected_pass_rates_cover() -> None:
    rng = np.random.default_rng(10)
    covered = 0
    for _ in range(2_000):
        hits, rejections = rng.binomial(100, 0.9), rng.binomial(80, 0.8)
        passed = rng.binomial(400, 0.6 * 0.9 + 0.4 * 0.2)
        errors = correction.JudgeErrors(hits=hits, positives=100, rejections=rejections, negatives=80)
        found = correction.rogan_gladen(int(passed), 400, errors)
        covered += found.low <= 0.6 <= found.high
    assert covered / 2_000 == pytest.approx(0.95, abs=0.015)
    with pytest.raises(Invalid, match="chance"):
        correction.rogan_gladen(5, 10, correction.JudgeErrors(hits=5, positives=10, rejections=5, negatives=10))


def test_a_certificate_ends() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def certificate(low: float) -> correction.Certificate:
        return correction.Certificate(
            judge_digest="sha256:a",
            agreement=Interval(0.8, low, 0.9),
            cases=200,
            limit=0.6,
            issued_at=at,
            expires_at=at + timedelta(days=30),
        )

    good = certificate(0.7)
    assert good.allows("sha256:a", at)
    assert not good.allows("sha256:b", at)
    assert not good.allows("sha256:a", at + timedelta(days=30))
    assert not certificate(0.6).allows("sha256:a", at)
    assert not certificate(math.nan).allows("sha256:a", at)


def test_flaky_cases_are_repeated_or_set_aside() -> None:
    assert flakes.repeats_needed(flakes.History(passes=10, runs=10)) == 1
    repeats = flakes.repeats_needed(flakes.History(passes=18, runs=20))
    assert repeats is not None and 1 < repeats < 7
    assert flakes.repeats_needed(flakes.History(passes=10, runs=20)) is None
    assert flakes.majority_error(0.9, 3) == pytest.approx(3 * 0.9 * 0.01 + 0.001)
    assert flakes.share_of_noise([0.5, 0.5]) == 1.0
    assert flakes.share_of_noise([0.0, 1.0]) == 0.0
    assert flakes.History(passes=0, runs=0).interval() == (0.5, 0.0, 1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: intervals.wilson(2, 1),
        lambda: intervals.wilson(0, 0),
        lambda: intervals.wilson(1, 2, confidence=95),
        lambda: intervals.mean_interval([1.0]),
        lambda: intervals.mean_interval([1.0, math.nan]),
        lambda: paired.mcnemar(-1, 2),
        lambda: multiplicity.holm([1.2]),
        lambda: power.cases_paired(0.3, 0.2),
        lambda: power.cases_unpaired(0.5, 0.5),
        lambda: sequential.difference((1, 2), (1, 2), alpha=0),
        lambda: flakes.majority_error(0.5, 2),
        lambda: split.assign("u", {"a": 0.0}, salt="x"),
        lambda: split.assign("u", {"a": math.nan}, salt="x"),
        lambda: agreement.kappa(np.zeros((2, 2), dtype=np.int64)),
    ],
)
def test_what_cannot_be_meant_is_refused(call: object) -> None:
    with pytest.raises(Invalid):
        call()  # type: ignore[operator]
