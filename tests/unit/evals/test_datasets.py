"""Cases and versions by digest, splits by hash, files of other tools, and cases that ask nearly the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.core.digest import JSON, digest
from octavo_server.core.errors import Invalid
from octavo_server.evals.datasets import (
    Case,
    Schemas,
    Source,
    canonical,
    case_of,
    check_splits,
    freeze,
    parse_version,
    version_digest,
)
from octavo_server.evals.duplicates import find_leaks
from octavo_server.evals.formats import Columns, read_cases, write_csv, write_jsonl

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
CASES = st.builds(
    Case,
    inputs=VALUE,
    expected=VALUE,
    context=st.lists(TEXT, max_size=3).map(tuple),
    metadata=st.dictionaries(TEXT, VALUE, max_size=3),
    tags=st.sets(TEXT.filter(lambda one: one.strip() == one and one), max_size=3).map(lambda one: tuple(sorted(one))),
    split=st.sampled_from(["", "test"]),
)


@given(case=CASES)
def test_a_case_comes_back_from_json_lines_to_its_digest(case: Case) -> None:
    text = b"".join(write_jsonl([("c1", Source(trace_id="t"), case)])).decode()
    (draft,) = read_cases("jsonl", text, Columns())
    assert freeze(draft.case)[0] == freeze(case)[0] == digest(case.value())
    assert (draft.id, draft.source, draft.place) == ("c1", Source(trace_id="t"), "line 1")


@given(inputs=TEXT | st.dictionaries(TEXT, TEXT, min_size=1), expected=st.none() | TEXT)
def test_texts_and_objects_come_back_from_csv(inputs: Any, expected: Any) -> None:
    case = Case(inputs=inputs, expected=expected)
    text = b"".join(write_csv([("c1", Source(), case)])).decode()
    (draft,) = read_cases("csv", text, Columns())
    assert draft.case == case


def test_a_version_is_named_by_its_cases_in_order_and_its_splits() -> None:
    cases = [freeze(Case(inputs=text))[0] for text in "ab"]
    assert version_digest(cases, {"b": 2, "a": 1}) == digest({"cases": [*cases], "splits": {"a": 1, "b": 2}})
    assert len({version_digest(cases, {}), version_digest(cases[::-1], {}), version_digest(cases, {"a": 1})}) == 3


def test_cases_that_ask_the_same_are_in_one_split_whatever_else_they_say() -> None:
    shares = check_splits({"train": 80, "test": 20})
    splits = [Case(inputs={"q": number}).split_in(shares) for number in range(1000)]
    assert 150 < splits.count("test") < 250
    assert [Case(inputs={"q": number}, expected=1, tags=("x",)).split_in(shares) for number in range(1000)] == splits
    assert Case(inputs={"q": 1}, split="held-out").split_in(shares) == "held-out"
    assert Case(inputs={"q": 1}).split_in({}) == ""
    for wrong in ({"a b": 1}, {"a": 0}, {str(one): 1 for one in range(11)}):
        with pytest.raises(Invalid):
            check_splits(wrong)


@pytest.mark.parametrize(
    "value",
    [
        {"inputs": 2**60},
        {"inputs": float("nan")},
        {"inputs": "x" * 1_000_001},
        {"inputs": 1, "context": [1] * 300},
        {"inputs": 1, "context": {}},
        {"inputs": 1, "tags": [1]},
        {"inputs": 1, "tags": [str(one) for one in range(51)]},
        {"inputs": 1, "split": "a b"},
    ],
)
def test_what_cannot_be_kept_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        freeze(case_of(value))


def test_a_case_is_read_generously() -> None:
    case = case_of({"inputs": 1, "context": "one", "metadata": 7, "tags": "b, a,b"})
    assert (case.context, case.metadata, case.tags) == (("one",), {"value": 7}, ("a", "b"))
    assert canonical(case_of({"inputs": 1, "context": [{"text": "x"}]}).context[0]) == b'"{\\"text\\":\\"x\\"}"'


def test_schemas_say_what_is_wrong_where_and_fetch_nothing() -> None:
    asked: JSON = {"type": "object", "required": ["question"], "properties": {"question": {"type": "string"}}}
    schemas = Schemas(inputs=asked, expected={"type": "string"})
    schemas.check(Case(inputs={"question": "x"}))
    with pytest.raises(Invalid, match="inputs/question"):
        schemas.check(Case(inputs={"question": 1}))
    with pytest.raises(Invalid, match="expected"):
        schemas.check(Case(inputs={"question": "x"}, expected=1))
    wrongs: list[JSON] = [{"type": "nonsense"}, {"$ref": "http://127.0.0.1:9/x.json"}, "text"]
    for wrong in wrongs:
        with pytest.raises(Invalid):
            Schemas(inputs=wrong, expected=None)


def test_versions_are_named_by_number_digest_or_latest() -> None:
    assert (parse_version("latest"), parse_version(""), parse_version("12")) == (None, None, 12)
    assert parse_version("sha256:" + "0" * 64) == "sha256:" + "0" * 64
    for wrong in ("v1", "-1", "sha256:0", "99999999999"):
        with pytest.raises(Invalid):
            parse_version(wrong)


def rows(kind: Any, text: str, **columns: Any) -> list[tuple[Any, Any, dict[str, Any]]]:
    drafts = read_cases(kind, text, Columns(**columns))
    return [(one.case.inputs, one.case.expected, dict(one.case.metadata)) for one in drafts]


def test_columns_go_by_their_names_or_as_they_are_mapped() -> None:
    line = json.dumps({"question": "1+1?", "answer": "2", "source": "book", "level": 3})
    assert rows("jsonl", line) == [("1+1?", "2", {"source": "book", "level": 3})]
    mapped = rows("jsonl", line, inputs=("question", "level"), expected=("answer",), metadata=())
    assert mapped == [({"question": "1+1?", "level": 3}, "2", {})]
    ragas = json.dumps({"user_input": "q", "reference": "a", "retrieved_contexts": ["c"], "response": "r"})
    (draft,) = read_cases("jsonl", ragas, Columns())
    assert (draft.case.inputs, draft.case.expected, draft.case.context) == ("q", "a", ("c",))
    assert draft.case.metadata == {"response": "r"}
    with pytest.raises(Invalid, match=r"line 1: no column is known.*'x', 'y'"):
        rows("jsonl", '{"x": 1, "y": 2}')
    with pytest.raises(Invalid, match="no column 'z'"):
        rows("jsonl", '{"x": 1}', inputs=("z",))


def test_hugging_face_rows_and_columns_are_read() -> None:
    expected: list[Any] = [("a", "1", {}), ("b", "2", {})]
    viewer = {"features": [], "rows": [{"row_idx": n, "row": {"question": q, "answer": a}} for n, q, a in (
        (0, "a", "1"), (1, "b", "2"))]}  # fmt: skip
    assert rows("json", json.dumps(viewer)) == expected
    assert rows("json", json.dumps({"question": ["a", "b"], "answer": ["1", "2"]})) == expected
    assert rows("json", json.dumps([{"question": "a", "answer": "1"}, {"question": "b", "answer": "2"}])) == expected
    for wrong in ("{", "7", '{"a": [1], "b": [1, 2]}', "[]"):
        with pytest.raises(Invalid):
            rows("json", wrong)


def test_refusals_name_the_lines() -> None:
    with pytest.raises(Invalid, match=r"3 rows .* line 2: no JSON .*line 4: no JSON object; line 5: `tags`") as refused:
        rows("jsonl", '{"input": 1}\n{oops\n\n[1]\n{"input": 1, "tags": 7}\n')
    assert refused.value.code == "invalid_cases"
    with pytest.raises(Invalid, match="line 4: 1 cells"):
        rows("csv", 'input,answer\n"two\nlines",x\nlonely\n')
    with pytest.raises(Invalid, match="name each column"):
        rows("csv", "a,a\n1,2\n")
    with pytest.raises(Invalid, match="CSV cannot be read"):
        rows("csv", 'input\n"open')
    with pytest.raises(Invalid, match="and 10 more"):
        rows("jsonl", "x\n" * 30)
    with pytest.raises(Invalid, match="line 2: no column is known"):
        rows("jsonl", '{"input": 1}\n{"inptu": 1}\n')
    with pytest.raises(Invalid, match="no text of up to 200"):
        rows("jsonl", '{"input": 1, "id": {}}')


LONG = "A train leaves the station at noon and travels sixty miles in one hour, then stops for a long rest."


def test_leaks_between_splits_are_found_and_come_first() -> None:
    cases: list[tuple[str, str, Any]] = [
        ("a", "train", {"question": LONG}),
        ("b", "test", {"question": LONG.replace("then stops", "and stops")}),
        ("c", "train", LONG.upper()),
        ("d", "test", "Something else altogether, about cats and dogs that live in a house."),
        ("e", "test", "???"),
        ("f", "test", "!!!"),
    ]
    found = find_leaks(cases, similarity=0.6)
    assert [(one.first, one.second) for one in found.pairs] == [("a", "b"), ("b", "c"), ("a", "c")]
    assert (found.leaks, found.near_duplicates, found.cases, found.complete) == (2, 1, 6, True)
    assert found.pairs[2].similarity == 1.0
    assert find_leaks(cases, similarity=0.6) == found
    assert find_leaks(cases, similarity=1.0).leaks == 0


def test_many_equal_cases_take_no_square_of_time() -> None:
    found = find_leaks([(str(number), "train", "the same words again") for number in range(3_000)])
    assert not found.complete
    assert found.near_duplicates == 4_950
