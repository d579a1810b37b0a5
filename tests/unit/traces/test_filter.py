"""The filter language: what it means is tested on the engines (`contract/traces`), what it refuses here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.traces.filter import FIELDS, FilterError, compile_filter


def test_values_are_bound_and_never_part_of_the_sql() -> None:
    condition = compile_filter("""name = "x' OR 1=1 --" and metadata.team in (a, "b")""")

    assert "OR 1=1" not in condition.sql
    assert "x' OR 1=1 --" in condition.params.values()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model", "expected one of = != > >= < <= ~ !~ starts_with ends_with matches in at position 5"),
        ("model =", "expected a value at position 7"),
        ("nonsense = 1", "'nonsense' at position 0 is no field"),
        ("latency_ms > slow", "'slow' at position 13 is no number"),
        ("(model = a", "expected ')' at position 10"),
        ("model = a model = b", "expected 'and', 'or' or the end at position 10"),
        ("model = a and", "expected a field's name at position 13"),
        ("tags > a", "tags takes =, !=, ~, !~, starts_with, ends_with, matches or in, not >"),
        ("model = 'a", "at position 8 is not understood"),
        ("model starts_with", "expected a value at position 17"),
        (f"model matches '{'a' * 501}'", "has 501 characters; at most 500 are read"),
    ],
)
def test_a_refusal_says_where_and_what_was_expected(text: str, complaint: str) -> None:
    with pytest.raises(FilterError) as refused:
        compile_filter(text)

    assert complaint in refused.value.message


def test_a_pattern_keeps_its_backslashes() -> None:
    condition = compile_filter(r'''name matches "^\d+\.\"x\"$"''')

    assert list(condition.params.values()) == [r'^\d+\."x"$']


def test_depth_and_length_are_bounded() -> None:
    with pytest.raises(FilterError, match="nested deeper"):
        compile_filter("(" * 100 + "model = a" + ")" * 100)
    with pytest.raises(FilterError, match="at most 4000"):
        compile_filter("model = a or " * 1000)


@given(st.text(max_size=60))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    try:
        condition = compile_filter(text)
    except FilterError:
        return
    assert condition.sql


@given(st.sampled_from(sorted(FIELDS)), st.text(min_size=1, max_size=30))
def test_a_quoted_value_comes_through_unchanged(field: str, value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')

    condition = compile_filter(f'{field} ~ "{quoted}"')

    assert list(condition.params.values()) == [value]
