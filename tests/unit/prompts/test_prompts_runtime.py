"""Filling prompts: what is checked before use, and that no template can take the server with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.core.errors import Invalid
from octavo_server.prompts.model import Body, Message, Placeholder, Variable
from octavo_server.prompts.runtime import check_templates, render, variables_of


def jinja(text: str, **variables: Any) -> str | None:
    return render(Body(template=text, engine="jinja2"), variables).text


def test_variables_are_filled_once_and_typed_values_written_as_json() -> None:
    body = Body(template="{{ a }} {{b}} {{c}}", variables=(Variable(name="c", default="fine"),))
    assert render(body, {"a": "{{b}}", "b": {"x": [1, True]}}).text == '{{b}} {"x":[1,true]} fine'
    assert [one.name for one in variables_of(body)] == ["c", "a", "b"]


@given(st.text(), st.text())
def test_a_value_never_becomes_template(before: str, value: str) -> None:
    text = before.replace("{{", "")
    assert render(Body(template=text + " {{x}}"), {"x": value}).text == f"{text} {value}"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", "x", 1),
        ("number", 1.5, "1"),
        ("integer", 3, 3.5),
        ("integer", 3, True),
        ("boolean", False, 0),
        ("object", {}, []),
        ("list", [], {}),
    ],
)
def test_a_value_has_its_variables_type(kind: Any, good: Any, bad: Any) -> None:
    body = Body(template="{{x}}", variables=(Variable(name="x", type=kind),))
    assert render(body, {"x": good}).text
    with pytest.raises(Invalid, match=f"expected {kind}"):
        render(body, {"x": bad})


def test_missing_and_unknown_variables_are_named() -> None:
    with pytest.raises(Invalid, match="'x' is missing"):
        render(Body(template="{{x}}"), {})
    with pytest.raises(Invalid, match=r"no variable 'y'; its variables: x"):
        render(Body(template="{{x}}"), {"x": 1, "y": 2})
    optional = Body(template="{{x}}.", variables=(Variable(name="x", required=False),))
    assert render(optional, {}).text == "."


def test_history_goes_where_its_placeholder_is() -> None:
    body = Body(template=(Message("system", "Be {{tone}}."), Placeholder("history"), Message("user", "{{q}}")))
    history = [{"role": "user", "content": "{{q}}"}, {"role": "assistant", "content": "hi"}]
    assert render(body, {"tone": "kind", "q": "why?"}, {"history": history}).messages == [
        {"role": "system", "content": "Be kind."},
        *history,
        {"role": "user", "content": "why?"},
    ]
    with pytest.raises(Invalid, match="'history' is missing"):
        render(body, {"tone": "kind", "q": "why?"})
    with pytest.raises(Invalid, match="no placeholder 'past'"):
        render(body, {"tone": "kind", "q": "why?"}, {"history": [], "past": []})


def test_jinja_loops_chooses_and_prints() -> None:
    text = "{% for one in docs %}{{ loop.index }}. {{ one.title | upper }}\n{% endfor %}{% if x is defined %}{{ x ~ 1 }}{% endif %}"
    assert jinja(text, docs=[{"title": "a"}, {"title": "b"}]) == "1. A\n2. B\n"
    assert jinja(text, docs=[], x="y") == "y1"
    assert jinja("{% for k, v in {'a': (1, 2)}.items() %}{{ k }}{{ v[1] }}{{ [v] }}{% endfor %}") == "a2[(1, 2)]"
    assert jinja("{{ 2.567 | round(1) }} {{ ['<b>'] | tojson(indent=4) }}") == '2.6 [\n  "<b>"\n]'
    assert jinja("{{ a | join(', ') }} {{ a | tojson }} {{ 2 * 3 + 4 }}", a=["é"]) == 'é ["é"] 10'
    with pytest.raises(Invalid, match="undefined"):
        jinja("{{ missing }}")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ x.__init__.__globals__ }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{{ 'x' * 999999999 }}",
        "{{ [0] * 999999999 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ 'x'.ljust(999999999) }}",
        "{{ 'x' | center(999999999) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include 'x' %}",
        "{% set x %}a{% endset %}",
        "{% for a in range(90) recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ range(999999999) | list }}",
        "{{ x.append(1) }}",
        "{{ 1 / 0 }}",
        "{{ range(90000) | list | sort }}" * 2000,
        "{% set a = range(90000) | list %}" + "{% set b = [a] %}{% set c = a + a %}{% set d = a == a %}" * 2000,
        "{{ 1.5 | round(99999999, 'floor') }}",
        "{% for a in range(9999) %}{% for b in range(9) %}{{ (range(90000) | list | sort) == 1 }}{% endfor %}{% endfor %}",
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{% if %}",
    ],
)
def test_a_hostile_template_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        jinja(text, x=[1])


def test_doubling_a_text_stops_at_the_limit() -> None:
    for double in ("x ~ x", "x + x", "[x, x]", "(x, x)", "{1: x, 2: x}", "[x] + [x]", "[x, x] | join"):
        text = "{% set x = 'aaaaaaaaaaaaaaaa' %}" + f"{{% set x = {double} %}}" * 40 + "{{ x }}"
        with pytest.raises(Invalid, match="over"):
            jinja(text)


def test_a_bad_template_is_refused_when_it_is_saved() -> None:
    check_templates(Body(template="{{ fine", engine="mustache"))
    with pytest.raises(Invalid, match="Jinja2"):
        check_templates(Body(template="{{ fine", engine="jinja2"))
