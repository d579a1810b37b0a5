"""What Langfuse promises of its SDK 5, each behaviour read back through its own API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langfuse import Langfuse, observe, propagate_attributes
from langfuse.api.core import ApiError

from tests.e2e.langfuse.steps import soon

pytestmark = pytest.mark.xdist_group("langfuse")

ALL = "basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
KINDS = ("span", "generation", "agent", "tool", "chain", "retriever", "evaluator", "embedding", "guardrail")


def read(langfuse: Langfuse, trace_id: str, count: int) -> dict[str, Any]:
    """The observations of a trace by name, once all are there."""
    langfuse.flush()

    def seen() -> Any:
        return langfuse.api.observations.get_many(trace_id=trace_id, fields=ALL, limit=100).data

    found = soon(seen, lambda data: len(data) == count)
    assert len(found) == count, [one.name for one in found]
    return {one.name: one for one in found}


def test_every_kind_nests_in_every_other(langfuse: Langfuse) -> None:
    root = langfuse.start_observation(name="top")
    parent: Any = root
    opened = []
    for kind in KINDS:
        parent = parent.start_observation(name=f"a {kind}", as_type=kind)
        opened.append(parent)
    parent.create_event(name="an event", input={"at": 1}, level="DEBUG")
    for one in reversed(opened):
        one.end()
    root.end()

    steps = read(langfuse, root.trace_id, len(KINDS) + 2)
    above = "top"
    for kind in KINDS:
        step = steps[f"a {kind}"]
        assert (step.type, step.parent_observation_id) == (kind.upper(), steps[above].id)
        above = step.name
    event = steps["an event"]
    assert (event.type, event.level, json.loads(event.input)) == ("EVENT", "DEBUG", {"at": 1})
    assert [name for name, step in steps.items() if step.is_root_observation] == ["top"]


def test_updates_add_up_and_stop_at_the_end(langfuse: Langfuse) -> None:
    step = langfuse.start_observation(
        name="model", as_type="generation", model="gpt-4o", model_parameters={"temperature": 0.5}, version="1.2"
    )
    step.update(input=[{"role": "user", "content": "Hi"}], metadata={"a": 1, "nested": {"b": [1, 2]}})
    step.update(output={"role": "assistant", "content": "Hello"}, metadata={"c": True})
    step.update(
        usage_details={"input": 7, "output": 3, "cache_read_input_tokens": 2},
        cost_details={"input": 0.25, "output": 0.5},
    )
    step.update(level="ERROR", status_message="went wrong")
    step.end()
    step.update(output="too late")

    (one,) = read(langfuse, step.trace_id, 1).values()
    assert json.loads(one.output) == {"role": "assistant", "content": "Hello"}
    assert (one.metadata["a"], one.metadata["c"], one.metadata["nested"]) == (1, True, {"b": [1, 2]})
    assert (one.provided_model_name if hasattr(one, "provided_model_name") else one.model) == "gpt-4o"
    assert one.model_parameters == {"temperature": 0.5}
    assert (one.level, one.status_message, one.version) == ("ERROR", "went wrong", "1.2")
    assert (one.usage_details["input"], one.usage_details["output"]) == (7, 3)
    assert one.cost_details["total"] == pytest.approx(0.75)


def test_a_trace_id_from_a_seed_joins_processes(langfuse: Langfuse) -> None:
    trace_id = langfuse.create_trace_id(seed="order-17")
    first = langfuse.start_observation(name="first", trace_context={"trace_id": trace_id})
    first.end()
    second = langfuse.start_observation(name="second", trace_context={"trace_id": trace_id, "parent_span_id": first.id})
    second.end()

    steps = read(langfuse, trace_id, 2)
    assert steps["second"].parent_observation_id == steps["first"].id
    assert langfuse.get_trace_url(trace_id=trace_id).endswith(trace_id)  # type: ignore[union-attr]


def test_propagated_attributes_are_on_every_step(langfuse: Langfuse) -> None:
    with (
        langfuse.start_as_current_observation(name="outer") as root,
        propagate_attributes(
            user_id="u-9",
            session_id="s-9",
            tags=["one", "two"],
            metadata={"tenant": "acme"},
            version="v9",
            trace_name="journey",
            as_baggage=True,
        ),
        langfuse.start_as_current_observation(name="inner"),
        langfuse.start_as_current_observation(name="innermost", as_type="tool"),
    ):
        pass

    steps = read(langfuse, root.trace_id, 3)
    for step in (steps["inner"], steps["innermost"]):
        assert (step.user_id, step.session_id, step.version, step.trace_name) == ("u-9", "s-9", "v9", "journey")
        assert (sorted(step.tags), step.metadata["tenant"]) == (["one", "two"], "acme")
    by_session = langfuse.api.observations.get_many(session_id="s-9").data
    assert {one.name for one in by_session} == {"outer", "inner", "innermost"}
    assert len(langfuse.api.observations.get_many(user_id="u-9", type="TOOL").data) == 1


def test_decorated_functions_of_every_sort(langfuse: Langfuse) -> None:
    @observe(as_type="retriever")
    def pieces() -> Iterator[str]:
        yield "a"
        yield "b"

    @observe(capture_input=False, capture_output=False)
    def secret(word: str) -> str:
        return word

    @observe()
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    @observe()
    async def stream() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    @observe()
    def fails() -> None:
        raise ValueError("no luck")

    @observe(name="all")
    async def everything() -> str:
        assert list(pieces()) == ["a", "b"]
        secret("hidden")
        await later(1)
        assert [number async for number in stream()] == [0, 1, 2]
        with pytest.raises(ValueError, match="no luck"):
            fails()
        return langfuse.get_current_trace_id() or ""

    steps = read(langfuse, asyncio.run(everything()), 6)
    assert (steps["pieces"].type, json.loads(steps["later"].output)) == ("RETRIEVER", 2)
    assert steps["pieces"].output
    assert (steps["secret"].input, steps["secret"].output) == (None, None)
    assert (steps["fails"].level, steps["fails"].status_message) == ("ERROR", "no luck")
    assert {one.parent_observation_id for name, one in steps.items() if name != "all"} == {steps["all"].id}


def test_a_payload_of_a_megabyte_is_whole(langfuse: Langfuse) -> None:
    text = "é€😀 " * 120_000
    with langfuse.start_as_current_observation(name="large", input=text, output={"n": list(range(20_000))}) as root:
        pass
    (one,) = read(langfuse, root.trace_id, 1).values()
    assert one.input == text
    assert json.loads(one.output)["n"][-1] == 19_999


def test_scores_by_every_way_and_in_numbers(langfuse: Langfuse) -> None:
    with langfuse.start_as_current_observation(name="judged") as root:
        root.score(name="by-span", value=0.1, comment="low", metadata={"why": "short"})
        root.score_trace(name="by-trace", value="good", data_type="CATEGORICAL")
        langfuse.score_current_span(name="now-span", value=True, data_type="BOOLEAN")
        langfuse.score_current_trace(name="now-trace", value="a longer remark", data_type="TEXT")
        for number in range(40):
            root.score(name=f"many-{number:02}", value=number)
    langfuse.flush()

    def seen() -> Any:
        return langfuse.api.scores.get_many(trace_id=root.trace_id, limit=100, fields="details,subject").data

    scores = {one.name: one for one in soon(seen, lambda data: len(data) == 44)}
    assert len(scores) == 44
    assert scores["by-span"].subject.kind == "observation"
    assert (scores["by-span"].comment, scores["by-span"].metadata) == ("low", {"why": "short"})
    assert (scores["by-trace"].value, scores["by-trace"].data_type) == ("good", "CATEGORICAL")
    assert (scores["now-span"].value, scores["now-span"].data_type) == (True, "BOOLEAN")
    assert (scores["now-trace"].value, scores["now-trace"].data_type) == ("a longer remark", "TEXT")

    names: list[str] = []
    cursor = None
    while True:
        page = langfuse.api.scores.get_many(trace_id=root.trace_id, limit=15, cursor=cursor)
        names += [one.name for one in page.data]
        cursor = page.meta.cursor
        if not cursor:
            break
    assert sorted(names) == sorted(scores)
    above = langfuse.api.scores.get_many(trace_id=root.trace_id, value_min=38, data_type="NUMERIC").data
    assert sorted(one.value for one in above) == [38, 39]
    langfuse.api.scores.delete(scores["by-span"].id)
    assert soon(lambda: langfuse.api.scores.get_many(id=scores["by-span"].id).data == [])


def test_filters_groups_and_pages_of_observations(langfuse: Langfuse) -> None:
    with langfuse.start_as_current_observation(name="filtered") as root:
        for number in range(6):
            kind: Any = "tool" if number % 2 else "generation"
            with langfuse.start_as_current_observation(
                name=f"step {number}",
                as_type=kind,
                metadata={"number": str(number), "team": "red"},
                level="ERROR" if number == 5 else "DEFAULT",
            ):
                pass
    read(langfuse, root.trace_id, 7)

    def found(*conditions: tuple[str, str, str, Any], key: str | None = None) -> list[str]:
        wanted = [
            {"type": kind, "column": column, "operator": operator, "value": value, **({"key": key} if key else {})}
            for kind, column, operator, value in (*conditions, ("string", "traceId", "=", root.trace_id))
        ]
        for one in wanted[-1:]:
            one.pop("key", None)
        return sorted(one.name for one in langfuse.api.observations.get_many(filter=json.dumps(wanted)).data)

    assert found(("stringOptions", "type", "any of", ["TOOL"])) == ["step 1", "step 3", "step 5"]
    assert len(found(("stringOptions", "type", "none of", ["TOOL", "SPAN"]))) == 3
    assert found(("stringOptions", "level", "any of", ["ERROR"])) == ["step 5"]
    assert found(("stringObject", "metadata", "=", "3"), key="number") == ["step 3"]
    assert found(("string", "name", "starts with", "step 4")) == ["step 4"]
    assert found(("string", "name", "ends with", "ered")) == ["filtered"]
    assert found(("string", "name", "does not contain", "step")) == ["filtered"]
    assert found(("number", "latency", "<", 100)) == sorted(["filtered", *(f"step {n}" for n in range(6))])
    assert found(("boolean", "isRootObservation", "=", True)) == ["filtered"]
    assert found(("datetime", "startTime", ">", "2100-01-01T00:00:00Z")) == []
    assert found(("null", "parentObservationId", "is null", "")) == ["filtered"]
    (core,) = langfuse.api.observations.get_many(trace_id=root.trace_id, name="step 5", fields="core").data
    assert (core.name, core.start_time.tzinfo is not None) == (None, True)
    errors = langfuse.api.observations.get_many(
        trace_id=root.trace_id, level="ERROR", environment=["production", "other"]
    ).data
    assert [one.name for one in errors] == ["step 5"]


def test_what_octavo_has_not_is_said_as_langfuse_says_it(langfuse: Langfuse) -> None:
    for call in (
        langfuse.api.models.list,
        langfuse.api.annotation_queues.list_queues,
        langfuse.api.llm_connections.list,
        lambda: langfuse.api.comments.get_by_id("none"),
    ):
        with pytest.raises(ApiError) as told:
            call()
        assert (told.value.status_code, told.value.body["error"]) == (404, "LangfuseNotFoundError")
        assert told.value.body["message"]


def test_comments_come_back(langfuse: Langfuse) -> None:
    with langfuse.start_as_current_observation(name="discussed") as root:
        pass
    read(langfuse, root.trace_id, 1)
    project = langfuse.api.projects.get().data[0].id
    made = langfuse.api.comments.create(
        project_id=project, object_type="TRACE", object_id=root.trace_id, content="Why so slow?"
    )
    assert langfuse.api.comments.get_by_id(made.id).content == "Why so slow?"
    assert [one.id for one in langfuse.api.comments.get(object_type="TRACE", object_id=root.trace_id).data] == [made.id]
