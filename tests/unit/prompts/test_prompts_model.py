"""Names, identity, comparison and merging of prompts: pure rules."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.core.digest import digest
from octavo_server.core.errors import Invalid
from octavo_server.prompts.model import (
    Body,
    MergeConflict,
    Message,
    Placeholder,
    Reference,
    Variable,
    body_of,
    check_body,
    compare,
    merge,
    parse_reference,
)

names = st.text("abcdef_", min_size=1, max_size=5)
values: Any = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
bodies = st.builds(
    Body,
    template=st.text(max_size=20)
    | st.lists(
        st.builds(Message, st.sampled_from(["system", "user"]), st.text(max_size=9)) | st.builds(Placeholder, names),
        min_size=1,
        max_size=4,
    ).map(tuple),
    variables=st.lists(
        st.builds(Variable, name=names, description=st.text(max_size=5)), max_size=3, unique_by=lambda one: one.name
    ).map(tuple),
    model=st.none() | names,
    parameters=st.dictionaries(names, values, max_size=4),
    tools=st.lists(st.dictionaries(names, values), max_size=2).map(tuple),
    config=values,
)


@given(bodies)
def test_a_body_keeps_its_digest_through_storage_and_any_order_of_keys(body: Body) -> None:
    check_body(body)
    value = body.value()
    again = body_of(orjson.loads(orjson.dumps(value)))
    assert digest(again.value()) == digest(dict(reversed(value.items()))) == digest(value)


@given(bodies, bodies)
def test_bodies_compare_equal_only_when_they_are(one: Body, other: Body) -> None:
    assert compare(one, one) == []
    assert (compare(one, other) == []) == (one.value() == other.value())


@given(bodies, bodies)
def test_a_side_that_changed_nothing_yields_to_the_other(base: Body, other: Body) -> None:
    assert compare(merge(base, other, base), other) == []
    assert compare(merge(base, base, other), other) == []
    assert compare(merge(base, other, other), other) == []


def test_a_merge_takes_both_sides_and_names_what_clashes() -> None:
    base = Body(template="a", parameters={"x": 1, "y": 1})
    assert merge(
        base, Body(template="a", parameters={"x": 2, "y": 1}), Body(template="b", parameters={"x": 1})
    ) == Body(template="b", parameters={"x": 2})
    with pytest.raises(MergeConflict, match=r"parameters\.x, template"):
        merge(base, Body(template="b", parameters={"x": 2, "y": 1}), Body(template="c", parameters={"y": 1}))


def test_a_difference_shows_lines() -> None:
    (change,) = compare(Body(template="a\nb"), Body(template="a\nc"))
    assert change.part == "template"
    assert "-b\n+c" in change.diff


def test_references_name_a_label_a_number_or_a_digest() -> None:
    sha = "sha256:" + "a" * 64
    assert parse_reference("a/b c") == Reference("a/b c", label="production")
    assert parse_reference("a@12") == Reference("a", number=12)
    assert parse_reference("a@staging") == Reference("a", label="staging")
    assert parse_reference(f"a@{sha}") == Reference("a", digest=sha)
    assert str(parse_reference(f"a@{sha}")) == f"a@{sha}"
    for wrong in ("", "@x", "a@", "/a", "a/", "a//b", "a@0", "a@X", " a", "a|b", "a\n", "a@" + "9" * 30, "x" * 256):
        with pytest.raises(Invalid):
            parse_reference(wrong)


@pytest.mark.parametrize(
    "body",
    [
        Body(template=()),
        Body(template=(Message("a b", "x"),)),
        Body(template=(Placeholder("a b"),)),
        Body(template="x", variables=(Variable(name="a"), Variable(name="a"))),
        Body(template="x", variables=(Variable(name="a-b"),)),
        Body(template="x", variables=(Variable(name="a", type="integer", default="1"),)),
        Body(template="x", parameters={"seed": 2**60}),
        Body(template="x", parameters={"temperature": float("nan")}),
        Body(template="x" * 1_000_001),
    ],
)
def test_a_body_nobody_could_use_is_refused(body: Body) -> None:
    with pytest.raises(Invalid):
        check_body(body)
