"""Langfuse's Python SDK over datasets: made, filled, read back at a time, run as experiments; cases from traces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from langfuse import Evaluation, Langfuse
from langfuse.api import NotFoundError
from langfuse.api.core import ApiError
from langfuse.media import LangfuseMedia

from tests.e2e.langfuse.steps import soon
from tests.e2e.stack import Admin

pytestmark = pytest.mark.xdist_group("langfuse")


def test_items_are_made_changed_archived_and_read_at_a_time(langfuse: Langfuse) -> None:
    made = langfuse.create_dataset(
        name="folder/qa", description="Sums", metadata={"by": "ada"}, input_schema={"type": "object"}
    )
    assert (made.name, made.description, made.metadata) == ("folder/qa", "Sums", {"by": "ada"})
    first = langfuse.create_dataset_item(
        dataset_name="folder/qa",
        input={"q": "1+1"},
        expected_output="2",
        metadata={"level": 1},
        source_trace_id="t1",
        source_observation_id="o1",
    )
    twin = langfuse.create_dataset_item(dataset_name="folder/qa", input={"q": "1+1"}, expected_output="2")
    assert (first.status.value, first.source_trace_id, first.dataset_id) == ("ACTIVE", "t1", made.id)
    before = langfuse.api.dataset_items.get(twin.id).updated_at
    changed = langfuse.create_dataset_item(dataset_name="folder/qa", id=first.id, expected_output="two")
    assert (changed.input, changed.expected_output, changed.metadata) == ({"q": "1+1"}, "two", {"level": 1})

    now = langfuse.get_dataset("folder/qa")
    assert [one.id for one in now.items] == [twin.id, first.id]
    then = langfuse.get_dataset("folder/qa", version=before)
    assert {one.id: one.expected_output for one in then.items} == {twin.id: "2", first.id: "2"}
    assert langfuse.get_dataset("folder/qa", version=before - timedelta(days=1)).items == []

    langfuse.create_dataset_item(dataset_name="folder/qa", id=twin.id, status="ARCHIVED")  # type: ignore[arg-type]
    assert [one.id for one in langfuse.get_dataset("folder/qa").items] == [first.id]
    assert langfuse.api.dataset_items.get(twin.id).status.value == "ARCHIVED"
    langfuse.api.dataset_items.delete(twin.id)
    with pytest.raises(NotFoundError):
        langfuse.api.dataset_items.get(twin.id)
    listed = langfuse.api.dataset_items.list(source_trace_id="t1")
    assert [one.id for one in listed.data] == [first.id]
    with pytest.raises(NotFoundError):
        langfuse.get_dataset("none")
    with pytest.raises(ApiError, match="schema"):
        langfuse.create_dataset_item(dataset_name="folder/qa", input="text")


def test_an_item_keeps_its_files(langfuse: Langfuse) -> None:
    langfuse.create_dataset(name="pictures")
    picture = LangfuseMedia(content_bytes=b"\x89PNG picture", content_type="image/png")
    langfuse.create_dataset_item(dataset_name="pictures", input={"deep": [{"picture": picture}]})
    (item,) = langfuse.get_dataset("pictures").items
    (reference,) = langfuse.api.dataset_items.get(item.id).media_references
    assert (reference.field.value, reference.json_path) == ("input", "$['deep'][0]['picture']")
    assert httpx.get(reference.media.url).content == b"\x89PNG picture"


def test_an_experiment_is_run_and_read_back(langfuse: Langfuse) -> None:
    langfuse.create_dataset(name="sums")
    for number in (1, 2, 3):
        langfuse.create_dataset_item(
            dataset_name="sums", input=number, expected_output=number * 2, metadata={"n": number}
        )
    dataset = langfuse.get_dataset("sums")

    def double(*, item: Any, **_: Any) -> int:
        return int(item.input) * 2

    def exact(*, output: Any, expected_output: Any, **_: Any) -> Evaluation:
        return Evaluation(name="exact", value=float(output == expected_output))

    def share(*, item_results: Any, **_: Any) -> Evaluation:
        return Evaluation(name="share", value=len(item_results) / 3)

    done = dataset.run_experiment(
        name="double",
        run_name="double 1",
        description="Times two",
        metadata={"model": "none"},
        task=double,
        evaluators=[exact],
        run_evaluators=[share],
    )
    assert [one.output for one in done.item_results] == [6, 4, 2]
    langfuse.flush()
    since = datetime.now(UTC) - timedelta(hours=1)

    def read() -> Any:
        return langfuse.api.experiments.list(
            from_start_time=since, fields="core,metadata,scores", dataset_id=dataset.id
        ).data

    (experiment,) = soon(read, lambda found: bool(found and found[0].item_count == 3 and found[0].scores))
    assert (experiment.name, experiment.description, experiment.id) == ("double 1", "Times two", done.experiment_id)
    assert experiment.metadata["model"] == "none"
    assert [(one.name, one.value) for one in experiment.scores] == [("share", 1.0)]

    def read_items() -> Any:
        listed = []
        cursor = None
        while True:
            page = langfuse.api.experiments.list_items(
                from_start_time=since,
                fields="core,dataset,io,itemMetadata,experimentMetadata,scores",
                experiment_id=experiment.id,
                limit=2,
                cursor=cursor,
            )
            listed += page.data
            cursor = page.meta.cursor
            if not cursor:
                break
        return listed

    found = soon(read_items, lambda listed: len(listed) == 3 and all(one.scores for one in listed))
    items = {one.experiment_item_id: one for one in found}
    assert set(items) == {one.id for one in dataset.items}
    for item in dataset.items:
        told = items[item.id]
        assert (told.input, told.output, told.expected_output) == (item.input, item.input * 2, item.expected_output)
        assert (told.experiment_dataset_id, told.environment) == (dataset.id, "sdk-experiment")
        assert told.experiment_item_metadata == {"n": item.input}
        assert [(one.name, one.value) for one in told.scores] == [("exact", 1.0)]
    nothing = langfuse.api.experiments.list(from_start_time=since, id="none")
    assert nothing.data == []


def test_local_data_is_run_as_an_experiment(langfuse: Langfuse) -> None:
    done = langfuse.run_experiment(
        name="local", data=[{"input": "a", "expected_output": "A"}], task=lambda *, item, **_: item["input"].upper()
    )
    assert done.item_results[0].output == "A"


def test_traces_become_cases(langfuse: Langfuse, admin: Admin) -> None:
    with langfuse.start_as_current_observation(name="answer", as_type="chain", input={"q": "Who?"}) as root:
        with langfuse.start_as_current_observation(name="search", as_type="retriever", input="Who?") as search:
            search.update(output=[{"content": "Ada wrote it."}, "A second text."])
        root.update(output="Bob")
        trace_id, span_id = root.trace_id, root.id
    langfuse.create_score(
        name="correction", trace_id=trace_id, observation_id=span_id, value="Ada", data_type="CORRECTION"
    )
    langfuse.flush()
    admin.call("POST", "/datasets", {"name": "incidents"})

    def take(**wanted: Any) -> Any:
        return admin.call("POST", "/datasets/incidents/cases/from-traces", wanted)

    assert soon(lambda: langfuse.api.scores.get_many(trace_id=trace_id).data)
    assert soon(lambda: len(langfuse.api.observations.get_many(trace_id=trace_id).data) == 2)
    put = take(trace_ids=[trace_id], tags=["incident"])
    case = admin.call("GET", f"/datasets/incidents/cases/{put['ids'][0]}")
    assert case["expected"] == "Ada"
    assert (case["inputs"], case["source_trace_id"], case["tags"]) == ({"q": "Who?"}, trace_id, ["incident"])
    assert case["context"] == ["Ada wrote it.", "A second text."]
    again = take(filter=f'trace_id = "{trace_id}"', start="-1h", tags=["incident"])
    assert (again["added"], again["duplicate_count"]) == (0, 1)
    span = take(span_ids=[span_id], expected="output")
    told = admin.call("GET", f"/datasets/incidents/cases/{span['ids'][0]}")
    assert (told["expected"], told["source_span_id"]) == ("Bob", span_id)
