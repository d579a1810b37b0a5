"""Every dialect of span attributes says the same thing."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.traces.spans import ORIGIN, START_NS, mapped, raw

from octavo_server.costs.runtime import normalise_usage
from octavo_server.traces import dialects
from octavo_server.traces.failures import CLASSES, error_class
from octavo_server.traces.mapping import Mapper
from octavo_server.traces.messages import call_digest
from octavo_server.traces.model import CaptureMode, ProjectRules, Span, SpanEvent, SpanKind, Usage

QUESTION = [{"role": "user", "content": "Why?"}]

OTEL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4.1",
    "gen_ai.response.model": "gpt-4.1-2025",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.cache_read.input_tokens": 40,
    "gen_ai.usage.reasoning.output_tokens": 10,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.conversation.id": "s1",
    "user.id": "u1",
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]),
}
OTEL_OLD = {
    "gen_ai.system": "OpenAI",
    "llm.request.type": "chat",
    "gen_ai.request.model": "gpt-4.1",
    "gen_ai.response.model": "gpt-4.1-2025",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.usage.prompt_tokens": 100,
    "gen_ai.usage.completion_tokens": 50,
    "gen_ai.usage.cache_read_input_tokens": 40,
    "gen_ai.usage.reasoning_tokens": 10,
    "gen_ai.completion.0.finish_reason": "stop",
    "gen_ai.response.finish_reasons": "stop",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "Why?",
    "traceloop.association.properties.session_id": "s1",
    "traceloop.association.properties.user_id": "u1",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.model_name": "gpt-4.1-2025",
    "gen_ai.request.model": "gpt-4.1",
    "llm.invocation_parameters": '{"model": "gpt-4.1", "temperature": 0.5}',
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 50,
    "llm.token_count.total": 150,
    "llm.token_count.prompt_details.cache_read": 40,
    "llm.token_count.completion_details.reasoning": 10,
    "llm.finish_reason": "stop",
    "llm.response.id": "chatcmpl-1",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "Why?",
    "session.id": "s1",
    "user.id": "u1",
    "input.value": '{"messages": []}',
}
LANGFUSE = {
    "langfuse.observation.type": "generation",
    "gen_ai.provider.name": "openai",
    "langfuse.observation.model.name": "gpt-4.1-2025",
    "gen_ai.request.model": "gpt-4.1",
    "langfuse.observation.model.parameters": '{"temperature": 0.5, "max_tokens": "Infinity"}',
    "langfuse.observation.usage_details": json.dumps(
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": None},
            "completion_tokens_details": {"reasoning_tokens": 10},
        }
    ),
    "gen_ai.response.finish_reasons": '["stop"]',
    "gen_ai.response.id": "chatcmpl-1",
    "langfuse.observation.input": json.dumps(QUESTION),
    "session.id": "s1",
    "user.id": "u1",
}
ALL = {"otel": OTEL, "otel_old": OTEL_OLD, "openinference": OPENINFERENCE, "langfuse": LANGFUSE}


@pytest.mark.parametrize("attributes", ALL.values(), ids=ALL)
def test_each_dialect_tells_the_same_call(attributes: dict[str, Any]) -> None:
    span = mapped(attributes)

    assert span.kind is SpanKind.LLM
    assert (span.provider, span.model, span.model_requested) == ("openai", "gpt-4.1-2025", "gpt-4.1")
    assert span.usage == Usage(input=60, cache_read=40, output=40, reasoning=10)
    assert span.parameters == {"temperature": 0.5}
    assert (span.session_id, span.user_id) == ("s1", "u1")
    assert (span.finish_reason, span.response_id) == ("stop", "chatcmpl-1")
    assert span.call_digest == call_digest(QUESTION)
    assert span.input_preview == "Why?"


@pytest.mark.parametrize("first", ALL.values(), ids=ALL)
@pytest.mark.parametrize("second", ALL.values(), ids=ALL)
def test_two_dialects_on_one_span_count_once(first: dict[str, Any], second: dict[str, Any]) -> None:
    span = mapped({**first, **second})

    assert span.usage == Usage(input=60, cache_read=40, output=40, reasoning=10)
    assert span.kind is SpanKind.LLM


def test_kinds_have_a_precedence() -> None:
    said = {"langfuse.observation.type": "tool", "openinference.span.kind": "LLM", "gen_ai.operation.name": "chat"}

    assert mapped(said).kind is SpanKind.TOOL
    assert mapped({**said, "langfuse.observation.type": ""}).kind is SpanKind.LLM
    assert mapped({"gen_ai.operation.name": "invoke_agent", "traceloop.span.kind": "tool"}).kind is SpanKind.AGENT
    assert mapped({"tool.name": "f"}).kind is SpanKind.TOOL
    assert mapped({"llm.model_name": "m"}).kind is SpanKind.LLM
    assert mapped({"http.method": "GET"}).kind is SpanKind.SPAN


def test_tool_calls_in_flattened_messages_are_whole_again() -> None:
    base = "llm.output_messages.0.message."
    span = mapped(
        {
            base + "role": "assistant",
            base + "tool_calls.0.tool_call.id": "c1",
            base + "tool_calls.0.tool_call.function.name": "weather",
            base + "tool_calls.0.tool_call.function.arguments": '{"city": "Rome"}',
            "llm.input_messages.10.message.content": "last",
            "llm.input_messages.2.message.content": "first",
            "llm.tools.0.tool.json_schema": '{"name": "weather"}',
        }
    )

    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
    assert json.loads(span.output) == {"role": "assistant", "tool_calls": [call]}
    assert [one["content"] for one in json.loads(span.input)] == ["first", "last"]
    assert json.loads(span.tools) == [{"name": "weather"}]


def test_retrieved_documents_have_their_scores() -> None:
    base = "retrieval.documents.0.document."
    span = mapped(
        {
            "openinference.span.kind": "RETRIEVER",
            base + "content": "text",
            base + "score": 0.9,
            base + "metadata": '{"source": "a.md"}',
        }
    )

    assert json.loads(span.documents) == [{"content": "text", "score": 0.9, "metadata": {"source": "a.md"}}]


def test_long_vectors_are_kept_in_short() -> None:
    span = mapped({"embedding.embeddings.0.embedding.vector": [0.5] * 1536, "embedding.model_name": "e"})

    assert span.attributes["embedding.embeddings.0.embedding.vector"] == {"dimensions": 1536, "first": [0.5] * 8}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"input": 10, "output": 5}, Usage(input=10, output=5)),
        ({"input": 10, "output": 5, "total": 15, "input_cached_tokens": 4}, Usage(input=6, cache_read=4, output=5)),
        ({"input": 6, "output": 5, "total": 15, "input_cached_tokens": 4}, Usage(input=6, cache_read=4, output=5)),
        ({"total": 15}, Usage(input=15)),
        ({"input": "7", "output": None}, Usage(input=7)),
        ({"input": -7, "output": 1e300}, Usage(output=2**31 - 1)),
    ],
)
def test_langfuse_usage_falls_into_disjoint_buckets(told: dict[str, Any], usage: Usage) -> None:
    assert mapped({"langfuse.observation.usage_details": json.dumps(told)}).usage == usage


def test_reported_costs_are_exact_and_zeros_of_a_failed_call_are_none() -> None:
    costs = "langfuse.observation.cost_details"
    assert mapped({costs: '{"total": 0.000123}'}).cost_nano == 123_000
    assert mapped({costs: '{"input": 0.1, "output": 0.2}'}).cost_nano == 300_000_000
    assert mapped({costs: '{"input": 0, "output": 0}'}, status_code=2).cost_nano is None
    assert mapped({"llm.cost.total": 0.5}).cost_nano == 500_000_000
    assert mapped({"llm.cost.total": "much"}).cost_nano is None
    assert mapped({}).cost_nano is None


def test_a_failure_says_what_it_was() -> None:
    exception = SpanEvent(
        name="exception",
        time_ns=START_NS,
        attributes={"exception.type": "openai.RateLimitError", "exception.message": "slow down"},
    )
    span = mapped(
        {"llm.invocation_parameters": '{"model": "gpt-4.1"}', "openinference.span.kind": "LLM"},
        status_code=2,
        events=[exception],
    )

    assert (span.status, span.level, span.model) == ("error", "ERROR", "gpt-4.1")
    assert (span.error_type, span.error_class) == ("openai.RateLimitError", "rate_limit")
    assert span.status_message == "slow down"
    assert mapped({"langfuse.observation.level": "ERROR"}).status == "error"


@pytest.mark.parametrize(
    ("error_type", "message", "expected"),
    [
        ("openai.APITimeoutError", "", "timeout"),
        ("AuthenticationError", "", "auth"),
        ("openai.NotFoundError", "", "invalid_request"),
        ("anthropic.OverloadedError", "", "upstream"),
        ("asyncio.CancelledError", "", "cancelled"),
        ("", "Error code: 429 - slow", "rate_limit"),
        ("", "You exceeded your current quota", "budget"),
        ("503", "", "upstream"),
        ("404", "", "invalid_request"),
        ("ZeroDivisionError", "division by zero", "internal"),
        ("", "", "internal"),
    ],
)
def test_failures_have_a_class(error_type: str, message: str, expected: str) -> None:
    assert error_class(error_type, message) == expected
    assert expected in CLASSES


def test_time_to_first_token_in_every_dialect() -> None:
    at = '"2026-05-28T20:26:40.500000Z"'
    assert mapped({"langfuse.observation.completion_start_time": at}).ttft_ns == 500_000_000
    assert mapped({"gen_ai.response.time_to_first_chunk": 0.25}).ttft_ns == 250_000_000
    assert mapped({"ai.response.msToFirstChunk": 12.5}).ttft_ns == 12_500_000
    event = SpanEvent(name="First Token Stream Event", time_ns=START_NS + 7)
    assert mapped({}, events=[event]).ttft_ns == 7
    assert mapped({"gen_ai.response.time_to_first_chunk": -1}).ttft_ns is None


def test_metadata_is_decoded_and_identity_lifted_out_of_it() -> None:
    span = mapped(
        {
            "langfuse.observation.metadata.n": "5",
            "langfuse.trace.metadata.team": '"x"',
            "langfuse.trace.metadata.plain": "bare text",
            "langfuse.trace.metadata.langfuse_session_id": "s9",
            "langfuse.trace.tags": ["a", "b"],
        }
    )

    assert span.metadata == {"n": 5, "team": "x", "plain": "bare text"}
    assert (span.session_id, span.tags) == ("s9", ["a", "b"])


def test_messages_in_events_are_input_and_output() -> None:
    events = [
        SpanEvent(name="gen_ai.user.message", time_ns=1, attributes={"content": "Why?"}),
        SpanEvent(name="gen_ai.choice", time_ns=2, attributes={"message": {"content": "Because."}, "index": 0}),
    ]
    span = mapped({"gen_ai.operation.name": "chat"}, events=events)

    assert json.loads(span.input) == QUESTION
    assert json.loads(span.output) == {"content": "Because."}


def test_masks_reach_everything_that_is_stored() -> None:
    rules = ProjectRules(masks=(r"\d{3}-\d{4}",))
    event = SpanEvent(name="e", time_ns=1, attributes={"deep": [{"phone": "555-1234"}]})
    span = mapped(
        {"input.value": "call 555-1234", "other": {"a": ["555-1234"]}},
        rules,
        status_message="no 555-1234",
        events=[event],
    )

    assert "555-1234" not in msgspec.json.encode(span).decode()
    assert span.input == "call [MASKED]"


def test_metadata_only_keeps_names_and_numbers() -> None:
    secret = "SECRET"
    attributes: dict[str, Any] = {**OPENINFERENCE, "input.value": secret, "my.note": secret, "my.count": 3}
    attributes["llm.input_messages.0.message.content"] = secret
    span = mapped(attributes, ProjectRules(capture=CaptureMode.METADATA))
    nothing = mapped(attributes, ProjectRules(capture=CaptureMode.NONE))

    assert secret not in msgspec.json.encode(span).decode()
    assert (span.model, span.session_id, span.attributes["my.count"]) == ("gpt-4.1-2025", "s1", 3)
    assert span.usage is not None
    assert (nothing.session_id, nothing.user_id, nothing.attributes) == ("", "", {})


NAMES = sorted({name for names in dialects.FIELDS.values() for name in names})
PREFIXES = sorted({prefix for prefixes in dialects.GROUPS.values() for prefix in prefixes})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
    | st.sampled_from(
        ['{"a": [1]}', "[]", "[[", '{"total": 1}', "Infinity", "LLM", "generation", "2026-01-01T00:00:00Z"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
KEYS = (
    st.sampled_from(NAMES)
    | st.builds("".join, st.tuples(st.sampled_from(PREFIXES), st.from_regex(r"[0-9a-z.]{0,20}", fullmatch=True)))
    | st.text(max_size=20)
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=12)


def whole(span: Span) -> dict[str, Any]:
    """All attributes of a span, those that columns hold put back."""
    moved = {span.input_from: span.input, span.output_from: span.output}
    return {**span.attributes, **{name: text for name, text in moved.items() if name}}


@settings(max_examples=300, deadline=None)
@given(attributes=ATTRIBUTES, seed=st.integers(0, 9))
def test_mapping_loses_no_attribute_and_knows_no_order(attributes: dict[str, Any], seed: int) -> None:
    mapper = Mapper(normalise_usage)
    span = mapper.span(raw(attributes), ORIGIN, ProjectRules())
    shuffled = list(attributes.items())
    random.Random(seed).shuffle(shuffled)

    assert whole(span) == {
        name: {"dimensions": len(value), "first": value[:8]}
        if name.endswith(".vector") and isinstance(value, list) and len(value) > 8
        else value
        for name, value in attributes.items()
    }
    assert mapper.span(raw(dict(shuffled)), ORIGIN, ProjectRules()) == span
    assert Mapper(normalise_usage).span(raw(whole(span)), ORIGIN, ProjectRules()) == span
    msgspec.json.encode(span)


@pytest.mark.parametrize("backwards", [False, True])
def test_where_two_dialects_say_one_parameter_the_first_of_them_counts(backwards: bool) -> None:
    said = [("gen_ai.request.temperature", 0.1), ("ai.settings.temperature", 0.9)]

    assert mapped(dict(reversed(said) if backwards else said)).parameters == {"temperature": 0.1}


def test_one_call_has_one_digest_in_every_dialect() -> None:
    said = [
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
        [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [{"type": "input_text", "text": "Why?"}]},
        ],
        [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": "Why?"}]},
        ],
    ]
    digests = {call_digest(one) for one in said} | {call_digest(json.dumps(one)) for one in said}

    assert len(digests) == 1
    assert call_digest(json.dumps({"messages": said[0], "tools": []})) in digests
    assert call_digest("") == 0
    assert call_digest("Why?") == call_digest([{"role": "user", "content": "Why?"}])
