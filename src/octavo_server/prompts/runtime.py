"""From a frozen prompt and variables to what a model is sent. Pure; bounded in steps and size, whoever wrote it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.prompts.model import MOST_BYTES, Body, Engine, Item, Message, Variable, check_value

_MUSTACHE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}")
_MOST_STEPS = 100_000
_MOST_S = 1.0


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text, or messages; what else the model is sent is in the body."""

    text: str | None
    messages: list[dict[str, Any]] | None


def render(
    body: Body, variables: Mapping[str, JSON], placeholders: Mapping[str, Sequence[dict[str, Any]]] | None = None
) -> Rendered:
    """Fills an expanded body. Raises Invalid, naming what is missing, of another type, or unknown."""
    given = placeholders or {}
    values = _checked(body, variables)
    if isinstance(body.template, str):
        return Rendered(_filled(body.engine, body.template, values), None)
    unknown = given.keys() - {item.name for item in body.template if not isinstance(item, Message)}
    if unknown:
        raise Invalid(f"The prompt has no placeholder {sorted(unknown)[0][:80]!r}.", param="placeholders")
    return Rendered(None, [one for item in body.template for one in _messages(body.engine, item, values, given)])


def variables_of(body: Body) -> tuple[Variable, ...]:
    """The variables of an expanded body: those it declares, then those its texts only use."""
    declared = {one.name for one in body.variables}
    # A Jinja2 template may ask whether a variable is there; if it needs it, filling says so.
    needed = body.engine == "mustache"
    found = dict.fromkeys(name for text in body.texts() for name in _names(body.engine, text))
    return (*body.variables, *(Variable(name=name, required=needed) for name in found if name not in declared))


def check_templates(body: Body) -> None:
    """Raises Invalid for a text that its engine does not read."""
    for text in body.texts():
        _names(body.engine, text)


def _messages(
    engine: Engine, item: Item, values: Mapping[str, JSON], given: Mapping[str, Sequence[dict[str, Any]]]
) -> Iterable[dict[str, Any]]:
    if isinstance(item, Message):
        return [{"role": item.role, "content": _filled(engine, item.content, values)}]
    if item.name not in given:
        raise Invalid(f"Placeholder {item.name!r} is missing; give a list of messages.", param="placeholders")
    return given[item.name]


def _checked(body: Body, given: Mapping[str, JSON]) -> dict[str, JSON]:
    known = variables_of(body)
    unknown = given.keys() - {one.name for one in known}
    if unknown:
        names = ", ".join(one.name for one in known) or "none"
        raise Invalid(f"The prompt has no variable {sorted(unknown)[0][:80]!r}; its variables: {names}.")
    values = {}
    for one in known:
        if one.name in given:
            check_value(one, given[one.name])
            values[one.name] = given[one.name]
        elif one.default is not None:
            values[one.name] = one.default
        elif one.required:
            raise Invalid(f"Variable {one.name!r} is missing.", param=one.name, code="variable_missing")
    return values


def _names(engine: Engine, text: str) -> Iterable[str]:
    return _MUSTACHE.findall(text) if engine == "mustache" else _compiled(text)[1]


def _filled(engine: Engine, text: str, values: Mapping[str, JSON]) -> str:
    if engine == "mustache":
        filled = _MUSTACHE.sub(lambda match: _written(values.get(match[1], "")), text)
        _check_size(len(filled))
        return filled
    steps, end = 0, time.monotonic() + _MOST_S

    def step(value: Any = None) -> Any:
        nonlocal steps
        steps += 1
        if steps > _MOST_STEPS or time.monotonic() > end:
            raise Invalid(
                f"The template takes more than {_MOST_STEPS} steps, or {_MOST_S:.0f} s.", code="template_too_long"
            )
        return value

    pieces, size = [], 0
    try:
        for piece in _compiled(text)[0].generate({**values, _STEP: step}):
            step()
            size += len(piece)
            _check_size(size)
            pieces.append(piece)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"The template cannot be filled: {str(error)[:300]}", code="template_error") from error
    return "".join(pieces).encode(errors="replace").decode()  # a literal may hold half of a character


def _written(value: JSON) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise Invalid(f"The filled prompt is over {MOST_BYTES} characters.", code="template_too_long")


# A template loops, chooses and prints. What could make much out of little (macros, blocks, methods, unbounded
# filters) is not there; loops are counted, and what is put together is measured, so that each step is short.

_STEP, _JOIN, _MEASURED = "octavo_step", "octavo_join", "octavo_measured"
_REFUSED = (
    *(nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock, nodes.Block),
    *(nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport),
)
_FILTERS = frozenset(
    {
        *("abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last", "length"),
        *("list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr"),
        *("sort", "string", "trim", "truncate", "unique", "upper", "wordcount"),
    }
)
_METHODS = frozenset({"endswith", "get", "items", "keys", "lower", "startswith", "strip", "title", "upper", "values"})


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and isinstance(left, str | list) and isinstance(right, str | list):
            _measured([left, right])
        elif not numbers or (operator == "**" and (abs(right) > 64 or abs(left) > 2**32)):
            raise Invalid(f"A template may not use {operator!r} on these values.", code="template_error")
        elif isinstance(left, int) and isinstance(right, int):
            _check_size(left.bit_length() + right.bit_length())
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and (not callable(value) or attr in _METHODS)


class _Bound(NodeTransformer):
    """Counts the turns of loops and all that may take long; measures texts that are joined and lists that are made."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 (the visitor finds it by this name)
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_call(_STEP), lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _call(_JOIN, [_call(_STEP, [node.nodes[0]]), *node.nodes[1:]])

    def visit_List(self, node: nodes.List | nodes.Dict | nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return node if getattr(node, "ctx", "load") == "store" else _call(_MEASURED, [_call(_STEP, [node])])

    visit_Dict = visit_Tuple = visit_List  # noqa: N815

    def visit_Filter(self, node: nodes.Filter) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        if node.node is not None:
            node.node = _call(_STEP, [node.node])
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802
        self.generic_visit(node)
        node.expr = _call(_STEP, [node.expr])
        return node

    def visit_Add(self, node: nodes.Add) -> nodes.Add:  # noqa: N802
        self.generic_visit(node)
        node.left = _call(_STEP, [node.left])
        return node


def _call(name: str, arguments: list[nodes.Expr] | None = None) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load"), arguments or [], [], None, None)


def _join(*values: Any) -> str:
    texts = [str(value) for value in _measured(values)]
    _check_size(sum(map(len, texts)))
    return "".join(texts)


def _join_list(values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    texts = [str(one[attribute] if attribute else one) for one in _measured(list(values))]
    _check_size(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _measured(value: Any) -> Any:
    """The value, if written out it is not too long: one that holds another many times counts it each time."""
    size, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        size += len(one) if isinstance(one, str) else 1
        _check_size(size)
        if isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
    return value


def _round(value: Any, digits: int = 0) -> float:
    return round(float(value), max(-15, min(digits, 15)))


def _tojson(value: Any, indent: int | None = None) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None).decode()


def _make_sandbox() -> _Sandbox:
    sandbox = _Sandbox(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, cache_size=0)
    allowed: dict[str, Callable[..., Any]] = {name: sandbox.filters[name] for name in _FILTERS}
    sandbox.filters = {**allowed, "join": _join_list, "round": _round, "tojson": _tojson}
    sandbox.globals = {"range": sandbox.globals["range"], _JOIN: _join, _MEASURED: _measured}
    return sandbox


_sandbox = _make_sandbox()


@lru_cache(maxsize=1024)
def _compiled(text: str) -> tuple[Template, tuple[str, ...]]:
    try:
        tree = _sandbox.parse(text)
        refused = next(tree.find_all(_REFUSED), None)
        if refused is not None:
            raise Invalid(f"A prompt's template may not have {type(refused).__name__} (line {refused.lineno}).")
        names = tuple(sorted(find_undeclared_variables(tree) - {"range"}))
        _Bound().visit(tree)
        tree.set_environment(_sandbox)
        return _sandbox.from_string(tree), names
    except (TemplateError, RecursionError) as error:
        raise Invalid(f"The template is no Jinja2 that is allowed here: {str(error)[:300]}") from error
