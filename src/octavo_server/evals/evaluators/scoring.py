"""How evaluators say what they found."""

from __future__ import annotations

import json
import re
import unicodedata

from octavo_server.core.digest import JSON
from octavo_server.evals.model import Score

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SPACES = re.compile(r"\s+")


def verdict(name: str, passed: bool, reason: str, **evidence: JSON) -> Score:
    """A yes or no."""
    return Score(name=name, value=passed, passed=passed, reason=reason, evidence=evidence)


def measure(name: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> Score:
    """A number, and whether it is within its limits; `passed` is None when there is none."""
    limits = []
    if at_least is not None:
        limits.append(f"at least {at_least:g}")
    if at_most is not None:
        limits.append(f"at most {at_most:g}")
    passed = None
    if limits:
        passed = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    told = f"{value:.4g}" + (f", {' and '.join(limits)} wanted" if limits else "")
    return Score(name=name, value=value, passed=passed, reason=told)


def missing(name: str, reason: str) -> Score:
    """Nothing could be said, for a reason that is not the model's."""
    return Score(name=name, value=None, reason=reason)


def as_text(value: JSON) -> str:
    """A reference as text; JSON when it is structured."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def normalise(text: str) -> str:
    """Text as question answering compares it (SQuAD 1.1's evaluation script): lower case, no punctuation, no English
    articles, single spaces; and of one Unicode form."""
    lowered = unicodedata.normalize("NFKC", text).lower()
    bare = "".join(letter for letter in lowered if unicodedata.category(letter)[0] != "P")
    return _SPACES.sub(" ", _ARTICLES.sub(" ", bare)).strip()
