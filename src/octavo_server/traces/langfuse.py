"""Langfuse's words for what is stored here: how its SDKs ask, and the shapes they parse. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from octavo_server.core.clock import nanoseconds
from octavo_server.core.errors import Invalid
from octavo_server.core.money import NANO_PER_USD
from octavo_server.traces.messages import loose

_TYPES = {
    "llm": "GENERATION",
    "embedding": "EMBEDDING",
    "retriever": "RETRIEVER",
    "tool": "TOOL",
    "agent": "AGENT",
    "chain": "CHAIN",
    "guardrail": "GUARDRAIL",
    "evaluator": "EVALUATOR",
    "event": "EVENT",
}
_KINDS = {name: kind for kind, name in _TYPES.items()}
_USAGE = {
    "tokens_input": "input",
    "tokens_cache_read": "input_cached_tokens",
    "tokens_cache_write": "input_cache_creation",
    "tokens_input_audio": "input_audio_tokens",
    "tokens_output": "output",
    "tokens_reasoning": "output_reasoning_tokens",
    "tokens_output_audio": "output_audio_tokens",
}
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "core": ("id", "traceId", "startTime", "endTime", "projectId", "parentObservationId", "type"),
    "basic": (
        *("name", "level", "statusMessage", "version", "environment", "bookmarked", "public", "userId", "sessionId"),
        "isRootObservation",
    ),
    "time": ("completionStartTime", "createdAt", "updatedAt"),
    "io": ("input", "output"),
    "metadata": ("metadata",),
    "model": ("model", "internalModelId", "modelParameters"),
    "usage": ("usageDetails", "costDetails", "totalCost", "usagePricingTierName"),
    "prompt": ("promptId", "promptName", "promptVersion"),
    "metrics": ("latency", "timeToFirstToken"),
    "trace_context": ("tags", "release", "traceName"),
}
_CUT = 200
"""Longer values of metadata are cut unless they are asked for by name."""

_COLUMNS = {
    "id": "span_id",
    "type": "kind",
    "name": "name",
    "traceId": "trace_id",
    "environment": "environment",
    "level": "level",
    "statusMessage": "status_message",
    "version": "version",
    "userId": "user_id",
    "sessionId": "session_id",
    "traceName": "trace_name",
    "traceTags": "tags",
    "tags": "tags",
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "tokens": "total_tokens",
    "totalCost": "cost_usd",
    "model": "model",
    "providedModelName": "model",
    "promptName": "prompt_name",
    "promptVersion": "prompt_version",
    "input": "input",
    "output": "output",
    "release": "release",
    "parentObservationId": "parent_span_id",
}
_SECONDS = {"latency": "latency_ms", "timeToFirstToken": "ttft_ms"}
_OF_TRACES = {"id": "trace_id", "name": "trace_name"}
_WORDS = {
    **{word: word for word in ("=", ">", "<", ">=", "<=", "matches")},
    "<>": "!=",
    "contains": "~",
    "does not contain": "!~",
    "starts with": "starts_with",
    "ends with": "ends_with",
}


def observation_of(row: Mapping[str, Any], groups: Sequence[str], expanded: Sequence[str] = ()) -> dict[str, Any]:
    """A stored span as an observation of Langfuse's second API, with these groups of fields."""
    whole = _observation(row)
    if "metadata" in groups:
        whole["metadata"] = {
            key: value[:_CUT] if isinstance(value, str) and len(value) > _CUT and key not in expanded else value
            for key, value in whole["metadata"].items()
        }
    return {name: whole[name] for group in ("core", *groups) for name in _GROUPS[group]}


def groups_of(fields: str) -> list[str]:
    """The groups that `fields` asks for. Raises Invalid."""
    asked = [name.strip() for name in fields.split(",") if name.strip()] or ["basic"]
    for name in asked:
        if name not in _GROUPS:
            raise Invalid(f"{name[:40]!r} is no group of fields; there are {', '.join(_GROUPS)}.", param="fields")
    return asked


def legacy_observation_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored span as an observation of Langfuse's first API: everything, contents decoded."""
    whole = _observation(row)
    usage = whole["usageDetails"]
    return {
        **whole,
        "input": decoded(row["input"]),
        "output": decoded(row["output"]),
        "usage": {
            "input": sum(count for name, count in usage.items() if name.startswith("input")),
            "output": sum(count for name, count in usage.items() if name.startswith("output")),
            "total": usage.get("total", 0),
            "unit": "TOKENS",
        },
        "calculatedTotalCost": whole["totalCost"],
        "modelParameters": whole["modelParameters"] or {},
    }


def legacy_trace_of(summary: Mapping[str, Any], root: Mapping[str, Any] | None) -> dict[str, Any]:
    """A trace of Langfuse's first API, without its observations and scores."""
    return {
        "id": summary["trace_id"],
        "timestamp": summary["start_time"],
        "name": summary["name"],
        "input": decoded(root["input"]) if root else None,
        "output": decoded(root["output"]) if root else None,
        "sessionId": summary["session_id"] or None,
        "userId": summary["user_id"] or None,
        "release": summary["release"] or None,
        "version": (root["version"] or None) if root else None,
        "metadata": _json(root["metadata"], {}) if root else {},
        "tags": summary["tags"],
        "public": False,
        "environment": summary["environment"],
        "htmlPath": f"/traces/{summary['trace_id']}",
        "latency": summary["duration_ms"] / 1e3,
        "totalCost": (summary["cost_nano"] or 0) / NANO_PER_USD,
    }


def trace_contents_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the client set as the trace's own contents on any of its spans, told by the latest of them."""
    told: dict[str, Any] = {}
    for row in sorted(rows, key=lambda one: str(one["start"])):
        attributes = _json(row["attributes"], {})
        for name in ("input", "output", "public"):
            if (value := attributes.get(f"langfuse.trace.{name}")) is not None:
                told[name] = _json(value, value) if isinstance(value, str) else value
    return told


def score_of(row: Mapping[str, Any], groups: Sequence[str]) -> dict[str, Any]:
    """A stored score in the shape of Langfuse's third API. Groups: details, subject, annotation."""
    answer: dict[str, Any] = {
        "id": row["id"],
        "projectId": row["project_id"],
        "name": row["name"],
        "value": _value(row),
        "dataType": row["data_type"],
        "source": row["source"],
        "timestamp": row["time"],
        "environment": row["environment"],
        "createdAt": _instant(row["written"]),
        "updatedAt": _instant(row["written"]),
    }
    if "details" in groups:
        answer |= {
            "comment": row["comment"] or None,
            "configId": row["config_id"] or None,
            "metadata": _metadata_of(row["metadata"]),
        }
    if "subject" in groups:
        answer["subject"] = _subject(row)
    if "annotation" in groups:
        answer |= {"authorUserId": row["author"] or None, "queueId": row["queue_id"] or None}
    return answer


def legacy_score_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored score in the shape of Langfuse's first and second API."""
    value = _value(row)
    answer = {
        **score_of(row, ("details", "annotation")),
        "traceId": row["trace_id"] or None,
        "observationId": row["span_id"] or None,
        "sessionId": row["session_id"] or None,
        "datasetRunId": row["experiment_id"] or None,
        "metadata": _metadata_of(row["metadata"]) or {},
    }
    if row["data_type"] == "BOOLEAN":
        answer |= {"value": row["value"], "stringValue": "True" if value else "False"}
    elif row["data_type"] == "CATEGORICAL":
        answer |= {"value": row["value"] or 0, "stringValue": value}
    elif row["data_type"] in ("TEXT", "CORRECTION"):
        answer |= {"value": 0, "stringValue": value}
    return answer


def condition(field: str, operator: str, value: str) -> str:
    """One condition of the filter language on a text."""
    return f"{field} {operator} {quoted(value)}"


def quoted(value: str) -> str:
    """A text of the filter language."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def kind_of(type_name: str) -> str:
    """The kind of span that a type of observation is. Raises Invalid."""
    if type_name == "SPAN":
        return "span"
    if type_name not in _KINDS:
        raise Invalid(
            f"{type_name[:40]!r} is no type of observation; there are SPAN, {', '.join(_KINDS)}.", param="type"
        )
    return _KINDS[type_name]


def filter_of(text: str, *, of_traces: bool = False) -> tuple[str, datetime | None, datetime | None]:
    """Langfuse's JSON filter as one of the filter language, and the times in it. Raises Invalid."""
    columns = _COLUMNS | _OF_TRACES if of_traces else _COLUMNS
    try:
        conditions = orjson.loads(text)
    except orjson.JSONDecodeError:
        conditions = None
    if not isinstance(conditions, list) or len(conditions) > 50:
        raise Invalid("`filter` is not a JSON list of at most 50 conditions.", param="filter")
    parts: list[str] = []
    start = end = None
    for one in conditions:
        if not isinstance(one, dict):
            raise Invalid("`filter` has a condition that is no object.", param="filter")
        if one.get("type") == "datetime":
            at = _time(one.get("value"))
            if str(one.get("operator")).startswith(">"):
                start = at
            else:
                end = at
        else:
            parts.append(_condition(one, columns))
    return " and ".join(parts), start, end


def _condition(one: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    column, operator, value = str(one.get("column", "")), str(one.get("operator", "")), one.get("value")
    key = one.get("key")
    if column == "metadata" and isinstance(key, str):
        field = f"metadata.{key}"
    elif column in _SECONDS and isinstance(value, int | float):
        field, value = _SECONDS[column], value * 1e3
    elif column == "isRootObservation":
        return f"parent_span_id {'=' if (value is True) == (operator == '=') else '!='} ''"
    elif column in columns:
        field = columns[column]
    else:
        there = ", ".join((*columns, *_SECONDS, "isRootObservation", "metadata with `key`"))
        raise Invalid(f"`filter` has the column {column[:40]!r}; there are {there}.", param="filter")
    values = value if isinstance(value, list) else [value]
    if field == "kind":
        values = [kind_of(str(one)) for one in values]
    if operator in ("any of", "none of", "all of"):
        texts = [quoted(str(one)) for one in values]
        if not texts:
            return "trace_id = ''" if operator == "any of" else "trace_id != ''"
        if operator == "all of":
            return "(" + " and ".join(f"{field} = {text}" for text in texts) + ")"
        return f"{'not ' if operator == 'none of' else ''}{field} in ({', '.join(texts)})"
    if operator in ("is null", "is not set"):
        return f'{field} = ""'
    if operator in ("is not null", "is set"):
        return f'{field} != ""'
    if operator not in _WORDS:
        raise Invalid(
            f"`filter` has the operator {operator[:40]!r}; served are {', '.join(_WORDS)}, any of, none of, all of, "
            "is set, is not set, is null, is not null.",
            param="filter",
        )
    if isinstance(values[0], bool):
        text = "true" if values[0] else "false"
    elif isinstance(values[0], int | float):
        text = f"{values[0]}"
    else:
        text = quoted(str(values[0]))
    return f"{field} {_WORDS[operator]} {text}"


def _observation(row: Mapping[str, Any]) -> dict[str, Any]:
    usage = {name: row[column] for column, name in _USAGE.items() if row[column]}
    usage |= _json(row["usage_extra"], {})
    if row["usage_known"]:
        usage |= {"input": row["tokens_input"], "output": row["tokens_output"], "total": row["tokens_total"]}
    costs = {name: nano / NANO_PER_USD for name, nano in _json(row["cost_details"], {}).items()}
    total = None if row["cost_nano"] is None else row["cost_nano"] / NANO_PER_USD
    if total is not None:
        costs["total"] = total
    start_ns = nanoseconds(row["start"])
    ttft_ns = row["ttft_ns"]
    version = row["prompt_version"]
    is_model = row["kind"] in ("llm", "embedding")
    return {
        "id": row["span_id"],
        "traceId": row["trace_id"],
        "startTime": row["start"],
        "endTime": _instant(start_ns + row["duration_ns"]),
        "projectId": row["project_id"],
        "parentObservationId": row["parent_span_id"] or None,
        "type": _TYPES.get(row["kind"], "SPAN"),
        "name": row["name"],
        "level": row["level"],
        "statusMessage": row["status_message"] or None,
        "version": row["version"] or None,
        "environment": row["environment"],
        "bookmarked": False,
        "public": False,
        "userId": row["user_id"] or None,
        "sessionId": row["session_id"] or None,
        "isRootObservation": bool(row["is_root"]),
        "completionStartTime": None if ttft_ns is None else _instant(start_ns + ttft_ns),
        "createdAt": row["start"],
        "updatedAt": row["start"],
        "input": row["input"] or None,
        "output": row["output"] or None,
        "metadata": _json(row["metadata"], {}),
        "model": (row["model"] or row["model_requested"] or None) if is_model else None,
        "internalModelId": None,
        "modelParameters": _json(row["parameters"], None),
        "usageDetails": usage,
        "costDetails": costs,
        "totalCost": total,
        "usagePricingTierName": None,
        "promptId": None,
        "promptName": row["prompt_name"] or None,
        "promptVersion": int(version) if version.isdecimal() else None,
        "latency": row["duration_ns"] / 1e9,
        "timeToFirstToken": None if ttft_ns is None else ttft_ns / 1e9,
        "tags": row["tags"],
        "release": row["release"] or None,
        "traceName": row["trace_name"] or None,
    }


def _subject(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["experiment_id"]:
        return {"kind": "experiment", "id": row["experiment_id"]}
    if row["span_id"]:
        return {"kind": "observation", "id": row["span_id"], "traceId": row["trace_id"]}
    if row["trace_id"]:
        return {"kind": "trace", "id": row["trace_id"]}
    return {"kind": "session", "id": row["session_id"]}


def _value(row: Mapping[str, Any]) -> Any:
    if row["data_type"] == "NUMERIC":
        return row["value"]
    return row["value"] == 1 if row["data_type"] == "BOOLEAN" else row["string_value"]


def _metadata_of(text: str) -> dict[str, Any] | None:
    value = _json(text, None)
    return value if value is None or isinstance(value, dict) else {"value": value}


def decoded(text: str) -> Any:
    """A content as the JSON it was, or the text itself."""
    return loose(text) if text else None


def _json(text: str, otherwise: Any) -> Any:
    if not text:
        return otherwise
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return otherwise


def _time(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(str(value))
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"`filter` has the time {str(value)[:40]!r}; expected ISO 8601.", param="filter") from None


def _instant(time_ns: int) -> str:
    at = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{time_ns % 10**9 // 10**6:03d}Z"
