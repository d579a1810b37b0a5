"""Langfuse's own SDK, pointed at Octavo: what its users do, read back through its own API client."""

from __future__ import annotations

from typing import Any

import pytest
from langfuse import Langfuse
from langfuse.api.commons.errors import NotFoundError
from langfuse.api.core import ApiError

from tests.e2e.langfuse.steps import run, soon
from tests.e2e.stack import Admin, Stack

pytestmark = pytest.mark.xdist_group("langfuse")


def test_the_keys_are_known(langfuse: Langfuse, stack: Stack) -> None:
    assert langfuse.auth_check()
    assert langfuse.api.health.health().status == "OK"


def test_wrong_keys_are_refused(stack: Stack) -> None:
    program = "from langfuse import Langfuse; print(Langfuse().auth_check())"
    answer = run(program, stack, {"public_key": "pk-oct-x", "secret_key": "sk-oct-x"})
    assert "True" not in answer.stdout


def test_the_drop_in_through_the_gateway_is_one_call(
    langfuse: Langfuse, stack: Stack, key: dict[str, str], admin: Admin
) -> None:
    program = """
    from langfuse.openai import OpenAI
    client = OpenAI()
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Only once, please."}], name="once",
        metadata={"langfuse_session_id": "s-once", "langfuse_user_id": "ada", "langfuse_tags": ["demo"]},
    )
    print(answer.usage.cost)
    from langfuse import get_client
    get_client().flush()
    """
    answer = run(program, stack, key)
    assert answer.returncode == 0, answer.stderr
    cost = float(answer.stdout)

    (seen,) = soon(
        lambda: langfuse.api.observations.get_many(name="once", fields="basic,usage,model,io,trace_context").data
    )
    assert (seen.type, seen.model, seen.session_id, seen.user_id) == ("GENERATION", "gpt-4.1-mini", "s-once", "ada")
    assert seen.usage_details["input"] == 12
    assert seen.total_cost == pytest.approx(cost)
    assert "Only once" in seen.input

    def joined() -> Any:
        spans = admin.call("GET", f"/traces/{seen.trace_id}")["spans"]
        return spans if len(spans) == 2 else None

    sdk, gateway = sorted(soon(joined), key=lambda span: span["source"] == "gateway")
    assert (sdk["counted"], gateway["counted"]) == (False, True)
    assert sdk["duplicate_of"] == gateway["span_id"]
    totals = admin.call("GET", f"/traces/{seen.trace_id}")["trace"]
    assert float(totals["cost_usd"]) == pytest.approx(cost)


def test_observed_steps_are_read_back(langfuse: Langfuse) -> None:
    with langfuse.start_as_current_observation(name="answer", input={"q": 1}) as root:
        with langfuse.start_as_current_observation(name="look up", as_type="retriever") as step:
            step.update(output=["a", "b"], metadata={"index": "docs", "long": "x" * 300})
        with langfuse.start_as_current_observation(name="say", as_type="generation", model="gpt-4o") as said:
            said.update(usage_details={"input": 10, "output": 5}, level="WARNING", status_message="slow")
        root.update(output="done")
    langfuse.flush()
    trace_id = root.trace_id

    def seen() -> Any:
        return langfuse.api.observations.get_many(
            trace_id=trace_id, fields="basic,io,metadata,usage,metrics,model", limit=10
        ).data

    steps = {one.name: one for one in soon(seen, lambda data: len(data) == 3)}
    assert {one.type for one in steps.values()} == {"SPAN", "RETRIEVER", "GENERATION"}
    assert steps["answer"].is_root_observation
    assert steps["look up"].parent_observation_id == root.id
    assert steps["look up"].metadata["index"] == "docs"
    assert len(steps["look up"].metadata["long"]) == 200
    assert steps["say"].usage_details == {"input": 10, "output": 5, "total": 15}
    assert (steps["say"].level, steps["say"].status_message) == ("WARNING", "slow")
    assert steps["say"].latency >= 0

    by_type = langfuse.api.observations.get_many(trace_id=trace_id, type="RETRIEVER").data
    assert [one.name for one in by_type] == ["look up"]
    roots = langfuse.api.observations.get_many(trace_id=trace_id, parent_observation_id="").data
    assert [one.name for one in roots] == ["answer"]


def test_pages_follow_the_cursor(langfuse: Langfuse) -> None:
    with langfuse.start_as_current_observation(name="pages") as root:
        for number in range(5):
            with langfuse.start_as_current_observation(name=f"page-{number}"):
                pass
    langfuse.flush()
    soon(lambda: langfuse.api.observations.get_many(trace_id=root.trace_id).data, lambda data: len(data) == 6)

    names: list[str] = []
    cursor = None
    while True:
        page = langfuse.api.observations.get_many(trace_id=root.trace_id, limit=2, cursor=cursor)
        names += [one.id for one in page.data]
        cursor = page.meta.cursor
        if not cursor:
            break
    assert len(names) == len(set(names)) == 6


def test_scores_of_every_type(langfuse: Langfuse) -> None:
    trace_id = langfuse.create_trace_id(seed="scores")
    langfuse.create_score(name="quality", value=0.9, trace_id=trace_id, comment="good", score_id="sc-1")
    langfuse.create_score(name="mood", value="happy", trace_id=trace_id)
    langfuse.create_score(name="right", value=1, data_type="BOOLEAN", trace_id=trace_id)
    langfuse.create_score(name="talk", value=3, session_id="session-7")
    langfuse.flush()

    def seen() -> Any:
        return langfuse.api.scores.get_many(trace_id=trace_id, fields="details,subject").data

    scores = {one.name: one for one in soon(seen, lambda data: len(data) == 3)}
    assert (scores["quality"].value, scores["quality"].comment) == (0.9, "good")
    assert scores["mood"].value == "happy"
    assert scores["right"].value is True
    assert scores["quality"].subject.id == trace_id

    langfuse.create_score(name="quality", value=0.1, trace_id=trace_id, score_id="sc-1")
    langfuse.flush()
    (again,) = soon(
        lambda: langfuse.api.scores.get_many(id="sc-1").data, lambda data: bool(data) and data[0].value == 0.1
    )
    assert again.name == "quality"
    (talk,) = soon(lambda: langfuse.api.scores.get_many(session_id="session-7").data)
    assert talk.value == 3


def test_score_configs_are_held_to(langfuse: Langfuse, admin: Admin) -> None:
    from langfuse.api import ConfigCategory, ScoreConfigDataType

    config = langfuse.api.score_configs.create(
        name="grade",
        data_type=ScoreConfigDataType.CATEGORICAL,
        categories=[ConfigCategory(label="A", value=1), ConfigCategory(label="B", value=0)],
    )
    assert langfuse.api.score_configs.get_by_id(config.id).name == "grade"
    assert config.id in [one.id for one in langfuse.api.score_configs.get().data]
    trace_id = langfuse.create_trace_id(seed="configs")
    langfuse.create_score(name="grade", value="A", trace_id=trace_id, config_id=config.id)
    langfuse.create_score(name="grade", value="Z", trace_id=trace_id, config_id=config.id)
    langfuse.flush()

    (kept,) = soon(lambda: langfuse.api.scores.get_many(trace_id=trace_id).data)
    assert kept.value == "A"
    assert langfuse.api.score_configs.update(config.id, is_archived=True).is_archived


def test_metrics_of_observations_and_scores(langfuse: Langfuse) -> None:
    with langfuse.start_as_current_observation(name="measured", as_type="generation", model="gpt-4o") as one:
        one.update(usage_details={"input": 100, "output": 50})
    langfuse.flush()
    query = (
        '{"view": "observations", "dimensions": [{"field": "name"}],'
        ' "metrics": [{"measure": "count", "aggregation": "count"}, {"measure": "totalTokens", "aggregation": "sum"}],'
        ' "filters": [{"column": "name", "operator": "=", "value": "measured", "type": "string"}],'
        ' "fromTimestamp": "2020-01-01T00:00:00Z", "toTimestamp": "2100-01-01T00:00:00Z"}'
    )
    (row,) = soon(lambda: langfuse.api.metrics.metrics(query=query).data)

    assert (row["name"], row["count_count"], row["sum_totalTokens"]) == ("measured", 1, 150)


def test_what_is_wrong_is_told_as_langfuse_tells_it(langfuse: Langfuse) -> None:
    with pytest.raises(ApiError) as told:
        langfuse.api.observations.get_many(fields="nothing")
    assert (told.value.status_code, told.value.body["error"]) == (400, "InvalidRequestError")
    with pytest.raises(NotFoundError):
        langfuse.api.score_configs.get_by_id("none")


def test_a_list_tells_scores_and_an_export_tells_all(langfuse: Langfuse, admin: Admin) -> None:
    with langfuse.start_as_current_observation(name="scored") as root:
        root.score(name="quality", value=0.25)
        root.score(name="quality", value=0.75)
    langfuse.flush()

    def listed() -> Any:
        found = admin.call("GET", "/traces", filter='name = "scored"', with_scores="true")["data"]
        return found if found and found[0]["scores"] else None

    (trace,) = soon(listed)
    assert trace["scores"] == {"quality": 0.5}
    lines = admin.lines("/traces/export", filter='name = "scored"')
    assert [line["name"] for line in lines] == ["scored"]
