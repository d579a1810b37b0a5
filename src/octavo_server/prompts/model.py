"""What a prompt is, how two are compared and merged. Pure.

A `Body` is what a version freezes: text, variables, model, parameters, tools, response schema, and the digests of the
prompts it includes. Its digest is its identity; who wrote it, when and why stays outside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import unified_diff
from typing import Any, Literal, NamedTuple

import orjson

from octavo_server.core.digest import JSON, digest
from octavo_server.core.errors import Conflict, Invalid, NotFound
from octavo_server.core.events import Actor

Kind = Literal["text", "chat"]
Engine = Literal["mustache", "jinja2"]
VariableType = Literal["any", "string", "number", "integer", "boolean", "object", "list", "json"]

LATEST = "latest"
MOST_BYTES = 1_000_000
_DEEPEST = 10

_NAME = re.compile(r"[^\s/@|\x00-\x1f][^@|\x00-\x1f]{0,254}")
_LABEL = re.compile(r"[a-z0-9][a-z0-9_.-]{0,35}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ROLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_INCLUDE = re.compile(
    r"\{\{>\s*(?P<reference>[^{}]+?)\s*\}\}"
    r"|@@@langfusePrompt:name=(?P<name>[^|@]+)\|(?P<by>label|version)=(?P<which>[^@|]+)@@@"
)


class PromptNotFound(NotFound):
    code = "prompt_not_found"


class LabelMoved(Conflict):
    """Somebody else moved the label first."""

    code = "label_moved"


class MergeConflict(Conflict):
    """Both sides changed the same parts, in different ways."""

    code = "merge_conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What a template is filled with; it must be given unless it has a default or is not required."""

    name: str
    type: VariableType = "any"
    description: str = ""
    required: bool = True
    default: JSON = None


class Message(NamedTuple):
    """One message of a chat prompt."""

    role: str
    content: str


class Placeholder(NamedTuple):
    """Where the caller's messages go, such as the history."""

    name: str


Item = Message | Placeholder


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a version freezes. `includes` says which digest each reference in the text meant when it was frozen."""

    template: str | tuple[Item, ...]
    engine: Engine = "mustache"
    variables: tuple[Variable, ...] = ()
    model: str | None = None
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    tools: tuple[JSON, ...] = ()
    response_schema: Mapping[str, JSON] | None = None
    config: JSON = None  # of Langfuse's clients, as they gave it
    includes: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return "text" if isinstance(self.template, str) else "chat"

    def texts(self) -> Iterator[str]:
        """Every text of the template."""
        if isinstance(self.template, str):
            yield self.template
        else:
            yield from (item.content for item in self.template if isinstance(item, Message))

    def with_texts(self, change: Callable[[str], str]) -> Body:
        """This body with each text of its template changed."""
        if isinstance(self.template, str):
            return replace(self, template=change(self.template))
        items = (
            item._replace(content=change(item.content)) if isinstance(item, Message) else item for item in self.template
        )
        return replace(self, template=tuple(items))

    def value(self) -> dict[str, JSON]:
        """The JSON that is stored and digested."""
        return {
            "kind": self.kind,
            "template": self.template if isinstance(self.template, str) else [item_value(one) for one in self.template],
            "engine": self.engine,
            "variables": [
                {
                    "name": one.name,
                    "type": one.type,
                    "description": one.description,
                    "required": one.required,
                    "default": one.default,
                }
                for one in self.variables
            ],
            "model": self.model,
            "parameters": dict(self.parameters),
            "tools": list(self.tools),
            "response_schema": None if self.response_schema is None else dict(self.response_schema),
            "config": self.config,
            "includes": dict(self.includes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which version a fork began with, or was last merged at."""

    name: str
    number: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A name, under which versions are numbered from 1. `/` in a name makes folders. Tags are of all its versions."""

    project_id: str
    name: str
    kind: Kind
    tags: tuple[str, ...] = ()
    last_number: int = 0
    origin: Origin | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One frozen body of a prompt, and who froze it."""

    name: str
    number: int
    digest: str
    author: Actor
    message: str
    created_at: datetime
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def view(self) -> dict[str, JSON]:
        """What events digest."""
        return {"name": self.name, "number": self.number, "digest": self.digest, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One step of a label: None is before its creation and after its deletion."""

    label: str
    at: datetime
    actor: Actor
    from_number: int | None
    to_number: int | None
    reason: str


class Reference(NamedTuple):
    """`name`, `name@label`, `name@12` or `name@sha256:…`; one without a selector means `production`."""

    name: str
    label: str | None = None
    number: int | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.digest or self.number or self.label}"


def parse_reference(text: str) -> Reference:
    """Raises Invalid."""
    name, at, selector = text.partition("@")
    check_name(name)
    if not at:
        return Reference(name, label="production")
    if selector.isascii() and selector.isdigit() and 0 < int(selector[:10]) < 2**31 and len(selector) <= 10:
        return Reference(name, number=int(selector))
    if _DIGEST.fullmatch(selector):
        return Reference(name, digest=selector)
    return Reference(name, label=check_label(selector))


def check_name(name: str) -> str:
    """Raises Invalid."""
    if not _NAME.fullmatch(name) or name.endswith("/") or "//" in name or name != name.strip():
        raise Invalid(
            f"{name[:80]!r} is no name of a prompt; use up to 255 characters without '@' and '|', with single '/' "
            "between folders.",
            param="name",
        )
    return name


def check_label(label: str) -> str:
    """Raises Invalid. A label is never a number, so that `name@12` is always a version."""
    if not _LABEL.fullmatch(label) or label.isdigit():
        raise Invalid(
            f"{label[:80]!r} is no label; use up to 36 of a-z, 0-9, '_', '-' and '.', and not only digits.",
            param="label",
        )
    return label


def item_value(item: Item) -> dict[str, JSON]:
    """A message or placeholder as JSON."""
    if isinstance(item, Placeholder):
        return {"placeholder": item.name}
    return {"role": item.role, "content": item.content}


def item_of(value: Any) -> Item:
    """A message or placeholder out of JSON, Langfuse's form too. Raises Invalid."""
    if isinstance(value, dict):
        if value.get("type") == "placeholder" and isinstance(value.get("name"), str):
            return Placeholder(value["name"])
        if isinstance(value.get("placeholder"), str):
            return Placeholder(value["placeholder"])
        if isinstance(value.get("role"), str) and isinstance(value.get("content"), str):
            return Message(value["role"], value["content"])
    raise Invalid(
        'An item of a chat prompt is {"role", "content"} with texts or {"placeholder"}; this one is neither.',
        param="template",
    )


def body_of(value: Mapping[str, Any]) -> Body:
    """The body that `value()` gave. What is stored stays readable: what is missing has its default."""
    template = value["template"]
    return Body(
        template=template if isinstance(template, str) else tuple(item_of(item) for item in template),
        engine=value.get("engine", "mustache"),
        variables=tuple(Variable(**one) for one in value.get("variables", ())),
        model=value.get("model"),
        parameters=value.get("parameters", {}),
        tools=tuple(value.get("tools", ())),
        response_schema=value.get("response_schema"),
        config=value.get("config"),
        includes=value.get("includes", {}),
    )


def check_body(body: Body) -> None:
    """Raises Invalid for a body that no caller could use."""
    if body.kind == "chat" and not body.template:
        raise Invalid("A chat prompt has at least one message.", param="template")
    for item in () if isinstance(body.template, str) else body.template:
        if isinstance(item, Message) and not _ROLE.fullmatch(item.role):
            raise Invalid(f"{item.role[:40]!r} is no role; expected one such as system or user.", param="template")
        if isinstance(item, Placeholder) and not _VARIABLE.fullmatch(item.name):
            raise Invalid(f"{item.name[:80]!r} is no name of a placeholder; use letters, digits and '_'.")
    seen = set()
    for one in body.variables:
        if not _VARIABLE.fullmatch(one.name) or one.name in seen:
            raise Invalid(f"Variable {one.name[:80]!r} is declared twice or has no plain name.", param="variables")
        seen.add(one.name)
        if one.default is not None:
            check_value(one, one.default)
    try:
        digest(body.value())
        size = len(orjson.dumps(body.value()))
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(f"The prompt cannot be written as canonical JSON: {error}") from error
    if size > MOST_BYTES:
        raise Invalid(f"The prompt has {size} bytes; at most {MOST_BYTES} are kept.")


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "list": (list,),
    "json": (dict, list, str, int, float, bool, type(None)),
}


def check_value(variable: Variable, value: JSON) -> None:
    """Raises Invalid for a value of another type than declared."""
    expected = _TYPES.get(variable.type)
    is_stray_bool = isinstance(value, bool) and variable.type in ("number", "integer")
    if expected is not None and (not isinstance(value, expected) or is_stray_bool):
        raise Invalid(
            f"Variable {variable.name!r} is a {type(value).__name__}; expected {variable.type}.", param=variable.name
        )


def references_in(body: Body) -> dict[str, Reference]:
    """What the template includes, by the text of each reference: `{{> name@label}}`, and Langfuse's own form."""
    return {_written(match): _included(match) for text in body.texts() for match in _INCLUDE.finditer(text)}


def expand(body: Body, read: Callable[[str], Body], *, deep: int = 0) -> Body:
    """The body with the texts of the prompts it includes, by the digests it was frozen with; their variables are
    declared with its own. Raises Invalid."""
    if not body.includes:
        return body
    if deep > _DEEPEST:
        raise Invalid(f"Prompts include each other more than {_DEEPEST} deep.", code="prompt_too_deep")
    children = {written: expand(read(found), read, deep=deep + 1) for written, found in body.includes.items()}
    declared = {one.name: one for child in children.values() for one in child.variables}
    declared |= {one.name: one for one in body.variables}
    for written, child in children.items():
        if not isinstance(child.template, str) or child.engine != body.engine:
            raise Invalid(
                f"{written!r} is a {child.kind} prompt in {child.engine}; a prompt in {body.engine} includes only "
                f"text prompts in {body.engine}."
            )
    left = MOST_BYTES

    def text_of(match: re.Match[str]) -> str:
        nonlocal left
        text = str(children[_written(match)].template)
        left -= len(text)
        if left < 0:
            raise Invalid(f"With what it includes, the prompt is over {MOST_BYTES} characters.")
        return text

    whole = body.with_texts(lambda text: _INCLUDE.sub(text_of, text))
    return replace(whole, variables=tuple(declared.values()))


def _written(match: re.Match[str]) -> str:
    return str(_included(match))


def _included(match: re.Match[str]) -> Reference:
    if match["reference"]:
        return parse_reference(match["reference"])
    return parse_reference(f"{match['name'].strip()}@{match['which'].strip()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One part that differs. Texts have a unified diff as well."""

    part: str
    before: JSON
    after: JSON
    diff: str = ""


def compare(before: Body, after: Body) -> list[Change]:
    """The parts of two bodies that differ."""
    old, new = _parts(before), _parts(after)
    changes = []
    for part in sorted(old.keys() | new.keys()):
        was, now = old.get(part), new.get(part)
        if was == now and (part in old) == (part in new):
            continue
        lines = unified_diff(_lines(was), _lines(now), "before", "after", lineterm="")
        changes.append(Change(part=part, before=was, after=now, diff="\n".join(lines)))
    return changes


def merge(base: Body, ours: Body, theirs: Body) -> Body:
    """What both sides made of `base`, part by part. Raises MergeConflict with the parts that both changed."""
    old, left, right = _parts(base), _parts(ours), _parts(theirs)
    merged: dict[str, JSON] = {}
    conflicts = []
    for part in sorted(old.keys() | left.keys() | right.keys()):
        was, mine, other = (side.get(part, _ABSENT) for side in (old, left, right))
        if mine != was and other != was and mine != other:
            conflicts.append(part)
        chosen = other if mine == was else mine
        if chosen is not _ABSENT:
            merged[part] = chosen  # type: ignore[assignment]
    if conflicts:
        raise MergeConflict(f"Both sides changed {', '.join(conflicts)}; change one side to agree, then merge again.")
    return _from_parts(merged)


_ABSENT = object()
_GROUPS = ("parameters", "variables", "includes")


def _parts(body: Body) -> dict[str, JSON]:
    """A body cut into what changes by itself: each parameter, variable and include is a part."""
    value = body.value()
    parts: dict[str, JSON] = {key: value[key] for key in value if key not in _GROUPS and key != "kind"}
    parts |= {f"parameters.{key}": one for key, one in body.parameters.items()}
    parts |= {f"includes.{key}": one for key, one in body.includes.items()}
    parts |= {f"variables.{one['name']}": one for one in value["variables"]}  # type: ignore[union-attr,index,call-overload]
    return parts


def _from_parts(parts: Mapping[str, JSON]) -> Body:
    value: dict[str, Any] = {"parameters": {}, "includes": {}, "variables": []}
    for part, one in parts.items():
        group, _, key = part.partition(".")
        if group not in _GROUPS:
            value[part] = one
        elif group == "variables":
            value[group].append(one)
        else:
            value[group][key] = one
    return body_of(value)


def _lines(value: JSON) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return value.splitlines()
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode().splitlines()
