"""From a spec, as datasets and gates keep it, to a function that scores: `{"type": "numeric", "absolute": 0.01}`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.evals.evaluators import structures, texts
from octavo_server.evals.model import Sample, Score

Evaluator = Callable[[Sample], Score]

BUILDERS: Mapping[str, Callable[..., Evaluator]] = MappingProxyType(
    {
        "exact": texts.build_exact,
        "contains": texts.build_contains,
        "regex": texts.build_regex,
        "numeric": texts.build_numeric,
        "edit_distance": texts.build_edit_distance,
        "rouge": texts.build_rouge,
        "bleu": texts.build_bleu,
        "chrf": texts.build_chrf,
        "refusal": texts.build_refusal,
        "json": structures.build_json,
        "json_fields": structures.build_json_fields,
        "tool_calls": structures.build_tool_calls,
        "retrieval": structures.build_retrieval,
        "latency": structures.build_latency,
        "cost": structures.build_cost,
        "similarity": structures.build_similarity,
    }
)


def compile_evaluator(spec: Mapping[str, JSON], **parts: Any) -> Evaluator:
    """The evaluator of a spec: `type`, a `name` for its scores (the type if there is none), and what its builder takes.
    `parts`: what no spec can hold, such as the `embedder` of "similarity". Raises `Invalid` on anything else."""
    kind = spec.get("type")
    builder = BUILDERS.get(kind) if isinstance(kind, str) else None
    if builder is None:
        raise Invalid(f"Got the evaluator type {kind!r}; expected one of {', '.join(BUILDERS)}.")
    name = spec.get("name", kind)
    options = {key: value for key, value in spec.items() if key not in ("type", "name")} | parts
    allowed = inspect.signature(builder).parameters
    strange = [key for key in options if key not in allowed or key == "name"]
    if strange:
        known = ", ".join(key for key in allowed if key != "name")
        raise Invalid(f"Got the option {strange[0]!r} of {kind!r}; expected one of {known}.")
    if not isinstance(name, str):
        raise Invalid(f"Got the name {name!r}; expected a text.")
    try:
        return builder(name, **options)
    except TypeError as error:
        raise Invalid(f"Got options of {kind!r} that do not fit: {error}.") from error
