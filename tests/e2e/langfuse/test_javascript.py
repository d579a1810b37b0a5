"""Langfuse's JavaScript SDK 5, with OpenTelemetry's, driven by Node."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.langfuse.steps import execute
from tests.e2e.stack import Admin, Stack
from tests.integration.gateway_server import ModelServer, chat_answer, chat_events

pytestmark = pytest.mark.xdist_group("langfuse")

FOLDER = Path(__file__).with_name("javascript")


@pytest.fixture(scope="module")
def said(stack: Stack, key: dict[str, str], models: ModelServer) -> Any:
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").exists():
        pytest.skip("Langfuse's JavaScript SDK is not installed: `make setup` installs it")
    models.scripts[:0] = [
        lambda handler: handler.answer(200, chat_answer()),
        lambda handler: handler.stream(chat_events("Hel", "lo")),
    ]
    done = execute([node, str(FOLDER / "program.mjs")], stack, key)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_trace_is_read_back_whole(said: Any) -> None:
    trace = said["trace"]
    assert (trace["name"], trace["sessionId"], trace["userId"]) == ("js-trace", "js-session", "brendan")
    assert (trace["environment"], trace["release"], trace["tags"]) == ("staging", "js-release", ["js"])
    assert (trace["metadata"]["tier"], trace["input"], trace["output"]) == ("gold", {"card": "****"}, {"text": "Hello"})
    steps = {one["name"]: one for one in trace["observations"]}
    assert {name: one["type"] for name, one in steps.items()} == {
        "js": "SPAN",
        "look up": "TOOL",
        "say": "GENERATION",
        "rank": "RETRIEVER",
        "noted": "EVENT",
        "js-plain": "GENERATION",
        "js-streamed": "GENERATION",
    }
    assert (steps["look up"]["level"], steps["look up"]["statusMessage"]) == ("WARNING", "slow")
    assert steps["look up"]["metadata"]["index"] == "cards"
    assert steps["noted"]["parentObservationId"] == steps["rank"]["id"]
    assert "4111" not in json.dumps([one["input"] for one in steps.values()])
    assert steps["say"]["usageDetails"] == {"input": 10, "output": 5, "total": 15}
    assert steps["say"]["costDetails"]["total"] == pytest.approx(0.3)


def test_calls_through_the_gateway_have_its_usage_and_cost_once(said: Any, admin: Admin) -> None:
    steps = {one["name"]: one for one in said["trace"]["observations"]}
    for call in (steps["js-plain"], steps["js-streamed"]):
        assert (call["usageDetails"]["input"], call["usageDetails"]["output"]) == (12, 3)
        assert call["costDetails"]["total"] == pytest.approx(said["cost"])
    assert steps["js-streamed"]["completionStartTime"]
    assert said["trace"]["totalCost"] == pytest.approx(0.3 + 2 * said["cost"])


def test_scores_lists_sessions_and_files(said: Any) -> None:
    trace_id = said["trace"]["id"]
    assert said["scores"] == {"js-span-score": 0.5, "js-mood": "calm", "js-right": "True"}
    assert said["listed"] == said["session"] == [trace_id]
    assert (said["newer"], said["missing"]) == (7, 404)
    assert said["resolved"] == "data:image/png;base64," + base64.b64encode(b"a picture from node").decode()
    assert said["seeded"] == hashlib.sha256(b"seed").hexdigest()[:32]
    assert said["url"].endswith(f"/traces/{trace_id}")


def test_a_run_over_a_dataset_is_an_experiment(said: Any) -> None:
    assert len(said["ran"]) == 2
    assert said["runItems"] == said["ran"]
    for item in said["experiment"]:
        assert said["ran"][item["experimentItemId"]] == item["traceId"]
        assert (item["output"], item["expectedOutput"]) == (item["input"] * 2, item["input"] * 2)
        assert (item["experimentName"], item["experimentDescription"]) == ("first run", "Twice")
        assert item["experimentDatasetId"] == said["datasetId"]
        assert [(one["name"], one["value"]) for one in item["scores"]] == [("exact", 1)]
