"""Grammars (GBNF, llama.cpp's notation) under which a model can only write JSON that ends in time.

A small model left alone in JSON mode repeats itself until it is cut off, and half an object does not parse. So every
text, list and number is bounded, there is no white space to wander in, and the bounds shrink until the longest
possible answer fits the tokens allowed. A token of a byte-level model is at least one byte: bytes bound tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers.base import JsonObject

MAX_DEPTH = 6
MAX_CHOICES = 200


class Bounds(NamedTuple):
    """How long a text and a list may get."""

    text: int
    items: int


_LADDER = tuple(
    Bounds(*pair)
    for pair in ((200, 8), (160, 6), (120, 5), (80, 4), (60, 3), (40, 3), (24, 2), (16, 2), (8, 1), (4, 1), (1, 1))
)
# No quote, backslash or control character: nothing to escape. At most two bytes a character.
_CHARACTER = r"[ !#-\x5B\x5D-~\u00A1-\u017F]"
_BYTES_OF_CHARACTER = 2


class Rule(NamedTuple):
    """A piece of grammar and the most bytes that it can produce."""

    text: str
    size: int


def grammar_for(schema: JsonObject | None, *, budget: int, example: JsonObject | None = None) -> str:
    """The grammar of an answer to `schema`, or of any JSON object (with the members of `example`, a schema guessed
    from the prompt, when there is one). The loosest bounds whose longest answer has `budget` bytes are taken; when
    none has, the tightest: such an answer may still be cut by the token limit, as with any provider."""
    wanted = schema if schema is not None else example
    rule = Rule("", 0)
    for bounds in _LADDER:
        rule = _Writer(wanted, bounds).root() if wanted is not None else _any_object(bounds)
        if rule.size <= budget:
            break
    return f"root ::= {rule.text}\n"


def _any_object(bounds: Bounds) -> Rule:
    key = Rule(r'"\"" [a-z_]{1,16} "\":"', 19)
    member = _sequence([key, _scalar(bounds)])
    return _listed("{", member, 1, bounds.items, "}")


# ---- building blocks --------------------------------------------------------------------------------------------


def _literal(text: str) -> Rule:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return Rule(f'"{escaped}"', len(text.encode()))


def _constant(value: Any) -> Rule:
    return _literal(orjson.dumps(value).decode())


def _sequence(rules: Iterable[Rule]) -> Rule:
    parts = list(rules)
    return Rule(" ".join(part.text for part in parts), sum(part.size for part in parts))


def _choice(rules: Iterable[Rule]) -> Rule:
    parts = list(dict.fromkeys(rules))
    if len(parts) == 1:
        return parts[0]
    return Rule("(" + " | ".join(part.text for part in parts) + ")", max(part.size for part in parts))


def _text(least: int, most: int) -> Rule:
    return Rule(rf'"\"" {_CHARACTER}{{{least},{most}}} "\""', 2 + most * _BYTES_OF_CHARACTER)


def _listed(opening: str, item: Rule, least: int, most: int, closing: str) -> Rule:
    """`item`s between brackets, with commas."""
    if most <= 0:
        return _literal(opening + closing)
    size = 2 + most * (item.size + 1)
    rest = f' ("," {item.text}){{{max(0, least - 1)},{most - 1}}}' if most > 1 else ""
    inner = f"{item.text}{rest}"
    return Rule(f'"{opening}" ' + (inner if least else f"({inner})?") + f' "{closing}"', size)


_NUMBER = Rule(r'"-"? ("0" | [1-9] [0-9]{0,5}) ("." [0-9]{1,3})?', 11)
_INTEGER = Rule(r'"-"? ("0" | [1-9] [0-9]{0,5})', 7)
_BOOLEAN = Rule('("true" | "false")', 5)
_NULL = Rule('"null"', 4)
_DATE = r'"20" [0-9] [0-9] "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | "1" [0-9] | "2" [0-8])'
_TIME = r'("0" [0-9] | "1" [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] "Z"'
_UUID = r'[0-9a-f]{8} "-" [0-9a-f]{4} "-4" [0-9a-f]{3} "-" [89ab] [0-9a-f]{3} "-" [0-9a-f]{12}'
_FORMATS: Mapping[str, Rule] = {
    "date": Rule(rf'"\"" {_DATE} "\""', 12),
    "time": Rule(rf'"\"" {_TIME} "\""', 11),
    "date-time": Rule(rf'"\"" {_DATE} "T" {_TIME} "\""', 22),
    "uuid": Rule(rf'"\"" {_UUID} "\""', 38),
    "email": Rule(r'"\"" [a-z] [a-z0-9.]{0,15} [a-z0-9] "@" [a-z] [a-z0-9]{1,11} ".com\""', 36),
    "uri": Rule(r'"\"https://" [a-z] [a-z0-9]{1,15} ".com/" [a-z0-9/-]{0,24} "\""', 56),
}


def _scalar(bounds: Bounds) -> Rule:
    return _choice([_text(0, min(bounds.text, 80)), _NUMBER, _BOOLEAN, _NULL])


# ---- schemas ----------------------------------------------------------------------------------------------------


class _Writer:
    """Writes one schema as a rule, everything inline."""

    def __init__(self, schema: JsonObject, bounds: Bounds) -> None:
        self._schema = schema
        self._bounds = bounds

    def root(self) -> Rule:
        return self._rule(self._schema, "schema", 0)

    def _rule(self, schema: Any, at: str, depth: int) -> Rule:
        if schema is True or schema == {}:
            return _scalar(self._bounds)
        if not isinstance(schema, dict):
            raise Invalid(f"{at} is {schema!r}; expected a JSON schema.", param="response_format")
        if depth > 4 * MAX_DEPTH:
            raise Invalid(f"{at} requires itself without end: no answer can satisfy it.", param="response_format")
        if "$ref" in schema:
            return self._rule(self._resolve(schema["$ref"], at), at, depth + 1)
        if "const" in schema:
            return _constant(schema["const"])
        if "enum" in schema:
            return _choice(_constant(value) for value in schema["enum"])
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return self._any_of(schema[name], f"{at}.{name}", depth)
        if "allOf" in schema:
            return self._rule(self._merged(schema, at), at, depth + 1)
        if "pattern" in schema or "not" in schema or "if" in schema:
            raise Invalid(
                f"{at} uses pattern, not or if, which the local model's grammar cannot express.",
                param="response_format",
            )
        kind = schema.get("type")
        if isinstance(kind, list):
            return _choice(self._typed({**schema, "type": one}, one, at, depth) for one in kind)
        return self._typed(schema, kind, at, depth)

    def _typed(self, schema: JsonObject, kind: Any, at: str, depth: int) -> Rule:
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, at, depth)
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema, at, depth)
        match kind:
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return _BOOLEAN
            case "null":
                return _NULL
            case None:
                return _scalar(self._bounds)
        raise Invalid(f"{at}.type is {kind!r}, which is not a JSON type.", param="response_format")

    def _any_of(self, schemas: list[Any], at: str, depth: int) -> Rule:
        """Branches that go too deep are left out as long as one is left."""
        rules: list[Rule] = []
        error: Invalid | None = None
        for index, schema in enumerate(sorted(schemas, key=_weight) if depth > MAX_DEPTH else schemas):
            if depth > MAX_DEPTH and rules:
                break
            try:
                rules.append(self._rule(schema, f"{at}[{index}]", depth + 1))
            except Invalid as invalid:
                error = invalid
        if not rules:
            raise error or Invalid(f"{at} has no alternatives.", param="response_format")
        return _choice(rules)

    def _object(self, schema: JsonObject, at: str, depth: int) -> Rule:
        properties = schema.get("properties") or {}
        required = schema.get("required") or ()
        extra = schema.get("additionalProperties")
        if not properties:
            if isinstance(extra, dict) and depth <= MAX_DEPTH:
                value = self._rule(extra, f"{at}.additionalProperties", depth + 1)
                key = Rule(r'"\"" [a-zA-Z_]{1,16} "\":"', 19)
                least = int(schema.get("minProperties") or 0)
                return _listed("{", _sequence([key, value]), least, max(least, self._bounds.items), "}")
            return _literal("{}") if extra is False or depth else _any_object(self._bounds)
        # An optional member is always given, until that goes too deep.
        members = [
            _sequence([_constant(name), _literal(":"), self._rule(inner, f"{at}.{name}", depth + 1)])
            for name, inner in properties.items()
            if name in required or depth <= MAX_DEPTH
        ]
        return _sequence([_literal("{"), *_between(members), _literal("}")])

    def _array(self, schema: JsonObject, at: str, depth: int) -> Rule:
        prefix = [self._rule(item, f"{at}[{i}]", depth + 1) for i, item in enumerate(schema.get("prefixItems") or ())]
        if prefix:
            return _sequence([_literal("["), *_between(prefix), _literal("]")])
        least = int(schema.get("minItems") or 0)
        most = int(schema.get("maxItems", max(least, self._bounds.items)))
        most = max(least, min(most, self._bounds.items))
        if depth > MAX_DEPTH:
            most = least
        if most == 0:
            return _literal("[]")
        return _listed("[", self._rule(schema.get("items", True), f"{at}[]", depth + 1), least, most, "]")

    def _string(self, schema: JsonObject) -> Rule:
        if (known := _FORMATS.get(schema.get("format", ""))) is not None:
            return known
        least = int(schema.get("minLength") or 0)
        most = int(schema.get("maxLength", max(least, self._bounds.text)))
        return _text(least, max(least, min(most, self._bounds.text)))

    def _resolve(self, ref: Any, at: str) -> Any:
        node: Any = self._schema
        if ref == "#":
            return node
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise Invalid(f"{at} refers to {ref!r}; only references inside the schema work.", param="response_format")
        for step in ref[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or step not in node:
                raise Invalid(f"{at} refers to {ref!r}, which the schema does not define.", param="response_format")
            node = node[step]
        return node

    def _merged(self, schema: JsonObject, at: str) -> JsonObject:
        merged: JsonObject = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema["allOf"]:
            while isinstance(part, dict) and "$ref" in part:
                part = self._resolve(part["$ref"], at)
            for name, value in part.items():
                if name == "properties":
                    merged[name] = {**merged.get(name, {}), **value}
                elif name == "required":
                    merged[name] = [*merged.get(name, ()), *value]
                else:
                    merged.setdefault(name, value)
        return merged


def _between(rules: list[Rule]) -> list[Rule]:
    spread: list[Rule] = []
    for rule in rules:
        spread.extend([_literal(","), rule] if spread else [rule])
    return spread


def _weight(schema: Any) -> int:
    return len(orjson.dumps(schema))


def _number(schema: JsonObject, *, whole: bool) -> Rule:
    """Within limits a number is one of evenly spread values, so that every answer keeps to them."""
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    low = schema.get("minimum", above)
    high = schema.get("maximum", below)
    step = schema.get("multipleOf") or (1 if whole else None)
    if low is None and high is None and step in (None, 1):
        return _INTEGER if whole else _NUMBER
    width = 100 * (step or 1)
    start: float = low if low is not None else high - width if high is not None else 0
    end: float = high if high is not None else start + width
    values = _spread(start, end, step)
    allowed = [
        value
        for value in values
        if (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    ]
    if not allowed:
        raise Invalid(f"No number satisfies the limits of {schema!r}.", param="response_format")
    return _choice(_constant(value) for value in allowed)


def _spread(start: float, end: float, step: float | None) -> list[int | float]:
    if step is not None and float(step).is_integer():
        size = int(step)
        first = -(-start // size) * size
        count = int((end - first) // size) + 1
        stride = max(1, -(-count // MAX_CHOICES))
        return [int(first + index * size) for index in range(0, max(0, count), stride)]
    if step is not None:
        count = min(MAX_CHOICES, int((end - start) / step) + 1)
        first = -(-start // step)
        return [round((first + index) * step, 9) for index in range(count)]
    return [round(start + (end - start) * index / 100, 4) for index in range(101)]


# ---- what a prompt says about the answer ------------------------------------------------------------------------------------

_LISTED = re.compile(r"\b(?:keys?|fields?|properties)\b(?P<names>[^.\n{}]{3,200})", re.I)
_QUOTED = re.compile(r"[`'\"](?P<name>[A-Za-z_]\w{0,39})[`'\"]")
_BARE = re.compile(r"(?:^|,|\band\b)\s*(?P<name>[A-Za-z_]\w{0,39})\s*(?:\([^)]*\))?\s*(?=,|\band\b|$)")
_COUNTED = re.compile(r"score|rating|confidence|count|number|probability|grade", re.I)
_KEY = re.compile(r'\s*"(?P<key>[\w][\w .\-]{0,39})"\s*:\s*')
_RANGE = re.compile(r"(?P<low>-?\d+(?:\.\d+)?)\s*(?:-|–|to|\.\.)\s*(?P<high>-?\d+(?:\.\d+)?)")
_NUMERIC = re.compile(r"^[<\[(]?\s*(?:-?\d|int|float|number|score|rating)", re.I)


def example_in(prompt: str) -> JsonObject | None:
    """The schema of the last JSON object that a prompt spells out as an example (`{"score": 0-10, "reason": "…"}`),
    so that "answer as JSON like …" gets the members it asks for; else of the names it lists ("with keys score and
    reason"). None when it does neither."""
    found = _listed_names(prompt)
    position = prompt.find("{")
    while position >= 0:
        members, end = _members(prompt, position + 1)
        if members:
            found = {"type": "object", "properties": members, "required": list(members)}
        position = prompt.find("{", max(end, position + 1))
    return found


def _listed_names(prompt: str) -> JsonObject | None:
    match = _LISTED.search(prompt)
    if match is None:
        return None
    listed = match["names"].strip(" :,;")
    names = [found["name"] for found in _QUOTED.finditer(listed)] or [found["name"] for found in _BARE.finditer(listed)]
    if not names or len(names) > 12:
        return None
    members: JsonObject = {name: {"type": "number" if _COUNTED.search(name) else "string"} for name in names}
    return {"type": "object", "properties": members, "required": names}


def _members(text: str, start: int) -> tuple[JsonObject, int]:
    members: JsonObject = {}
    position = start
    while (match := _KEY.match(text, position)) and len(members) < 12:
        end = _value_end(text, match.end())
        members[match["key"]] = _guess(text[match.end() : end].strip())
        position = end + 1
        if text[end : end + 1] != ",":
            break
    return members, position


def _value_end(text: str, start: int) -> int:
    """Where a value written in an example ends: at its comma or closing brace."""
    depth, quoted, position = 0, False, start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "{[(<":
            depth += 1
        elif not quoted and character in "}])>":
            if depth == 0:
                return position
            depth -= 1
        elif not quoted and depth == 0 and character in ",\n":
            return position
        position += 1
    return position


def _guess(value: str) -> JsonObject:
    """The schema that an example value stands for."""
    if value.startswith("["):
        inner = value[1:-1].strip()
        return {"type": "array", "items": _guess(inner) if inner else {"type": "string"}}
    if value.startswith("{"):
        members, _ = _members(value, 1)
        return {"type": "object", "properties": members, "required": list(members)} if members else {}
    options = [option.strip().strip('"') for option in value.strip('"<>').split("|")]
    if len(options) > 1 and all(0 < len(option) <= 40 for option in options):
        if {option.lower() for option in options} <= {"true", "false"}:
            return {"type": "boolean"}
        if all(re.fullmatch(r"-?\d+", option) for option in options):
            return {"enum": [int(option) for option in options]}
        return {"enum": options}
    if value.startswith('"'):
        return {"type": "string"}
    if value.lower().strip("<>").startswith(("true", "false", "bool")):
        return {"type": "boolean"}
    if match := _RANGE.search(value):
        low, high = match["low"], match["high"]
        if float(low) < float(high):
            if "." in low + high or high in ("1",):
                return {"type": "number", "minimum": float(low), "maximum": float(high)}
            return {"type": "integer", "minimum": int(low), "maximum": int(high)}
    if _NUMERIC.match(value):
        return {"type": "integer" if re.match(r"^<?\s*int", value, re.I) else "number"}
    return {"type": "string"}
