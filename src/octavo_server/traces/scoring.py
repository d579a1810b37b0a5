"""What a score may be. Pure."""

from __future__ import annotations

import math
from typing import Any

import orjson

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.traces.messages import loose
from octavo_server.traces.model import SCORE_TYPES, Score, ScoreConfig
from octavo_server.traces.otlp import is_valid_time

_LONGEST = dict.fromkeys(
    ("id", "name", "trace_id", "span_id", "session_id", "experiment_id", "config_id", "queue_id", "environment"), 200
)
_LONGEST_CATEGORY = 500
_LONGEST_TEXT = 20_000
_LONGEST_METADATA = 50_000
_SOURCES = ("API", "ANNOTATION", "EVAL")


def type_of(value: Any, data_type: str | None, config: ScoreConfig | None) -> str:
    """The type of a value that may not say it: its config's, else what the value is."""
    if data_type:
        return data_type
    if config is not None:
        return config.data_type
    if isinstance(value, bool):
        return "BOOLEAN"
    return "CATEGORICAL" if isinstance(value, str) else "NUMERIC"


def read_value(value: Any, data_type: str, config: ScoreConfig | None) -> tuple[float | None, str]:
    """A value as it is stored: its number and its text. Raises Invalid."""
    if data_type not in SCORE_TYPES:
        raise Invalid(
            f"The type is {str(data_type)[:40]!r}; expected one of {', '.join(SCORE_TYPES)}.", param="data_type"
        )
    if config is not None and config.data_type != data_type:
        raise Invalid(
            f"The type is {data_type}, but the config {config.name!r} is for {config.data_type}.", param="data_type"
        )
    if data_type == "NUMERIC":
        number = _number(value)
        if config is not None:
            _within(number, config)
        return number, ""
    if data_type == "BOOLEAN":
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise _bad(value, "true or false")
        return float(value), ""
    longest = _LONGEST_CATEGORY if data_type == "CATEGORICAL" else _LONGEST_TEXT
    if not isinstance(value, str) or not value or len(value) > longest:
        raise _bad(value, f"a text of 1 to {longest} characters, as {data_type} has")
    if data_type == "CATEGORICAL" and config is not None and config.categories:
        numbers = dict(config.categories)
        if value not in numbers:
            raise _bad(value, f"one of {', '.join(numbers)}, the categories of {config.name!r}")
        return numbers[value], value
    return None, value


def check_score(score: Score, config: ScoreConfig | None) -> Score:
    """The score, if it is one. Raises Invalid."""
    for field, longest in _LONGEST.items():
        if len(getattr(score, field)) > longest:
            raise Invalid(f"`{field}` is longer than {longest} characters.", param=field)
    if not score.name:
        raise Invalid("The score has no name; expected 1 to 200 characters.", param="name")
    if config is not None and config.name != score.name:
        raise Invalid(f"The score is named {score.name!r}, but its config is for {config.name!r}.", param="config_id")
    if config is not None and config.is_archived:
        raise Invalid(f"The config {config.name!r} is archived; take another, or restore it.", param="config_id")
    if score.source not in _SOURCES:
        raise Invalid(f"`source` is {score.source[:40]!r}; expected one of {', '.join(_SOURCES)}.", param="source")
    if not (score.trace_id or score.session_id or score.experiment_id):
        raise Invalid("The score is about nothing; give a trace, a session or an experiment.", param="trace_id")
    if score.span_id and not score.trace_id:
        raise Invalid("The score names a span but not its trace.", param="trace_id")
    if len(score.comment) > _LONGEST_TEXT:
        raise Invalid(f"`comment` is longer than {_LONGEST_TEXT} characters.", param="comment")
    if score.metadata is not None:
        _check_metadata(score.metadata)
    if not is_valid_time(score.time_ns):
        raise Invalid("`timestamp` is before 1970 or after 2089.", param="timestamp")
    return score


def _check_metadata(metadata: Any) -> None:
    try:
        text = orjson.dumps(metadata).decode()
    except orjson.JSONEncodeError:
        raise Invalid("`metadata` is nested too deeply, or has a number beyond 64 bits.", param="metadata") from None
    if len(text.encode()) > _LONGEST_METADATA:
        raise Invalid(f"`metadata` is longer than {_LONGEST_METADATA} bytes.", param="metadata")
    if isinstance(metadata, list | dict) and loose(text) == text:
        raise Invalid("`metadata` is nested too deeply.", param="metadata")


def check_config(config: ScoreConfig) -> ScoreConfig:
    """The config, if scores can follow it. Raises Invalid."""
    if config.data_type not in SCORE_TYPES[:4]:
        raise Invalid(
            f"The type is {config.data_type[:40]!r}; expected one of {', '.join(SCORE_TYPES[:4])}.", param="data_type"
        )
    numeric = config.data_type == "NUMERIC"
    if not numeric and (config.min_value is not None or config.max_value is not None):
        raise Invalid("Only NUMERIC scores have bounds.", param="min_value")
    low, high = config.min_value, config.max_value
    if low is not None and high is not None and low > high:
        raise Invalid(f"The least value {low:g} is above the greatest {high:g}.", param="min_value")
    labels = [label for label, _ in config.categories]
    if config.data_type == "CATEGORICAL" and not labels:
        raise Invalid("CATEGORICAL scores need at least one category.", param="categories")
    if labels and config.data_type not in ("CATEGORICAL", "BOOLEAN"):
        raise Invalid(f"{config.data_type} scores have no categories.", param="categories")
    if len(set(labels)) < len(labels) or not all(labels):
        raise Invalid("Two categories have the same label, or one has none.", param="categories")
    return config


def shown_value(data_type: str, value: float | None, text: str) -> JSON:
    """A stored value as it was given."""
    if data_type == "NUMERIC":
        return value
    if data_type == "BOOLEAN":
        return value == 1
    return text


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad(value, "a number, as NUMERIC has")
    return float(value)


def _within(number: float, config: ScoreConfig) -> None:
    low, high = config.min_value, config.max_value
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"
        raise _bad(number, f"a number in {bounds}, as the config {config.name!r} says")


def _bad(value: Any, expected: str) -> Invalid:
    return Invalid(f"The value is {str(value)[:80]!r}; expected {expected}.", param="value")
