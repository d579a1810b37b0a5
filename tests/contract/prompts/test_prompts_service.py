"""Prompts on every control store: frozen versions, labels with their history, forks, and writers that race."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from octavo_server.core.clock import SystemClock
from octavo_server.core.errors import Conflict, Forbidden, Invalid, NotFound
from octavo_server.edge.access import Permission, Principal
from octavo_server.prompts.model import Body, LabelMoved, MergeConflict, Message, PromptNotFound, parse_reference
from octavo_server.prompts.service import Prompts, Search
from octavo_server.stores.control import ControlStore


def caller(name: str, *permissions: Permission, project: str = "prj_1") -> Principal:
    return Principal(
        kind="user", id=name, name=name, project_id=project, environment=None, permissions=frozenset(permissions)
    )


ADA = caller("ada", Permission.PROMPTS_WRITE, Permission.PROMPTS_PROTECT)
BOB = caller("bob", Permission.PROMPTS_WRITE)


@pytest.fixture
def prompts(control_store: ControlStore) -> Prompts:
    return Prompts(control_store, SystemClock())


def text(prompts: Prompts, reference: str) -> Any:
    return prompts.get(BOB, parse_reference(reference)).expanded.template


def actions(control: ControlStore) -> list[str]:
    return [one.event.action for one in control.events_after(0)]


def test_versions_are_numbered_frozen_and_found_by_every_reference(
    prompts: Prompts, control_store: ControlStore
) -> None:
    first = prompts.create(BOB, "support/greet", Body(template="Hi"), message="begin", tags=["a"]).version
    second = prompts.create(BOB, "support/greet", Body(template="Hello"), labels=["production"]).version
    assert (first.number, second.number, second.labels, second.tags) == (1, 2, ("production", "latest"), ("a",))
    assert (first.author.name, first.message) == ("bob", "begin")
    for reference, expected in (
        ("support/greet", "Hello"),
        ("support/greet@latest", "Hello"),
        ("support/greet@1", "Hi"),
        (f"support/greet@{first.digest}", "Hi"),
    ):
        assert text(prompts, reference) == expected
    assert [one.number for one in prompts.versions(BOB, "support/greet", limit=10)] == [2, 1]
    assert prompts.create(BOB, "other", Body(template="Hi")).version.digest == first.digest
    with pytest.raises(Invalid, match="is a text prompt"):
        prompts.create(BOB, "other", Body(template=(Message("user", "x"),)))
    assert actions(control_store)[:3] == ["prompt_version.created", "prompt_version.created", "prompt_label.moved"]


def test_a_missing_label_is_an_error(prompts: Prompts) -> None:
    prompts.create(BOB, "greet", Body(template="Hi"), labels=["staging"])
    with pytest.raises(PromptNotFound, match=r"no 'greet@production'; .* staging \(version 1\)"):
        text(prompts, "greet")
    for reference in ("greet@2", "greet@sha256:" + "0" * 64, "nothing@latest"):
        with pytest.raises(NotFound):
            text(prompts, reference)
    with pytest.raises(NotFound):
        prompts.get(caller("eve", project="prj_2"), parse_reference("greet@1"))


def test_labels_move_by_compare_and_swap_and_tell_their_history(prompts: Prompts) -> None:
    for template in ("one", "two", "three"):
        prompts.create(BOB, "greet", Body(template=template))
    prompts.move(BOB, "greet", "production", 1, expected=None, reason="first")
    prompts.move(ADA, "greet", "production", 3, expected=1, reason="better")
    with pytest.raises(LabelMoved, match="points at 3, not 1"):
        prompts.move(BOB, "greet", "production", 2, expected=1)
    with pytest.raises(NotFound):
        prompts.move(BOB, "greet", "production", 9)
    assert prompts.move(BOB, "greet", "production", None) == {"latest": 3}
    steps = prompts.history(BOB, "greet", label="production", limit=10)
    assert [(one.actor.name, one.from_number, one.to_number, one.reason) for one in steps] == [
        ("bob", 3, None, ""),
        ("ada", 1, 3, "better"),
        ("bob", None, 1, "first"),
    ]
    with pytest.raises(Invalid, match="moves by itself"):
        prompts.move(BOB, "greet", "latest", 1)


def test_a_protected_label_is_moved_only_by_who_may(prompts: Prompts, control_store: ControlStore) -> None:
    prompts.protect(ADA, ["production"])
    with pytest.raises(Forbidden, match="protected"):
        prompts.create(BOB, "greet", Body(template="Hi"), labels=["production"])
    assert prompts.find(BOB, Search(), limit=10) == ([], 0)
    prompts.create(ADA, "greet", Body(template="Hi"), labels=["production"])
    with pytest.raises(Forbidden):
        prompts.delete(BOB, "greet")
    assert prompts.protected(BOB) == ["production"]
    assert "prompt_labels.protected" in actions(control_store)


def test_a_frozen_parent_keeps_the_child_it_was_frozen_with(prompts: Prompts) -> None:
    prompts.create(BOB, "tone", Body(template="Be {{mood}}."), labels=["production"])
    prompts.create(BOB, "parent", Body(template="{{> tone}} Answer."))
    langfuse = "@@@langfusePrompt:name=tone|label=production@@@ Answer."
    prompts.create(BOB, "theirs", Body(template=(Message("system", langfuse),)))
    prompts.create(BOB, "tone", Body(template="Be brief."), labels=["production"])
    assert text(prompts, "parent@1") == "Be {{mood}}. Answer."
    assert text(prompts, "theirs@1")[0].content == "Be {{mood}}. Answer."
    prompts.create(BOB, "parent", Body(template="{{> tone}} Answer."))
    assert text(prompts, "parent@2") == "Be brief. Answer."
    prompts.delete(BOB, "tone")
    assert text(prompts, "parent@2") == "Be brief. Answer."


def test_circles_and_what_cannot_be_included_are_refused(prompts: Prompts) -> None:
    prompts.create(BOB, "a", Body(template="a"))
    prompts.create(BOB, "b", Body(template="b {{> a@latest}}"))
    with pytest.raises(Invalid, match="include itself"):
        prompts.create(BOB, "a", Body(template="{{> b@latest}}"))
    with pytest.raises(Invalid, match="include itself"):
        prompts.create(BOB, "a", Body(template="{{> a@1}}"))
    prompts.create(BOB, "chat", Body(template=(Message("user", "x"),)))
    for reference in ("chat@1", "missing@1", "a@production"):
        with pytest.raises((Invalid, NotFound)):
            prompts.create(BOB, "c", Body(template=f"{{{{> {reference}}}}}"))


def test_forks_merge_back_part_by_part(prompts: Prompts) -> None:
    prompts.create(BOB, "main", Body(template="Hi", parameters={"temperature": 0, "top_p": 1}))
    prompts.fork(BOB, parse_reference("main@1"), "try")
    prompts.create(BOB, "try", Body(template="Hello", parameters={"temperature": 0, "top_p": 1}))
    prompts.create(BOB, "main", Body(template="Hi", parameters={"temperature": 1}))
    merged = prompts.merge(BOB, parse_reference("try@latest"))
    assert (merged.version.number, merged.body.template, merged.body.parameters) == (3, "Hello", {"temperature": 1})
    prompts.create(BOB, "try", Body(template="Ahoy", parameters={"temperature": 0, "top_p": 1}))
    assert prompts.merge(BOB, parse_reference("try@latest")).body.template == "Ahoy"
    prompts.create(BOB, "try", Body(template="Yo"))
    prompts.create(BOB, "main", Body(template="Hey"))
    with pytest.raises(MergeConflict, match="template"):
        prompts.merge(BOB, parse_reference("try@latest"))
    with pytest.raises(Conflict):
        prompts.fork(BOB, parse_reference("main@1"), "try")
    with pytest.raises(Invalid, match="no fork"):
        prompts.merge(BOB, parse_reference("main@1"))


def test_prompts_are_searched_by_name_tag_and_label(prompts: Prompts) -> None:
    prompts.create(BOB, "a/one", Body(template="1"), tags=["red", "big"], labels=["production"])
    prompts.create(BOB, "a/two", Body(template="2"), tags=["reddish"])
    prompts.create(BOB, "b", Body(template="3"))

    def names(**search: Any) -> list[str]:
        return [one.prompt.name for one in prompts.find(BOB, Search(**search), limit=10)[0]]

    assert names(search="A/") == ["a/one", "a/two"]
    assert names(tags=("red",)) == ["a/one"]
    assert names(search="RED") == ["a/one", "a/two"]
    assert names(label="production") == ["a/one"]
    found, total = prompts.find(BOB, Search(), limit=1, after="a/one")
    assert ([one.prompt.name for one in found], total) == (["a/two"], 3)
    assert prompts.tag(BOB, "b", ["x", "x"]).tags == ("x",)


def test_racing_writers_leave_no_gap_and_lose_nothing(prompts: Prompts) -> None:
    def write(number: int) -> int:
        return prompts.create(BOB, "race", Body(template=str(number)), labels=["production"]).version.number

    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(write, range(40)))
    assert sorted(numbers) == list(range(1, 41))
    assert [one.number for one in prompts.versions(BOB, "race", limit=100)] == list(range(40, 0, -1))
    steps = list(reversed(prompts.history(BOB, "race", label="production", limit=100)))
    assert [one.from_number for one in steps] == [None, *(one.to_number for one in steps[:-1])]
    assert prompts.get(BOB, parse_reference("race")).version.number == steps[-1].to_number

    def take(number: int) -> bool:
        try:
            prompts.move(BOB, "race", "taken", number, expected=None)
        except LabelMoved:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(1, 9))) == 1
    with pytest.raises(Conflict, match="has version 40"):
        prompts.create(BOB, "race", Body(template="late"), expected=39)


def test_a_deleted_versions_number_is_not_given_again(prompts: Prompts) -> None:
    prompts.create(BOB, "greet", Body(template="1"))
    prompts.create(BOB, "greet", Body(template="2"), labels=["production"])
    prompts.delete(BOB, "greet", label="production")
    assert prompts.create(BOB, "greet", Body(template="3")).version.number == 3
    prompts.delete(BOB, "greet")
    with pytest.raises(NotFound):
        prompts.versions(BOB, "greet", limit=1)
