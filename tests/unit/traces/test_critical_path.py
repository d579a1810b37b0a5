"""Whose latency it was: the critical path's arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octavo_server.traces.critical_path import Step, critical_path
from octavo_server.traces.difference import differences

MS = 1_000_000


def steps(*given: tuple[str, str, int, int]) -> list[Step]:
    return [Step(name, parent, start * MS, end * MS) for name, parent, start, end in given]


def own(*given: tuple[str, str, int, int]) -> dict[str, float]:
    return {name: ns / MS for name, ns in critical_path(steps(*given)).items()}


def test_a_step_after_the_other() -> None:
    assert own(("root", "", 0, 100), ("a", "root", 10, 40), ("b", "root", 50, 90)) == {"root": 30, "a": 30, "b": 40}


def test_of_parallel_steps_the_one_that_is_waited_for() -> None:
    assert own(("root", "", 0, 100), ("short", "root", 0, 30), ("long", "root", 0, 100)) == {"long": 100}


def test_a_step_that_outlasts_its_parent_is_cut_at_its_end() -> None:
    assert own(("root", "", 0, 100), ("later", "root", 60, 500)) == {"root": 60, "later": 40}


def test_a_trace_without_its_root() -> None:
    assert own(("a", "gone", 0, 40), ("b", "gone", 50, 90)) == {"a": 40, "b": 40}


def test_steps_that_name_each_other_as_parents_end() -> None:
    assert critical_path(steps(("a", "b", 0, 10), ("b", "a", 0, 10))) == {}


def test_thousands_of_levels() -> None:
    deep = [(f"s{level}", f"s{level - 1}" if level else "", level, 20_000 - level) for level in range(5000)]
    assert sum(own(*deep).values()) == 20_000


@st.composite
def trees(draw: st.DrawFn) -> list[Step]:
    count = draw(st.integers(1, 25))
    made = [Step("s0", "", 0, draw(st.integers(1, 1000)) * MS)]
    for number in range(1, count):
        parent = made[draw(st.integers(0, number - 1))]
        start = draw(st.integers(parent.start_ns, parent.end_ns))
        made.append(Step(f"s{number}", parent.span_id, start, draw(st.integers(start, parent.end_ns))))
    return made


@given(trees(), st.randoms())
def test_the_parts_add_up_to_the_whole_in_any_order(tree: list[Step], random: object) -> None:
    found = critical_path(tree)
    assert all(part > 0 for part in found.values())
    assert sum(found.values()) == tree[0].end_ns - tree[0].start_ns
    shuffled = list(tree)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert critical_path(shuffled) == found


def rows(tree: list[Step]) -> list[dict[str, object]]:
    return [
        {
            "span_id": step.span_id,
            "parent_span_id": step.parent_span_id,
            "name": f"n{int(step.span_id[1:]) % 3}",
            "kind": "span",
            "status": "ok",
            "error_class": "",
            "model": "",
            "total_tokens": 0,
            "cost_nano": None,
            "duration_ms": (step.end_ns - step.start_ns) / 1e6,
        }
        for step in tree
    ]


@given(trees(), trees())
def test_differences_are_the_same_from_both_sides(left: list[Step], right: list[Step]) -> None:
    assert {pair.change for pair in differences(rows(left), rows(left))} == {"same"}

    one, other = differences(rows(left), rows(right)), differences(rows(right), rows(left))
    count = {change: sum(pair.change == change for pair in one) for change in ("same", "changed", "added", "removed")}
    back = {change: sum(pair.change == change for pair in other) for change in count}
    assert (count["same"], count["changed"]) == (back["same"], back["changed"])
    assert (count["added"], count["removed"]) == (back["removed"], back["added"])
    assert len(left) == count["same"] + count["changed"] + count["removed"]
