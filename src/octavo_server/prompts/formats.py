"""Prompts as other tools write them: Langfuse, MLflow, promptfoo, Dotprompt, Prompty. Pure."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

import orjson
import yaml

from octavo_server.core.errors import Invalid
from octavo_server.prompts.model import (
    LATEST,
    Body,
    Item,
    Message,
    Placeholder,
    Variable,
    VariableType,
    Version,
    body_of,
    item_value,
)
from octavo_server.prompts.runtime import variables_of

Format = Literal["langfuse", "mlflow", "promptfoo", "dotprompt", "prompty"]


def config_of(body: Body) -> Any:
    """What Langfuse calls the config: as its client gave it, else the model with its parameters, tools and schema."""
    own: dict[str, Any] = {} if body.model is None else {"model": body.model}
    own |= body.parameters
    if body.tools:
        own["tools"] = list(body.tools)
    if body.response_schema is not None:
        own["response_schema"] = dict(body.response_schema)
    if not own:
        return {} if body.config is None else body.config
    return own | body.config if isinstance(body.config, dict) else own


def langfuse_template(body: Body) -> Any:
    """The text, or messages and placeholders as Langfuse writes them."""
    if isinstance(body.template, str):
        return body.template
    return [
        {"type": "placeholder", "name": item.name}
        if isinstance(item, Placeholder)
        else {"type": "chatmessage", "role": item.role, "content": item.content}
        for item in body.template
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A version that a file holds."""

    name: str
    body: Body
    message: str = ""
    labels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def write(form: Format, version: Version, body: Body) -> tuple[str, str]:
    """An expanded version as another tool reads it, and the media type. Raises Invalid for what it has no place for."""
    if form not in ("langfuse", "dotprompt") and any(
        isinstance(item, Placeholder) for item in body.template if not isinstance(body.template, str)
    ):
        raise Invalid(f"{form} has no place for placeholders of messages; export to langfuse or dotprompt.")
    if form in ("langfuse", "mlflow"):
        value = (to_langfuse if form == "langfuse" else _to_mlflow)(version, body)
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n", "application/json"
    if form == "promptfoo":
        entry = {"label": version.name, "raw": _raw(body), "config": config_of(body)}
        return _yaml({"prompts": [entry]}), "application/yaml"
    if form == "dotprompt" and body.engine != "mustache":
        raise Invalid("Dotprompt is Handlebars; export a Jinja2 prompt to prompty.")
    return (_to_dotprompt if form == "dotprompt" else _to_prompty)(version, body), "text/markdown"


def read(form: Format, text: str, *, name: str = "") -> list[Draft]:
    """The versions in a file, in their order; `name` is for files that tell none. Raises Invalid."""
    try:
        drafts = _read(form, text, name)
        for draft in drafts:
            _check(draft)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise Invalid(
            f"The text is no {form} file that can be read here: {str(error)[:300]}", param="content"
        ) from error
    return drafts


def _read(form: Format, text: str, name: str) -> list[Draft]:
    if form in ("langfuse", "mlflow"):
        value = orjson.loads(text)
        entries = value.get("data", [value]) if isinstance(value, dict) else value
        draft = _of_langfuse if form == "langfuse" else _of_mlflow
        return [draft(one, name) for one in sorted(entries, key=lambda one: int(one.get("version") or 0))]
    if form == "promptfoo":
        return [_of_promptfoo(one, name, place) for place, one in enumerate(_loaded(text)["prompts"], start=1)]
    head, body = _split(text)
    return [(_of_dotprompt if form == "dotprompt" else _of_prompty)(head, body, name)]


def _check(draft: Draft) -> None:
    """What YAML or JSON may have in the place of a text, refused."""
    texts = (draft.name, draft.message, draft.body.model or "", *draft.labels, *draft.tags)
    mappings = (draft.body.parameters, draft.body.response_schema or {})
    if not all(isinstance(one, str) and "\0" not in one for one in texts) or len(draft.message) > 2000:
        raise ValueError("name, message (up to 2000 characters), model, labels and tags are texts without NUL")
    if not all(isinstance(one, dict) and all(isinstance(key, str) for key in one) for one in mappings):
        raise ValueError("parameters and schema are mappings of names")


def to_langfuse(version: Version, body: Body) -> dict[str, Any]:
    """A version as Langfuse writes it, in files and in answers."""
    return {
        "name": version.name,
        "version": version.number,
        "type": body.kind,
        "prompt": langfuse_template(body),
        "config": config_of(body),
        "labels": list(version.labels),
        "tags": list(version.tags),
        "commitMessage": version.message or None,
    }


def _of_langfuse(one: dict[str, Any], name: str) -> Draft:
    return Draft(
        name=name or one["name"],
        body=body_of({"template": one["prompt"], "config": one.get("config")}),
        message=one.get("commitMessage") or "",
        labels=tuple(label for label in one.get("labels") or () if label != LATEST),
        tags=tuple(one.get("tags") or ()),
    )


def _to_mlflow(version: Version, body: Body) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.number,
        "template": body.template if isinstance(body.template, str) else [item_value(one) for one in body.template],
        "commit_message": version.message or None,
        "tags": dict.fromkeys(version.tags, "true"),
        "response_format": None if body.response_schema is None else dict(body.response_schema),
        "model_config": {**({} if body.model is None else {"model_name": body.model}), **body.parameters} or None,
    }


def _of_mlflow(one: dict[str, Any], name: str) -> Draft:
    parameters = dict(one.get("model_config") or {})
    texts = orjson.dumps(one["template"]).decode()
    return Draft(
        name=name or one["name"],
        body=body_of(
            {
                "template": one["template"],
                "engine": "jinja2" if "{%" in texts else "mustache",
                "model": parameters.pop("model_name", None),
                "parameters": parameters,
                "response_schema": one.get("response_format"),
            }
        ),
        message=one.get("commit_message") or "",
        tags=tuple(one.get("tags") or ()),
    )


def _raw(body: Body) -> str:
    if isinstance(body.template, str):
        return body.template
    return orjson.dumps([item_value(one) for one in body.template], option=orjson.OPT_INDENT_2).decode()


def _of_promptfoo(one: Any, name: str, place: int) -> Draft:
    entry = {"raw": one} if isinstance(one, str) else one
    raw = entry["raw"]
    if raw.startswith("file://"):
        raise ValueError(f"prompt {place} is in another file, {raw[:80]!r}; put its text here")
    # promptfoo takes a text that is a list of messages as a chat.
    template = orjson.loads(raw) if _LISTED.match(raw) else raw
    label = name or entry.get("label") or entry.get("id")
    if not label:
        raise ValueError(f"prompt {place} has no label; give it one, or give `name`")
    engine = "jinja2" if "{%" in raw or "|" in "".join(_BRACES.findall(raw)) else "mustache"
    return Draft(name=label, body=body_of({"template": template, "engine": engine, "config": entry.get("config")}))


def _to_dotprompt(version: Version, body: Body) -> str:
    head: dict[str, Any] = {"name": version.name, "model": body.model, "config": dict(body.parameters)}
    declared = variables_of(body)
    if declared:
        head["input"] = {
            "schema": {
                "type": "object",
                "properties": {one.name: _schema(one) for one in declared},
                "required": [one.name for one in declared if one.required and one.default is None],
            },
            "default": {one.name: one.default for one in declared if one.default is not None},
        }
    if body.response_schema is not None:
        head["output"] = {"format": "json", "schema": dict(body.response_schema)}
    if body.tools:
        head["tools"] = list(body.tools)
    if isinstance(body.template, str):
        return _with_head(head, body.template)
    pieces = [
        "{{history}}" if isinstance(item, Placeholder) else f'{{{{role "{item.role}"}}}}\n{item.content}'
        for item in body.template
    ]
    return _with_head(head, "\n".join(pieces))


def _of_dotprompt(head: dict[str, Any], text: str, name: str) -> Draft:
    given = head.get("input") or {}
    defaults = given.get("default") or {}
    schema = (head.get("output") or {}).get("schema")
    return Draft(
        name=name or head["name"],
        body=Body(
            template=_roles(_DOT_MARK, text),
            variables=tuple(
                Variable(**{**asdict(one), "default": defaults.get(one.name)})
                for one in _variables(given.get("schema"))
            ),
            model=head.get("model"),
            parameters=head.get("config") or {},
            tools=tuple(head.get("tools") or ()),
            response_schema=None if schema is None else _full_schema(schema),
        ),
    )


def _to_prompty(version: Version, body: Body) -> str:
    head: dict[str, Any] = {
        "name": version.name,
        "description": version.message,
        "tags": list(version.tags),
        "model": {
            "api": "chat",
            "configuration": {} if body.model is None else {"type": "openai", "name": body.model},
            "parameters": dict(body.parameters) | ({"tools": list(body.tools)} if body.tools else {}),
        },
        "inputs": {
            one.name: {"type": _JSON_TYPES.get(one.type, "any"), "description": one.description}
            | ({} if one.default is None else {"default": one.default})
            for one in variables_of(body)
        },
    }
    if body.response_schema is not None:
        head["outputs"] = dict(body.response_schema)
    if isinstance(body.template, str):
        return _with_head(head, f"system:\n{body.template}")
    messages = (item for item in body.template if isinstance(item, Message))
    return _with_head(head, "\n\n".join(f"{one.role}:\n{one.content}" for one in messages))


def _of_prompty(head: dict[str, Any], text: str, name: str) -> Draft:
    model = head.get("model") or {}
    configuration, parameters = model.get("configuration") or {}, dict(model.get("parameters") or {})
    tools = tuple(parameters.pop("tools", ()))
    inputs = head.get("inputs") or {}
    return Draft(
        name=name or head["name"],
        body=Body(
            template=_roles(_PROMPTY_MARK, text),
            engine="jinja2"
            if "{%" in text or "{#" in text or _BRACES.sub("", text) != _PLAIN.sub("", text)
            else "mustache",
            variables=tuple(
                Variable(
                    name=key,
                    type=_OUR_TYPES.get(one.get("type"), "any"),
                    description=one.get("description") or "",
                    default=one.get("default", one.get("sample")),
                )
                if isinstance(one, dict)
                else Variable(name=key, default=one)
                for key, one in inputs.items()
            ),
            model=configuration.get("name") or configuration.get("azure_deployment"),
            parameters=parameters,
            tools=tools,
            response_schema=head.get("outputs"),
        ),
        message=head.get("description") or "",
        tags=tuple(head.get("tags") or ()),
    )


_DOT_MARK = re.compile(r'\{\{\s*(?:role\s+"(?P<role>[\w-]+)"|(?P<history>history))\s*\}\}\n?')
_PROMPTY_MARK = re.compile(
    r"^#?[ \t]*(?P<role>system|user|assistant|developer|tool)[ \t]*:[ \t]*\n(?P<history>(?!))?", re.M | re.I
)
_LISTED = re.compile(r"\s*\[\s*\{(?!\{)")
_BRACES = re.compile(r"\{\{.*?\}\}", re.S)
_PLAIN = re.compile(r"\{\{\s*[A-Za-z_][A-Za-z0-9_]*\s*\}\}")
_PICO_NAME = re.compile(r"(?P<name>\w+)(?P<optional>\?)?(?:\((?P<kind>array|object|enum)[^)]*\))?")
_JSON_TYPES = {
    "list": "array",
    "string": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "object": "object",
}
_OUR_TYPES: dict[Any, VariableType] = {
    "array": "list",
    "string": "string",
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "object": "object",
}


def _roles(mark: re.Pattern[str], text: str) -> str | tuple[Item, ...]:
    """A text cut into messages at its marks of roles; a text without any stays one."""
    marks = list(mark.finditer(text))
    if mark is _DOT_MARK:
        other = next((one for one in _BRACES.findall(mark.sub("", text)) if not _PLAIN.fullmatch(one)), None)
        if other is not None and not other.startswith("{{>"):
            raise ValueError(
                f"{other[:60]!r} is Handlebars that is not read here; only variables, roles and history are"
            )
    if not marks:
        return text
    items: list[Item] = []
    if before := text[: marks[0].start()].strip():
        items.append(Message("user" if mark is _DOT_MARK else "system", before))
    ends = [one.start() for one in marks[1:]] + [len(text)]
    for one, end in zip(marks, ends, strict=True):
        content = text[one.end() : end].strip()
        if one["role"] is None:
            items.append(Placeholder("history"))
        elif content:
            items.append(Message(one["role"].lower(), content))
    return tuple(items)


def _schema(one: Variable) -> dict[str, Any]:
    told = {"type": _JSON_TYPES[one.type]} if one.type in _JSON_TYPES else {}
    return told | ({"description": one.description} if one.description else {})


def _full_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema as it is; Picoschema, Dotprompt's short form, written out."""
    if isinstance(schema.get("type"), str) and ("properties" in schema or schema["type"] != "object"):
        return schema
    variables = _variables(schema)
    return {
        "type": "object",
        "properties": {one.name: _schema(one) for one in variables},
        "required": [one.name for one in variables if one.required],
    }


def _variables(schema: Any) -> list[Variable]:
    if not schema:
        return []
    if "properties" in schema:
        required = schema.get("required") or ()
        return [
            Variable(
                name=key,
                type=_OUR_TYPES.get(one.get("type"), "any"),
                description=one.get("description") or "",
                required=key in required,
            )
            for key, one in schema["properties"].items()
        ]
    return [_pico(key, value) for key, value in schema.items()]


def _pico(key: str, value: Any) -> Variable:
    found = _PICO_NAME.match(key)
    if found is None:
        raise ValueError(f"{key[:60]!r} is no field of a schema")
    kind, _, description = value.partition(",") if isinstance(value, str) else ("object", "", "")
    told = {"array": "array", "object": "object", "enum": "string"}.get(found["kind"] or "", kind.strip())
    return Variable(
        name=found["name"],
        type=_OUR_TYPES.get(told, "any"),
        description=description.strip(),
        required=not found["optional"],
    )


def _split(text: str) -> tuple[dict[str, Any], str]:
    found = re.match(r"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*\r?\n?(.*)\Z", text, re.S)
    if found is None:
        return {}, text
    return _loaded(found[1]), found[2]


def _loaded(text: str) -> dict[str, Any]:
    value = yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader without aliases)
    if not isinstance(value, dict):
        raise ValueError("its YAML is no mapping")
    return value


class _Loader(yaml.SafeLoader):
    """Safe, and without aliases: a few lines of them stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def _with_head(head: dict[str, Any], text: str) -> str:
    return f"---\n{_yaml({key: one for key, one in head.items() if one not in (None, {}, [], '')})}---\n{text}\n"


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text
