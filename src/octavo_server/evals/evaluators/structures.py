"""Evaluators of structure: JSON, its schema and fields; tool calls; retrieval; limits of latency and cost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import jsonschema_rs

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.evals.evaluators.scoring import measure, missing, verdict
from octavo_server.evals.model import Sample, Score, ToolCall

_UNPARSED = object()


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def parse(text: str) -> object:
    """JSON, strictly (no NaN), out of a Markdown fence if it stands in one; `_UNPARSED` when it is none."""
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```") and "\n" in bare:
        bare = bare[bare.index("\n") + 1 : -3]
    try:
        return json.loads(bare, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _UNPARSED


def build_json(name: str, *, schema: Mapping[str, JSON] | bool | None = None) -> Callable[[Sample], Score]:
    """The output is JSON and, with a `schema`, valid by it."""
    validator = None
    if schema is not None:
        try:
            validator = jsonschema_rs.validator_for(schema if isinstance(schema, bool) else dict(schema))
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise Invalid(f"Got a schema that is none: {str(error).splitlines()[0]}.") from error

    def score(sample: Sample) -> Score:
        value = parse(sample.output)
        if value is _UNPARSED:
            return verdict(name, False, "The output is no JSON.")
        error = next(iter(validator.iter_errors(value)), None) if validator else None
        if error is None:
            return verdict(name, True, "Valid.")
        where = "/".join(str(part) for part in error.instance_path)
        return verdict(name, False, f"At {where or 'the root'}: {error.message[:200]}", path=where)

    return score


def build_json_fields(name: str, *, fields: Sequence[str] = ()) -> Callable[[Sample], Score]:
    """The share of fields of the reference object that the output's object has alike; passes when all are. Dotted
    names lead inside. Without `fields`: all of the reference."""

    def score(sample: Sample) -> Score:
        wanted = parse(sample.expected) if isinstance(sample.expected, str) else sample.expected
        if not isinstance(wanted, dict):
            return missing(name, "The case expects no JSON object.")
        asked = list(fields) or list(wanted)
        given = parse(sample.output)
        if not asked:
            return missing(name, "The case's object has no fields to compare.")
        if not isinstance(given, dict):
            return verdict(name, False, "The output is no JSON object.")
        wrong = [one for one in asked if not same(_at(given, one, bool(fields)), _at(wanted, one, bool(fields)))]
        share = (len(asked) - len(wrong)) / len(asked)
        told = f"{len(asked) - len(wrong)} of {len(asked)} fields are alike."
        return Score(name=name, value=share, passed=not wrong, reason=told, evidence={"wrong": list(wrong)})

    return score


def same(first: object, second: object) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def _at(value: object, path: str, dotted: bool) -> object:
    for part in path.split(".") if dotted else [path]:
        if not isinstance(value, dict) or part not in value:
            return _UNPARSED
        value = value[part]
    return value


def build_tool_calls(name: str, *, arguments: str = "exact", ordered: bool = False) -> Callable[[Sample], Score]:
    """The model called the tools that it should have, and no others. `arguments`: "exact", "subset" (the expected ones
    are among the given), "ignore"."""
    if arguments not in ("exact", "subset", "ignore"):
        raise Invalid(f"Got arguments {arguments!r}; expected 'exact', 'subset' or 'ignore'.")

    def alike(given: ToolCall, wanted: ToolCall) -> bool:
        if given.name != wanted.name or arguments == "ignore":
            return given.name == wanted.name
        if arguments == "exact":
            return same(dict(given.arguments), dict(wanted.arguments))
        return all(key in given.arguments and same(given.arguments[key], one) for key, one in wanted.arguments.items())

    def score(sample: Sample) -> Score:
        given, wanted = sample.tool_calls, sample.expected_tool_calls
        matched = (
            sum(alike(one, other) for one, other in zip(given, wanted, strict=False))
            if ordered
            else _most_pairs(given, wanted, alike)
        )
        most = max(len(given), len(wanted))
        value = matched / most if most else 1.0
        told = f"{matched} of {len(wanted)} expected calls, {len(given)} made."
        evidence: dict[str, JSON] = {"called": [one.name for one in given], "expected": [one.name for one in wanted]}
        return Score(name=name, value=value, passed=matched == most, reason=told, evidence=evidence)

    return score


def _most_pairs(
    given: Sequence[ToolCall], wanted: Sequence[ToolCall], alike: Callable[[ToolCall, ToolCall], bool]
) -> int:
    """Size of the largest one-to-one matching (augmenting paths), so that a loose match never blocks a strict one."""
    owner: dict[int, int] = {}

    def place(index: int, seen: set[int]) -> bool:
        for at, one in enumerate(given):
            if at not in seen and alike(one, wanted[index]):
                seen.add(at)
                if at not in owner or place(owner[at], seen):
                    owner[at] = index
                    return True
        return False

    return sum(place(index, set()) for index in range(len(wanted)))


def build_retrieval(
    name: str, *, metric: str = "ndcg", k: int = 10, at_least: float | None = None
) -> Callable[[Sample], Score]:
    """recall@k, precision@k, reciprocal rank or nDCG@k of the retrieved ids against graded relevance."""
    metrics: dict[str, Callable[[Sequence[str], Mapping[str, float], int], float]] = {
        "recall": recall_at,
        "precision": precision_at,
        "mrr": reciprocal_rank,
        "ndcg": ndcg_at,
    }
    if metric not in metrics or k < 1:
        raise Invalid(f"Got metric {metric!r} at {k!r}; expected one of {', '.join(metrics)} at 1 or more.")

    def score(sample: Sample) -> Score:
        if not any(grade > 0 for grade in sample.relevant.values()):
            return missing(name, "The case names nothing relevant.")
        ranked = list(dict.fromkeys(sample.retrieved))
        return measure(name, metrics[metric](ranked, sample.relevant, k), at_least=at_least)

    return score


def recall_at(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """Share of the relevant that is among the first k."""
    wanted = {one for one, grade in relevant.items() if grade > 0}
    return len(wanted.intersection(ranked[:k])) / len(wanted) if wanted else math.nan


def precision_at(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """Share of the first k places that holds something relevant; an empty place holds nothing."""
    return sum(relevant.get(one, 0) > 0 for one in ranked[:k]) / k


def reciprocal_rank(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """1 over the place of the first relevant one among the first k; 0 when there is none."""
    return next((1 / place for place, one in enumerate(ranked[:k], 1) if relevant.get(one, 0) > 0), 0.0)


def ndcg_at(ranked: Sequence[str], relevant: Mapping[str, float], k: int) -> float:
    """Normalised discounted gain (Järvelin & Kekäläinen 2002), linear gains as trec_eval has them."""
    best = _gain(sorted((grade for grade in relevant.values() if grade > 0), reverse=True)[:k])
    return _gain([max(0.0, relevant.get(one, 0)) for one in ranked[:k]]) / best if best else math.nan


def _gain(grades: Sequence[float]) -> float:
    return sum(grade / math.log2(place + 1) for place, grade in enumerate(grades, 1))


def build_latency(name: str, *, at_most_ms: float) -> Callable[[Sample], Score]:
    """The answer took at most so many milliseconds."""
    return _limit(name, lambda sample: sample.latency_ms, at_most_ms, "latency")


def build_cost(name: str, *, at_most_usd: float) -> Callable[[Sample], Score]:
    """The answer cost at most so many USD; an unknown cost is missing, not nothing."""
    return _limit(name, lambda sample: sample.cost_usd, at_most_usd, "cost")


def _limit(name: str, of: Callable[[Sample], float | None], most: float, about: str) -> Callable[[Sample], Score]:
    if not most >= 0:
        raise Invalid(f"Got the limit {most!r} of {about}; expected a number from 0.")

    def score(sample: Sample) -> Score:
        value = of(sample)
        if value is None or not math.isfinite(value):
            return missing(name, f"The {about} is not known.")
        return measure(name, value, at_most=most)

    return score


class Embedder(Protocol):
    """Texts to vectors of one length. A failure is raised by the caller before scoring: evaluators do no I/O."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]: ...


def build_similarity(name: str, *, embedder: Embedder, at_least: float | None = None) -> Callable[[Sample], Score]:
    """Cosine of the output's and the reference's embeddings."""

    def score(sample: Sample) -> Score:
        if not isinstance(sample.expected, str):
            return missing(name, "The case has no expected text.")
        first, second = embedder.embed([sample.output, sample.expected])
        size = math.hypot(*first) * math.hypot(*second)
        if not (size and math.isfinite(size)):
            return missing(name, "An embedding has no direction.")
        return measure(name, sum(a * b for a, b in zip(first, second, strict=True)) / size, at_least=at_least)

    return score
