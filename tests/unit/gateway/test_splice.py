"""Changing one member of a JSON text changes nothing else of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.gateway import splice

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("model"), inner),
    max_leaves=12,
)
OBJECTS: Any = st.dictionaries(st.text() | st.sampled_from(["model", "octavo"]), VALUES, max_size=6)
STYLES: Any = st.fixed_dictionaries(
    {
        "indent": st.none() | st.integers(0, 2),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    }
)


@given(OBJECTS, STYLES, VALUES)
def test_a_value_is_replaced_and_all_else_stays(before: dict[str, Any], style: dict[str, Any], new: Any) -> None:
    raw = json.dumps(before, **style).encode()
    # What is put in is written by orjson, whose numbers end at 64 bits.
    new = json.loads(json.dumps(new), parse_int=lambda digits: int(digits) % 2**60)

    after = splice.replaced(raw, "model", new)

    assert json.loads(after) == {**before, "model": new}
    assert list(json.loads(after)) == list({**before, "model": new})


@given(OBJECTS, STYLES)
def test_a_member_is_taken_out_and_all_else_stays(before: dict[str, Any], style: dict[str, Any]) -> None:
    raw = json.dumps(before, **style).encode()

    after = splice.without(raw, "octavo")

    assert json.loads(after) == {name: value for name, value in before.items() if name != "octavo"}
    if "octavo" not in before:
        assert after == raw


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"a":1.10,"model":"x","big":123456789012345678901}', b'{"a":1.10,"model":"y","big":123456789012345678901}'),
        (b'{"mod\\u0065l":"x"}', b'{"mod\\u0065l":"y"}'),
        (b'{"model":"x","model":{"model":1}}', b'{"model":"y","model":"y"}'),
        (b'{"tools":[{"model":"x"}]}', b'{"tools":[{"model":"x"}],"model":"y"}'),
        (b'{"a":"\\"model\\":\\"x\\""}', b'{"a":"\\"model\\":\\"x\\"","model":"y"}'),
        (b" { } ", b' { "model":"y"} '),
    ],
    ids=["digits", "escaped name", "twice", "nested", "in a text", "empty"],
)
def test_edges(before: bytes, after: bytes) -> None:
    assert splice.replaced(before, "model", "y") == after
