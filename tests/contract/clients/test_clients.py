"""What real clients sent, replayed over HTTP to a whole Octavo: what is shown, and that each call
is counted once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pytest
from tests.contract.clients.known import CLIENTS
from tests.contract.clients.replay import RECORDED, Replay, Span
from tests.contract.clients.show import shown
from tests.contract.clients.stage import ANSWER
from tests.e2e.stack import Stack

NAMES = sorted(path.parent.name for path in RECORDED.glob("*/recording.json"))
QUESTION = "What is the weather in Rome?"
CALLS = INPUT, OUTPUT = 25, 12
OF_A_CALL = INPUT + OUTPUT
MOST_BYTES = 60_000

# Tokens of calls that a client makes in a scene and reports to nobody: the tokens are in nothing that it sends.
EMBEDDING = 6
UNTOLD = {
    ("langfuse_js", "embedding"): EMBEDDING,
    ("langfuse_langchain", "retriever"): EMBEDDING,
    ("openinference_crewai", "agent"): OF_A_CALL,
    ("openinference_dspy", "plain"): OF_A_CALL,
    ("openinference_google_genai", "tool"): OF_A_CALL,  # two calls in one span, which tells of the last
    ("openinference_haystack", "retriever"): EMBEDDING,
    ("openinference_js", "stream"): OF_A_CALL,
    ("openinference_js", "embedding"): EMBEDDING,
    ("openinference_langchain", "retriever"): EMBEDDING,
    ("openinference_llama_index", "embedding"): EMBEDDING,
    ("openinference_llama_index", "retriever"): EMBEDDING,
    ("openllmetry_langchain", "retriever"): EMBEDDING,
    ("openllmetry_llama_index", "plain"): OF_A_CALL,
    ("openllmetry_llama_index", "stream"): OF_A_CALL,
    ("openllmetry_llama_index", "embedding"): EMBEDDING,
    ("openllmetry_llama_index", "retriever"): OF_A_CALL + EMBEDDING,
    ("openllmetry_llama_index", "agent"): 2 * OF_A_CALL,
    ("openllmetry_openai_agents", "chat_agent"): 2 * OF_A_CALL,
    ("otel_genai_langchain", "retriever"): EMBEDDING,
    ("otel_google_genai", "tool"): OF_A_CALL,
    ("otel_openai_v2", "responses"): OF_A_CALL,
    ("otel_openai_v2", "responses_stream"): OF_A_CALL,
    ("otel_openai_v2_latest", "responses"): OF_A_CALL,
    ("otel_openai_v2_latest", "responses_stream"): OF_A_CALL,
}
# These send no span of a call that failed.
SILENT = {"openinference_js", "openinference_llama_index", "openllmetry_llama_index"}
# Anthropic's SDK has spans of its own, without contents, beside those of an instrumentation.
ANTHROPIC_SDK = "com.anthropic.sdk.python"


def but(names: Iterable[str], **wrong: str) -> list[object]:
    """The names, those that Octavo does not show rightly yet with the reason."""
    marks = {name: pytest.mark.xfail(strict=True, reason=reason) for name, reason in wrong.items()}
    return [pytest.param(name, marks=marks[name]) if name in marks else name for name in names]


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    stack = Stack(tmp_path_factory.mktemp("clients") / "data")
    stack.start()
    try:
        yield Replay(stack)
    finally:
        stack.stop()


def test_every_client_is_recorded() -> None:
    assert set(NAMES) == set(CLIENTS)


@pytest.mark.parametrize("name", NAMES)
def test_shows_the_same_as_when_it_was_last_looked_at(replay: Replay, name: str) -> None:
    assert shown(replay.seen[name]) == (RECORDED / name / "shown.txt").read_text()


@pytest.mark.parametrize(
    "name", but(NAMES, openllmetry_anthropic="the SDK's own span of a call, in a trace of its own, counts too")
)
def test_every_call_is_counted_once(replay: Replay, name: str) -> None:
    for scene, spans in replay.seen[name].items():
        served = replay.recordings[name]["scenes"][scene]["served"]
        counted = sum(one["total_tokens"] for one in spans if one["counted"])
        untold = UNTOLD.get((name, scene), 0)
        assert counted + untold == served["input_tokens"] + served["output_tokens"], scene


@pytest.mark.parametrize(
    "name",
    but(
        [one for one in NAMES if one != "semantic_kernel"],  # which writes contents to Python's logging only
        litellm="gen_ai.completion.N.function_call is not read when the messages' parts are empty",
    ),
)
def test_model_calls_say_what_was_asked_and_answered(replay: Replay, name: str) -> None:
    for scene, spans in replay.seen[name].items():
        for call in calls(spans):
            assert call["provider"] or call["source"] == "langfuse", scene  # whose SDK names none
            assert call["model"].startswith(("gpt-4.1-mini", "claude-sonnet-4-5", "gemini-2.5-flash")), scene
            assert QUESTION in call["input"], scene
            assert any(said in call["output"] for said in (ANSWER, "get_weather", "Rome")), scene
            assert call["cost_usd"] is not None, scene


@pytest.mark.parametrize(
    "name", but(NAMES, openinference_google_genai="a 404 of Google is taken for an internal error")
)
def test_failures_have_a_class_and_words(replay: Replay, name: str) -> None:
    if "error" not in replay.seen[name] or name in SILENT:
        assert not replay.seen[name].get("error")
        return
    failed = [one for one in replay.seen[name]["error"] if one["status"] == "error"]
    told = [one for one in failed if one["scope_name"] != ANTHROPIC_SDK]
    assert told
    assert {one["error_class"] for one in told} <= {"rate_limit", "invalid_request"}
    assert all(one["status_message"] for one in told)
    assert sum(one["total_tokens"] for one in failed) == 0


@pytest.mark.parametrize("name", NAMES)
def test_recordings_are_small_and_tell_of_no_machine(name: str) -> None:
    assert sum(path.stat().st_size for path in (RECORDED / name).iterdir()) < MOST_BYTES
    versions = json.loads((RECORDED / name / "recording.json").read_text())["versions"]
    assert all(versions.values())


def calls(spans: list[Span]) -> list[Span]:
    """The model calls that were answered, of which an instrumentation tells."""
    return [
        one
        for one in spans
        if one["kind"] == "llm" and one["counted"] and one["total_tokens"] and one["scope_name"] != ANTHROPIC_SDK
    ]
