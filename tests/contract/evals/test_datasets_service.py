"""Datasets on every control store: versions that never change, digests, duplicates, and writers that race."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from octavo_server.core.clock import SystemClock
from octavo_server.core.errors import Conflict, Invalid
from octavo_server.edge.access import Principal
from octavo_server.evals.datasets import Case, DatasetNotFound, Draft, Source, freeze, version_digest
from octavo_server.evals.service.datasets import Datasets, Put, Selection
from octavo_server.stores.control import ControlStore


def caller(project: str = "prj_1") -> Principal:
    return Principal(kind="user", id="ada", name="ada", project_id=project, environment=None)


ADA = caller()


@pytest.fixture
def datasets(control_store: ControlStore) -> Datasets:
    return Datasets(control_store, SystemClock())


def put(datasets: Datasets, *inputs: Any, name: str = "qa", **fields: Any) -> Put:
    return datasets.put(ADA, name, [Draft(case=Case(inputs=one)) for one in inputs], **fields)


def inputs(datasets: Datasets, version: int | str | None = None, **wanted: Any) -> list[Any]:
    return [one.case.inputs for one in datasets.each(ADA, "qa", Selection(version=version, **wanted))]


def test_every_change_of_cases_makes_a_version_that_stays(datasets: Datasets, control_store: ControlStore) -> None:
    made, empty = datasets.create(ADA, "qa", description="Questions")
    assert (empty.number, empty.cases, empty.digest) == (1, 0, version_digest((), {}))
    first = put(datasets, "a", "b", message="begin")
    second = datasets.put(ADA, made.id, [Draft(id=first.ids[0], case=Case(inputs="A")), Draft(case=Case(inputs="c"))])
    third = datasets.remove(ADA, "qa", [first.ids[1]])
    assert [inputs(datasets, number) for number in (1, 2, 3, 4)] == [[], ["a", "b"], ["A", "b", "c"], ["A", "c"]]
    assert [(one.number, one.added, one.removed, one.cases) for one in datasets.versions(ADA, "qa", limit=9)] == [
        (4, 0, 1, 2),
        (3, 2, 1, 3),
        (2, 2, 0, 2),
        (1, 0, 0, 0),
    ]
    assert (second.added, second.changed, second.version.author.name) == (1, 1, "ada")
    assert first.version.digest == version_digest([freeze(Case(inputs=one))[0] for one in "ab"], {})
    assert inputs(datasets, first.version.digest) == ["a", "b"]
    differences = datasets.compare(ADA, "qa", 2, None)
    assert [(one.before and one.before.inputs, one.after and one.after.inputs) for one in differences] == [
        ("a", "A"),
        ("b", None),
        (None, "c"),
    ]
    actions = [one.event.action for one in control_store.events_after(0)]
    assert actions == ["dataset.created", *["dataset_version.created"] * 3]
    put(datasets, "b")
    assert datasets.get(ADA, "qa")[1].number == third.number + 1
    with pytest.raises(DatasetNotFound):
        datasets.remove(ADA, "qa", [first.ids[1]])


def test_the_same_cases_have_the_same_digest_wherever_they_are(datasets: Datasets) -> None:
    for name in ("qa", "copy"):
        datasets.create(ADA, name)
    assert put(datasets, "a", "b").version.digest == put(datasets, "a", "b", name="copy").version.digest


def test_duplicates_are_left_out_and_told(datasets: Datasets) -> None:
    datasets.create(ADA, "qa")
    put(datasets, "a")
    drafts = [Draft(case=Case(inputs=one), place=f"line {n}") for n, one in enumerate(["a", "b", "b"], 1)]
    done = datasets.put(ADA, "qa", drafts)
    assert (done.added, done.duplicate_count, done.duplicates) == (1, 2, ("line 1", "line 3"))
    again = put(datasets, "a", "b")
    assert (again.added, again.version.number) == (0, 3)
    kept = put(datasets, "a", skip_duplicates=False)
    assert (kept.added, kept.version.cases) == (1, 3)
    same = datasets.put(ADA, "qa", [Draft(id=kept.ids[0], case=Case(inputs="a"))])
    assert (same.unchanged, same.version.number) == (1, 4)


def test_all_cases_are_put_or_none(datasets: Datasets) -> None:
    datasets.create(ADA, "qa", input_schema={"type": "string"})
    datasets.create(ADA, "other")
    (there,) = put(datasets, "x", name="other").ids
    wrong = [
        Draft(case=Case(inputs="good")),
        Draft(case=Case(inputs=1), place="line 2"),
        Draft(case=Case(inputs=2), place="line 3"),
    ]
    with pytest.raises(Invalid, match=r"2 cases .*line 2: inputs: .*; line 3"):
        datasets.put(ADA, "qa", wrong)
    for drafts in ([Draft(id="i", case=Case(inputs="a"))] * 2, [Draft(id=there, case=Case(inputs="a"))]):
        with pytest.raises(Invalid):
            datasets.put(ADA, "qa", drafts)
    with pytest.raises(Conflict, match="version 1 by now, not 7"):
        put(datasets, "a", expected=7)
    assert datasets.get(ADA, "qa")[1].cases == 0


def test_a_dataset_is_changed_and_forgotten(datasets: Datasets) -> None:
    datasets.create(ADA, "qa", metadata={"by": "\x00 ada"}, splits={"train": 80, "test": 20})
    datasets.create(ADA, "a/b")
    put(datasets, *range(50))
    train, test = (inputs(datasets, split=one) for one in ("train", "test"))
    assert sorted(train + test) == list(range(50))
    assert len(train) > len(test) > 0
    changed, version = datasets.change(ADA, "qa", {"name": "questions", "splits": {"all": 1}})
    assert (changed.metadata, version.number, version.cases) == ({"by": "\x00 ada"}, 3, 50)
    assert [one.split for one in datasets.each(ADA, "questions", Selection(version=2, split="test"))] == ["test"] * len(
        test
    )
    assert [one.name for one, _ in datasets.find(ADA, limit=9)[0]] == ["a/b", "questions"]
    assert datasets.find(ADA, search="QUEST", limit=9)[1] == 1
    for name in ("a/b", "", " x", "x\n"):
        with pytest.raises((Conflict, Invalid)):
            datasets.change(ADA, "questions", {"name": name})
    with pytest.raises(Conflict):
        datasets.create(ADA, "questions")
    datasets.delete(ADA, "questions")
    for reference in ("questions", changed.id):
        with pytest.raises(DatasetNotFound):
            datasets.get(ADA, reference)
    with pytest.raises(DatasetNotFound):
        datasets.get(caller("prj_2"), "a/b")


def test_cases_are_selected_by_tag_and_keep_where_they_were_seen(datasets: Datasets) -> None:
    datasets.create(ADA, "qa")
    seen = Source(trace_id="t1", span_id="s1")
    drafts = [
        Draft(id="one", case=Case(inputs="a", tags=("x", "y")), source=seen),
        Draft(case=Case(inputs="b", tags=("x",))),
    ]
    datasets.put(ADA, "qa", drafts)
    assert inputs(datasets, tags=("x", "y")) == ["a"]
    datasets.put(ADA, "qa", [Draft(id="one", case=Case(inputs="A"))])
    assert datasets.case(ADA, "qa", "one").item.source == seen
    with pytest.raises(DatasetNotFound):
        datasets.case(ADA, "qa", "two")


def test_leaks_are_found_in_a_version(datasets: Datasets) -> None:
    datasets.create(ADA, "qa")
    datasets.put(
        ADA,
        "qa",
        [Draft(case=Case(inputs="How far is the moon from the earth?", split=one)) for one in ("train", "test")],
    )
    put(datasets, "Something else")
    assert datasets.leakage(ADA, "qa", None, similarity=0.8).leaks == 1
    assert datasets.leakage(ADA, "qa", 1, similarity=0.8).leaks == 0


def test_racing_writers_lose_no_case_and_skip_no_number(datasets: Datasets) -> None:
    datasets.create(ADA, "qa")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: put(datasets, f"case {number}", "shared"), range(24)))
    numbers = sorted(one.version.number for one in done)
    assert numbers == list(range(2, 26))
    assert sum(one.duplicate_count for one in done) == 23
    assert sorted(inputs(datasets)) == sorted([*(f"case {number}" for number in range(24)), "shared"])
    for version in datasets.versions(ADA, "qa", limit=100):
        held = [freeze(one.case)[0] for one in datasets.each(ADA, "qa", Selection(version=version.number))]
        assert version.digest == version_digest(held, {})

    def remove(item: str) -> int:
        try:
            return datasets.remove(ADA, "qa", [item]).number
        except DatasetNotFound:
            return 0

    target = done[0].ids[0]
    with ThreadPoolExecutor(8) as pool:
        removed = list(pool.map(remove, [target] * 8))
    assert sorted(removed) == [0] * 7 + [26]
