"""JSON schemas as providers with strict decoding want them."""

from __future__ import annotations

from typing import Any

from octavo_server.gateway.providers.base import JsonObject

_STRING_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_KEPT = frozenset(
    {"$ref", "$defs", "definitions", "title", "description", "type", "enum", "const", "default", "pattern"}
)


def closed(schema: Any) -> Any:
    """The schema with `additionalProperties: false` on every object, and constraints that strict decoders refuse
    (`minimum`, `maxLength`, …) told to the model in the description, as Anthropic's own SDK does."""
    if not isinstance(schema, dict):
        return schema
    kept: JsonObject = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in ("properties", "$defs", "definitions"):
            kept[name] = {key: closed(inner) for key, inner in value.items()}
        elif name in ("anyOf", "oneOf", "allOf"):
            kept["anyOf" if name == "oneOf" else name] = [closed(inner) for inner in value]
        elif name == "items":
            kept[name] = closed(value)
        elif _is_kept(name, value):
            kept[name] = value
        elif name != "$schema":
            told.append(f"{name}: {value}")
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    if told:
        description = kept.get("description")
        note = "{" + ", ".join(told) + "}"
        kept["description"] = f"{description}\n\n{note}" if description else note
    return kept


def _is_kept(name: str, value: Any) -> bool:
    return (
        name in _KEPT
        or name in ("required", "additionalProperties")
        or (name == "format" and value in _STRING_FORMATS)
        or (name == "minItems" and value in (0, 1))
    )
