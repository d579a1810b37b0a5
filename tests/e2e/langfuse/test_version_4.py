"""Langfuse's Python SDK 4, which reads traces, sessions and scores back by routes of its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.langfuse.steps import execute
from tests.e2e.stack import Admin, Stack
from tests.integration.gateway_server import ModelServer, chat_answer, chat_events

pytestmark = pytest.mark.xdist_group("langfuse")

PROGRAM = Path(__file__).with_name("version_4.py")
SDK = Path(sys.prefix) / "langfuse-4"


@pytest.fixture(scope="module")
def said(stack: Stack, key: dict[str, str], models: ModelServer) -> Any:
    if not SDK.exists():
        pytest.skip("Langfuse's SDK 4 is not installed: `make setup` installs it")
    models.scripts[:0] = [
        lambda handler: handler.answer(200, chat_answer()),
        lambda handler: handler.stream(chat_events("Hel", "lo")),
    ]
    done = execute([sys.executable, str(PROGRAM)], stack, key, PYTHONPATH=os.pathsep.join([str(SDK)]))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_trace_is_read_back_whole(said: Any) -> None:
    assert said["known"]
    trace = said["trace"]
    assert (trace["name"], trace["sessionId"], trace["userId"]) == ("v4", "v4-session", "grace")
    assert (trace["environment"], trace["release"]) == ("staging", "v4-release")
    assert (sorted(trace["tags"]), trace["metadata"]["tier"]) == (["four", "old"], "gold")
    assert (trace["input"], trace["output"]) == ("Card ****, please", "Hello")
    steps = {one["name"]: one for one in trace["observations"]}
    assert {name: one["type"] for name, one in steps.items()} == {
        "v4": "SPAN",
        "look_up": "TOOL",
        "v4-plain": "GENERATION",
        "v4-streamed": "GENERATION",
    }
    assert (steps["look_up"]["level"], steps["look_up"]["statusMessage"]) == ("WARNING", "slow")
    assert steps["look_up"]["parentObservationId"] == steps["v4"]["id"]
    assert steps["look_up"]["output"] == {"found": 2}
    for call in (steps["v4-plain"], steps["v4-streamed"]):
        assert (call["usageDetails"]["input"], call["usageDetails"]["output"]) == (12, 3)
        assert call["costDetails"]["total"] == pytest.approx(said["cost"])
    assert trace["totalCost"] == pytest.approx(2 * said["cost"])
    assert steps["v4-streamed"]["completionStartTime"]
    assert "4111" not in json.dumps([trace["input"], *(one["input"] for one in steps.values())])


def test_scores_are_read_back_by_both_ways(said: Any) -> None:
    scores = {one["name"]: one for one in said["trace"]["scores"]}
    assert (scores["v4-right"]["value"], scores["v4-right"]["stringValue"]) == (1, "True")
    assert (scores["v4-right"]["comment"], scores["v4-mood"]["stringValue"]) == ("yes", "calm")
    assert scores["v4-span-score"]["observationId"]
    assert said["batch"] == [201]
    assert said["scored"] == said["scores"]["v4-batch"] == 0.75


def test_lists_pages_and_sessions(said: Any) -> None:
    trace_id = said["trace"]["id"]
    assert (said["listed"], said["pages"]) == ([trace_id], 1)
    assert said["session"] == [trace_id]
    assert said["generations"] == ["v4-plain", "v4-streamed"]
    assert said["one"] in said["generations"]
    assert (said["newer"], said["missing"]) == (4, "not found")


def test_a_run_over_a_dataset_is_kept_and_forgotten(said: Any) -> None:
    assert len(said["ran"]) == 2
    assert said["run_items"] == said["ran"]
    first, *others, dataset = said["run"]
    assert (set(others), dataset) == ({first}, "v4/sums")
    assert said["run_pages"] == [2, 1, 1, 0]


def test_the_link_that_the_sdk_prints_leads_to_the_trace(said: Any, admin: Admin) -> None:
    assert said["url"].endswith(f"/traces/{said['trace']['id']}")
    project = said["url"].split("/project/")[1].split("/")[0]
    assert admin.call("GET", f"/projects/{project}")["name"] == "langfuse"
