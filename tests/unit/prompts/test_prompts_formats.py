"""Prompts as files of other tools: what is written is read again, and what has no place is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from octavo_server.core.errors import Invalid
from octavo_server.core.events import SYSTEM
from octavo_server.prompts.formats import Draft, read, write
from octavo_server.prompts.model import Body, Message, Placeholder, Variable, Version

CHAT = (Message("system", "Be {{tone}}.\n- a: b"), Message("user", "{{q}}"))
VERSION = Version(
    name="support/greet",
    number=3,
    digest="sha256:" + "0" * 64,
    author=SYSTEM,
    message="why",
    created_at=datetime(2026, 6, 1, tzinfo=UTC),
    labels=("production", "latest"),
    tags=("x",),
)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def again(form: Any, body: Body) -> Draft:
    (draft,) = read(form, write(form, VERSION, body)[0])
    return draft


@pytest.mark.parametrize("form", ["langfuse", "mlflow", "promptfoo", "dotprompt", "prompty"])
@pytest.mark.parametrize("template", [CHAT, "Hello {{who}}: ünïcode"])
def test_a_template_survives_the_way_out_and_in(form: Any, template: Any) -> None:
    draft = again(form, Body(template=template))
    texts = draft.body.template
    if form == "prompty" and isinstance(template, str):
        texts = texts[0].content  # type: ignore[union-attr]
    stripped = texts.rstrip("\n") if isinstance(texts, str) else texts
    assert (draft.name, stripped, draft.body.engine) == ("support/greet", template, "mustache")


@pytest.mark.parametrize("form", ["mlflow", "dotprompt", "prompty"])
def test_model_parameters_and_schema_survive(form: Any) -> None:
    body = Body(template=CHAT, model="gpt-5", parameters={"temperature": 0.5}, response_schema=SCHEMA)
    draft = again(form, body)
    assert (draft.body.model, draft.body.parameters, draft.body.response_schema) == (
        "gpt-5",
        {"temperature": 0.5},
        SCHEMA,
    )


@pytest.mark.parametrize("form", ["dotprompt", "prompty"])
def test_variables_survive(form: Any) -> None:
    variables = (
        Variable(name="tone", type="string", description="How", default="kind"),
        Variable(name="q", type="list"),
    )
    kept = again(form, Body(template=CHAT, variables=variables)).body.variables
    assert [(one.name, one.type, one.description, one.default) for one in kept] == [
        ("tone", "string", "How", "kind"),
        ("q", "list", "", None),
    ]


def test_langfuse_keeps_placeholders_config_labels_and_the_order_of_versions() -> None:
    draft = again("langfuse", Body(template=(Placeholder("past"), *CHAT), config={"temperature": 0}))
    assert draft.body.template == (Placeholder("past"), *CHAT)
    assert (draft.body.config, draft.labels, draft.tags, draft.message) == (
        {"temperature": 0},
        ("production",),
        ("x",),
        "why",
    )
    page = {"data": [{"name": "a", "version": 2, "prompt": "two"}, {"name": "a", "version": 1, "prompt": "one"}]}
    assert [one.body.template for one in read("langfuse", json.dumps(page))] == ["one", "two"]


def test_a_dotprompt_file_as_its_makers_write_it() -> None:
    text = """---
model: googleai/gemini-2.5-pro
config: {temperature: 0.9}
input:
  schema:
    location: string, where it is
    style?: string
    names(array): string
  default: {style: formal}
output:
  schema:
    joke: string
---
{{role "system"}}
You greet at {{location}}.
{{history}}
{{role "user"}}
{{names}}
"""
    (draft,) = read("dotprompt", text, name="greet")
    assert draft.body.template == (
        Message("system", "You greet at {{location}}."),
        Placeholder("history"),
        Message("user", "{{names}}"),
    )
    location, style, names = draft.body.variables
    assert (location.description, style.required, style.default, names.type) == ("where it is", False, "formal", "list")
    assert draft.body.response_schema == {
        "type": "object",
        "properties": {"joke": {"type": "string"}},
        "required": ["joke"],
    }


def test_a_prompty_file_with_jinja_stays_jinja() -> None:
    text = "---\nname: x\nmodel:\n  configuration: {azure_deployment: gpt-4o}\n---\nsystem:\n{% for one in docs %}{{one}}{% endfor %}\n\nuser:\n{{q}}\n"
    (draft,) = read("prompty", text)
    assert (draft.body.engine, draft.body.model, len(draft.body.template)) == ("jinja2", "gpt-4o", 2)


def test_promptfoos_prompts_are_texts_or_entries() -> None:
    text = 'prompts:\n  - label: a\n    raw: \'Hi {{x}}\'\n  - label: b\n    raw: \'[{"role": "user", "content": "{{x | upper}}"}]\'\n'
    plain, chat = read("promptfoo", text)
    assert (plain.name, plain.body.template, plain.body.engine) == ("a", "Hi {{x}}", "mustache")
    assert (chat.body.template, chat.body.engine) == ((Message("user", "{{x | upper}}"),), "jinja2")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("langfuse", "{"),
        ("langfuse", '{"name": "a"}'),
        ("langfuse", "[1]"),
        ("mlflow", '{"name": "a", "template": [{"role": 1}]}'),
        ("promptfoo", "prompts:\n  - file://x.txt\n"),
        ("promptfoo", "prompts:\n  - no label\n"),
        ("promptfoo", "- x"),
        ("promptfoo", "a: &a [x, x]\nprompts: [*a, *a]\n"),
        ("promptfoo", "!!python/object/apply:os.system ['true']"),
        ("dotprompt", "---\nname: x\n---\n{{#each xs}}{{this}}{{/each}}"),
        ("dotprompt", "---\nname: x\ninput: {schema: 7}\n---\nx"),
        ("prompty", "no head and no name"),
        ("prompty", "---\nname: 7\n---\nx"),
        ("prompty", "---\nname: x\nmodel: {parameters: {1: 2}}\n---\nx"),
        ("dotprompt", "---\nname: x\nconfig: [1]\n---\nx"),
    ],
)
def test_what_cannot_be_read_is_told(form: Any, text: str) -> None:
    with pytest.raises(Invalid):
        read(form, text)


def test_what_has_no_place_is_told() -> None:
    for form in ("mlflow", "promptfoo", "prompty"):
        with pytest.raises(Invalid, match="placeholders"):
            write(form, VERSION, Body(template=(Placeholder("history"), *CHAT)))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="Handlebars"):
        write("dotprompt", VERSION, Body(template="x", engine="jinja2"))
