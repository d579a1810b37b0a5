"""Evaluators: what each says, that none raises, and that the n-gram measures equal the reference packages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.evals.evaluators import compile_evaluator
from octavo_server.evals.evaluators.ngrams import bleu, chrf, rouge_l, rouge_n
from octavo_server.evals.evaluators.registry import BUILDERS
from octavo_server.evals.evaluators.texts import last_number
from octavo_server.evals.model import Sample, ToolCall

few = settings(max_examples=60, deadline=None)

prose = st.text(alphabet="ab c.d,E1-9&'\n", max_size=60) | st.lists(
    st.sampled_from(["the", "cat", "sat", "on", "a", "mat", ",", "and", "3.5", "dogs", "ran", "-", "fast", "."]),
    max_size=25,
).map(" ".join)


class Letters:
    """An embedder for tests: how often each of four letters stands in a text."""

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[float(text.count(letter)) for letter in "abcd"] for text in texts]


REQUIRED: dict[str, dict[str, JSON]] = {
    "regex": {"pattern": "a+"},
    "latency": {"at_most_ms": 100},
    "cost": {"at_most_usd": 0.01},
}


@few
@given(prose, prose)
def test_rouge_equals_the_package(output: str, reference: str) -> None:
    wanted = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"]).score(reference, output)
    assert rouge_n(output, reference, 1) == pytest.approx(wanted["rouge1"].fmeasure, abs=1e-9)
    assert rouge_n(output, reference, 2) == pytest.approx(wanted["rouge2"].fmeasure, abs=1e-9)
    assert rouge_l(output, reference) == pytest.approx(wanted["rougeL"].fmeasure, abs=1e-9)


@few
@given(prose, prose.filter(str.strip))
def test_bleu_and_chrf_equal_sacrebleu(output: str, reference: str) -> None:
    assert bleu(output, reference) == pytest.approx(
        BLEU(effective_order=True).sentence_score(output, [reference]).score / 100, abs=1e-9
    )
    assert chrf(output, reference) == pytest.approx(CHRF().sentence_score(output, [reference]).score / 100, abs=1e-9)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@settings(max_examples=40, deadline=None)
@given(
    output=st.text(max_size=80)
    | st.sampled_from(["[" * 3000, '{"a": NaN}', "1e999", "\ud800", "9" * 400, "```\n{}```"]),
    expected=values,
    ids=st.lists(st.text(max_size=3), max_size=4),
    number=st.none() | st.floats(),
)
def test_no_evaluator_raises(kind: str, output: str, expected: JSON, ids: list[str], number: float | None) -> None:
    parts = {"embedder": Letters()} if kind == "similarity" else {}
    evaluate = compile_evaluator({"type": kind, **REQUIRED.get(kind, {})}, **parts)

    score = evaluate(
        Sample(
            output=output,
            expected=expected,
            tool_calls=tuple(ToolCall(name=one, arguments={"x": expected}) for one in ids),
            expected_tool_calls=tuple(ToolCall(name=one) for one in reversed(ids)),
            retrieved=tuple(ids),
            relevant=dict.fromkeys(ids[:2], 1.0),
            latency_ms=number,
            cost_usd=number,
        )
    )

    assert score.name == kind
    assert score.reason
    assert not score.is_missing or score.passed is None


def passed(spec: dict[str, JSON], output: str, expected: JSON = None, **more: object) -> bool | None:
    return compile_evaluator(spec)(Sample(output=output, expected=expected, **more)).passed  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "output", "expected", "wanted"),
    [
        ({"type": "exact"}, "Paris", "Paris", True),
        ({"type": "exact"}, "paris", "Paris", False),
        ({"type": "exact"}, "paris", None, None),
        ({"type": "exact", "normalised": True}, " The  paris. ", "Paris", True),
        ({"type": "contains", "values": ["a", "b"]}, "a c", None, False),
        ({"type": "contains", "values": ["a", "b"], "mode": "any"}, "a c", None, True),
        ({"type": "contains", "ignore_case": True}, "PARIS it is", "paris", True),
        ({"type": "contains", "values": ["x"], "negate": True}, "abc", None, True),
        ({"type": "regex", "pattern": r"^\d{3}$"}, "123", None, True),
        ({"type": "regex", "pattern": "a", "full": True}, "ab", None, False),
        ({"type": "numeric"}, "So it is 1,234.50 dollars.", "#### 1234.5", True),
        ({"type": "numeric", "relative": 0.01}, "about 101", 100.5, True),
        ({"type": "numeric"}, "none", "5", False),
        ({"type": "numeric"}, "5", "none", None),
        ({"type": "edit_distance", "at_least": 0.8}, "kitten", "kittens", True),
        ({"type": "rouge", "variant": "rouge1", "at_least": 1}, "a b", ["x", "b a"], True),
        ({"type": "json"}, '```json\n{"a": 1}\n```', None, True),
        ({"type": "json"}, "{'a': 1}", None, False),
        ({"type": "json", "schema": {"required": ["a"]}}, '{"b": 1}', None, False),
        ({"type": "json_fields"}, '{"a": 1.0, "b": 2, "c": 3}', {"a": 1, "b": 2}, True),
        ({"type": "json_fields"}, '{"a": true}', {"a": 1}, False),
        ({"type": "json_fields", "fields": ["a.b"]}, '{"a": {"b": 1}}', '{"a": {"b": 1, "c": 2}}', True),
        ({"type": "refusal"}, "I’m sorry, but I can’t help with that.", None, True),
        ({"type": "refusal"}, "Sure, here is how.", None, False),
        ({"type": "refusal", "wanted": False}, "Paris is in France.", None, True),
    ],
)
def test_what_they_say(spec: dict[str, JSON], output: str, expected: JSON, wanted: bool | None) -> None:
    assert passed(spec, output, expected) is wanted


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She has 3 apples and 4 pears.", 4),
        ("The answer is -7.", -7),
        ("10-4 = 6", 6),
        ("from 3-4", 4),
        ("$1,000,000", 1_000_000),
        ("1, 2, 3", 3),
        ("First 5. #### 42\nTotal words: 9", 42),
        (r"so \boxed{12} of 13", 12),
        ("50%", 50),
        (".5", 0.5),
        ("3.", 3),
        ("1.5e3", 1500),
        ("no number", None),
        ("", None),
    ],
)
def test_the_last_number(text: str, number: float | None) -> None:
    assert last_number(text) == number


def test_tool_calls() -> None:
    search, book = ToolCall(name="search", arguments={"q": "a", "n": 1}), ToolCall(name="book", arguments={})
    narrow = ToolCall(name="search", arguments={"q": "a"})

    def score(spec: dict[str, JSON], given: list[ToolCall], wanted: list[ToolCall]) -> bool | None:
        sample = Sample(output="", tool_calls=tuple(given), expected_tool_calls=tuple(wanted))
        return compile_evaluator({"type": "tool_calls", **spec})(sample).passed

    assert score({}, [book, search], [search, book])
    assert not score({"ordered": True}, [book, search], [search, book])
    assert not score({}, [search], [narrow])
    assert score({"arguments": "subset"}, [search], [narrow])
    assert not score({"arguments": "subset"}, [narrow], [search])
    assert score({"arguments": "ignore"}, [narrow], [search])
    assert not score({}, [search, search], [search])
    assert not score({}, [], [search])
    assert score({}, [], [])
    both = [ToolCall(name="search", arguments={"q": "a", "n": 2}), search]
    assert score({"arguments": "subset"}, both, [narrow, search])


def test_retrieval() -> None:
    sample = Sample(output="", retrieved=("x", "a", "a", "b"), relevant={"a": 3.0, "b": 1.0, "c": 2.0, "x": 0.0})

    def value(metric: str, k: int) -> object:
        return compile_evaluator({"type": "retrieval", "metric": metric, "k": k})(sample).value

    assert value("recall", 3) == pytest.approx(2 / 3)
    assert value("precision", 5) == pytest.approx(2 / 5)
    assert value("mrr", 10) == 0.5
    best = 3 + 2 / math.log2(3) + 1 / 2
    assert value("ndcg", 10) == pytest.approx((3 / math.log2(3) + 1 / 2) / best)
    assert compile_evaluator({"type": "retrieval"})(Sample(output="")).is_missing


def test_limits_do_not_take_unknown_for_nothing() -> None:
    cheap = compile_evaluator({"type": "cost", "name": "cheap", "at_most_usd": 0.01})
    assert cheap(Sample(output="", cost_usd=0.01)).passed
    assert cheap(Sample(output="", cost_usd=0.02)).passed is False
    assert cheap(Sample(output="")).is_missing
    assert cheap(Sample(output="", cost_usd=math.nan)).is_missing
    assert cheap(Sample(output="")).name == "cheap"


def test_similarity_is_the_cosine() -> None:
    alike = compile_evaluator({"type": "similarity", "at_least": 0.9}, embedder=Letters())
    assert alike(Sample(output="ab", expected="aabb")).value == pytest.approx(1)
    assert alike(Sample(output="a", expected="b")).passed is False
    assert alike(Sample(output="x", expected="b")).is_missing


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"type": "magic"}, "'magic'"),
        ({}, "None"),
        ({"type": "exact", "speed": 1}, "'speed'"),
        ({"type": "regex"}, "pattern"),
        ({"type": "regex", "pattern": "("}, "does not compile"),
        ({"type": "regex", "pattern": "a" * 2000}, "2000 characters"),
        ({"type": "json", "schema": {"type": "nonsense"}}, "schema"),
        ({"type": "rouge", "variant": "rouge9"}, "'rouge9'"),
        ({"type": "tool_calls", "arguments": "some"}, "'some'"),
        ({"type": "retrieval", "k": 0}, "at 0"),
        ({"type": "contains", "mode": "most"}, "'most'"),
        ({"type": "latency", "at_most_ms": -1}, "-1"),
        ({"type": "exact", "name": 3}, "3"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(spec: dict[str, JSON], complaint: str) -> None:
    with pytest.raises(Invalid) as refused:
        compile_evaluator(spec)
    assert complaint in refused.value.message
