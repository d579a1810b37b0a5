"""Langfuse's OpenAI drop-in through the gateway: every way to call is one call in Octavo, with its usage and cost."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from langfuse import Langfuse

from tests.e2e.langfuse.steps import execute, run, soon
from tests.e2e.stack import Admin, Stack
from tests.integration.gateway_server import BASE, USAGE, Handler, ModelServer, chat_answer, chat_events

pytestmark = pytest.mark.xdist_group("langfuse")

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}


def streamed_call(handler: Handler) -> None:
    pieces: list[dict[str, Any]] = [
        {"role": "assistant", "tool_calls": [{"index": 0, **CALL, "function": {"name": "weather", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]},
    ]
    chunks: list[dict[str, Any]] = [
        *({"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": USAGE},
    ]
    told = [json.dumps({**BASE, "object": "chat.completion.chunk", **chunk}).encode() for chunk in chunks]
    handler.stream([b"data: " + one + b"\n\n" for one in [*told, b"[DONE]"]])


def embedding(handler: Handler) -> None:
    vectors = [{"object": "embedding", "index": number, "embedding": [0.1, 0.2]} for number in range(2)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    handler.answer(200, {"object": "list", "model": "text-embedding-3-small", "data": vectors, "usage": usage})


@pytest.fixture(scope="module")
def said(stack: Stack, key: dict[str, str], models: ModelServer) -> Any:
    refusal = {"error": {"message": "That is too much.", "type": "invalid_request_error", "code": "too_much"}}
    models.scripts[:0] = [
        lambda handler: handler.answer(200, chat_answer("", tool_calls=[CALL])),
        lambda handler: handler.stream(chat_events("Sun", "ny")),
        streamed_call,
        lambda handler: handler.answer(400, refusal),
        embedding,
        lambda handler: handler.answer(200, chat_answer("Later")),
        lambda handler: handler.stream(chat_events("La", "ter")),
        lambda handler: handler.answer(200, chat_answer("Within")),
    ]
    done = execute([sys.executable, str(Path(__file__).with_name("wrapped.py"))], stack, key)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def calls(said: Any, langfuse: Langfuse, admin: Admin) -> Any:
    """The observation of each call by name, and Octavo's own trace of it."""
    found = {}
    for name, trace_id in said["traces"].items():

        def sent(trace_id: str = trace_id, name: str = name) -> Any:
            groups = "basic,io,usage,model,metadata,metrics,trace_context"
            return langfuse.api.observations.get_many(trace_id=trace_id, name=name, fields=groups).data

        def joined(trace_id: str = trace_id) -> Any:
            return admin.call("GET", f"/traces/{trace_id}")

        soon(sent)
        trace = soon(joined, lambda one: any(span["source"] == "gateway" for span in one["spans"]))
        (one,) = sent()
        found[name] = (one, trace)
    return found


def test_each_call_is_counted_once_with_the_gateways_cost(calls: Any) -> None:
    for name, (one, trace) in calls.items():
        counted = [span for span in trace["spans"] if span["counted"] and span["total_tokens"]]
        assert [span["source"] for span in counted] == ([] if name == "refused" else ["gateway"]), name
        assert one.environment == "staging", name
        assert one.release == "r-7", name
        if name not in ("refused", "embedded"):
            assert (one.type, one.usage_details["input"], one.usage_details["output"]) == ("GENERATION", 12, 3), name
            assert one.total_cost == pytest.approx(float(trace["trace"]["cost_usd"])), name
            assert one.total_cost > 0, name
        if name not in ("refused", "within"):
            assert (one.user_id, one.metadata["case"]) == ("linus", name)


def test_contents_of_every_shape(calls: Any) -> None:
    for name in ("tool call", "streamed tool call"):
        assert "weather" in calls[name][0].output, name
        assert "Paris" in calls[name][0].output, name
        assert "tools" in calls[name][0].input, name
    for name, text in (("streamed", "Sunny"), ("async", "Later"), ("async streamed", "Later"), ("within", "Within")):
        assert text in calls[name][0].output, name
    for name in ("streamed", "async streamed"):
        assert calls[name][0].time_to_first_token > 0
    assert calls["within"][0].model_parameters["temperature"] == 0.5
    assert (calls["embedded"][0].type, calls["embedded"][0].usage_details["input"]) == ("EMBEDDING", 4)


def test_an_error_of_the_model_is_on_the_step(calls: Any, said: Any) -> None:
    assert "That is too much." in said["told"]
    assert calls["refused"][0].level == "ERROR"
    assert "That is too much." in calls["refused"][0].status_message
    assert calls["refused"][1]["trace"]["error_count"] >= 1


def test_what_is_sampled_away_or_masked_does_not_come(langfuse: Langfuse, stack: Stack, key: dict[str, str]) -> None:
    program = """
    import json
    from langfuse import Langfuse
    def hidden(*, data, **_):
        return json.loads(json.dumps(data).replace("secret", "****"))
    masked = Langfuse(mask=hidden)
    with masked.start_as_current_observation(
        name="masked", input={"a": "a secret"}, metadata={"b": "secret"}
    ) as root:
        root.update(output="secret")
    masked.flush()
    print(root.trace_id)
    """
    done = run(program, stack, key, LANGFUSE_TRACING_ENVIRONMENT="qa", LANGFUSE_RELEASE="from-environment")
    assert done.returncode == 0, done.stderr
    (one,) = soon(
        lambda: (
            langfuse.api.observations.get_many(
                trace_id=done.stdout.strip(), fields="basic,io,metadata,trace_context"
            ).data
        )
    )
    assert (json.loads(one.input), one.output, one.metadata["b"]) == ({"a": "a ****"}, "****", "****")
    assert (one.environment, one.release) == ("qa", "from-environment")

    program = """
    from langfuse import get_client
    with get_client().start_as_current_observation(name="sampled away") as root:
        pass
    get_client().flush()
    """
    done = run(program, stack, key, LANGFUSE_SAMPLE_RATE="0.0")
    assert done.returncode == 0, done.stderr
    assert langfuse.api.observations.get_many(name="sampled away").data == []
