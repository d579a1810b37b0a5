"""Writes the SDK's types and calls from `openapi.json`: `python -m tools.sdk [--check]`."""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OPENAPI = ROOT / "openapi.json"
FOLDER = ROOT / "src" / "octavo" / "api"

Schema = dict[str, Any]

_MADE = '"""Made from openapi.json by `make openapi`; do not edit."""'
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


def type_name(schema: str) -> str:
    """`ProjectView` → `Project`, `Page_ProjectView_` → `Page[Project]`."""
    page = re.fullmatch(r"Page_(\w+)_", schema)
    if page:
        return f"Page[{type_name(page[1])}]"
    return re.sub(r"(View|Out)$", "", schema)


def type_of(schema: Schema, prefix: str = "") -> str:
    """The Python type of a JSON schema; `prefix` goes before the names of other types."""
    if "$ref" in schema:
        name = type_name(schema["$ref"].rsplit("/", 1)[1])
        return f"{prefix}Page[{prefix}{name[5:-1]}]" if name.startswith("Page[") else prefix + name
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_of(one, prefix) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(json.dumps(value) for value in values)}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{type_of(schema.get('items', {}), prefix)}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {type_of(values, prefix) if isinstance(values, dict) else 'Any'}]"
    return _SCALARS.get(kind or "", "Any")


def types_module(document: Schema) -> str:
    """`types.py`: a TypedDict for each object, a Literal for each enumeration."""
    lines = [
        _MADE,
        "",
        "from __future__ import annotations",
        "",
        "from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar",
        "",
        'T = TypeVar("T")',
        "",
        "class Page(TypedDict, Generic[T]):",
        '    """One page of results, and the cursor of the next or None on the last."""',
        "",
        "    data: list[T]",
        "    next_cursor: str | None",
        "",
    ]
    taken: dict[str, str] = {}
    for name, schema in sorted(document["components"]["schemas"].items()):
        own = type_name(name)
        if own.startswith("Page["):
            continue
        if taken.setdefault(own, name) != name:
            raise SystemExit(f"{name} and {taken[own]} would both be the type {own}: rename one of them")
        lines += _type(own, schema)
    return "\n".join(lines)


def _type(name: str, schema: Schema) -> list[str]:
    if schema.get("type") != "object":
        return [f"{name} = {type_of(schema)}", _doc(schema, ""), ""]
    members = schema.get("properties", {})
    if not members:
        return [f"{name} = dict[str, Any]", ""]
    lines = [f"class {name}(TypedDict):", _doc(schema, "    ")]
    for member, inner in members.items():
        kind = type_of(inner)
        lines.append(f"    {member}: {kind if member in schema.get('required', ()) else f'NotRequired[{kind}]'}")
    return [*lines, ""]


def _doc(schema: Schema, indent: str) -> str:
    text = " ".join(schema.get("description", "").split())
    return f'{indent}"""{text}"""' if text and "\\" not in text and '"""' not in text else ""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A parameter of a call. `place` is path, query or body."""

    name: str
    kind: str
    place: str
    required: bool


def _arguments(document: Schema, operation: Schema) -> list[Argument]:
    found = [
        Argument(
            name=one["name"],
            kind=type_of(one["schema"], "types."),
            place=one["in"],
            required=bool(one.get("required")),
        )
        for one in operation.get("parameters", [])
        if one["in"] in ("path", "query")
    ]
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        body = content["application/json"]["schema"]
        schema = document["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]] if "$ref" in body else body
        for name, inner in schema.get("properties", {}).items():
            required = name in schema.get("required", ())
            found.append(Argument(name=name, kind=type_of(inner, "types."), place="body", required=required))
    return sorted(found, key=lambda one: (one.place != "path", not one.required))


def _answer(operation: Schema) -> str | None:
    """The type of a successful answer; None when it is not JSON."""
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            content = response.get("content", {})
            if not content:
                return "None"
            schema = content.get("application/json", {}).get("schema")
            return None if schema is None else type_of(schema, "types.")
    return None


def _call(document: Schema, method: str, path: str, operation: Schema, *, is_async: bool) -> list[str]:
    answer = _answer(operation)
    if answer is None:
        return []
    arguments = _arguments(document, operation)
    signature = ["self", *(f"{_safe(one.name)}: {one.kind}" for one in arguments if one.place == "path")]
    named = [one for one in arguments if one.place != "path"]
    if named:
        signature.append("*")
    for one in named:
        signature.append(
            f"{_safe(one.name)}: {one.kind}"
            if one.required
            else f"{_safe(one.name)}: {_optional(one.kind)} = NOT_GIVEN"
        )
    sent = [f'"{method.upper()}"', f'"{re.sub(r"{[^}]*}", "{}", path)}"']
    paths = [_safe(one.name) for one in arguments if one.place == "path"]
    if paths:
        sent.append(f"({', '.join(paths)},)")
    for place, keyword_ in (("query", "params"), ("body", "body")):
        items = [f'"{one.name}": {_safe(one.name)}' for one in arguments if one.place == place]
        if items:
            sent.append(f"{keyword_}={{{', '.join(items)}}}")
    define, wait = ("async def", "await ") if is_async else ("def", "")
    run = f"{wait}self._call({', '.join(sent)})"
    return [
        f"    {define} {operation['operationId']}({', '.join(signature)}) -> {answer}:",
        _doc(operation, "        "),
        f"        {run}" if answer == "None" else f"        return cast({answer!r}, {run})",
        "",
    ]


def _optional(kind: str) -> str:
    bare = kind.removesuffix(" | None")
    return f"{bare} | NotGiven" + (" | None" if bare != kind else "")


def _safe(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def calls_module(document: Schema, *, is_async: bool) -> str:
    """`calls.py` or `async_calls.py`: a method for each operation."""
    name = "AsyncCalls" if is_async else "Calls"
    wait = "async " if is_async else ""
    lines = [
        _MADE,
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping, Sequence",
        "from typing import Any, Literal, cast",
        "",
        "from octavo.api import types",
        "from octavo.api.sending import NOT_GIVEN, NotGiven",
        "",
        f"class {name}:",
        '    """Every call of the control API. Raises `octavo.errors`."""',
        "",
        f"    {wait}def _call(",
        "        self,",
        "        method: str,",
        "        path: str,",
        "        values: Sequence[str] = (),",
        "        *,",
        "        params: Mapping[str, Any] | None = None,",
        "        body: Mapping[str, Any] | None = None,",
        "    ) -> Any:",
        "        raise NotImplementedError",
        "",
    ]
    for path, operations in sorted(document["paths"].items()):
        for method, operation in sorted(operations.items()):
            if path.startswith("/api/v1/"):
                lines += _call(document, method, path, operation, is_async=is_async)
    return "\n".join(lines)


def modules() -> dict[Path, str]:
    """The files and what they have to hold."""
    document = json.loads(OPENAPI.read_text())
    drafts = {
        FOLDER / "types.py": types_module(document),
        FOLDER / "calls.py": calls_module(document, is_async=False),
        FOLDER / "async_calls.py": calls_module(document, is_async=True),
    }
    return {path: _formatted(text, path.name) for path, text in drafts.items()}


def paths() -> list[str]:
    """The paths of the API."""
    return list(json.loads(OPENAPI.read_text())["paths"])


def _formatted(text: str, name: str) -> str:
    for arguments in (["check", "--select", "I,F401", "--fix", "--quiet"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", f"src/octavo/api/{name}", "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return text


def main() -> int:
    stale = [path for path, text in modules().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `make openapi`")
        return 1 if stale else 0
    for path, text in modules().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
