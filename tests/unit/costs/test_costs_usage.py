"""Token counts of each provider's real usage objects, and what garbage may not do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.costs.runtime import normalise_usage
from octavo_server.traces.model import Usage

GOLDEN: dict[str, tuple[str, dict[str, Any], Usage]] = {
    "openai chat, cached and reasoning": (
        "openai",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 192,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        Usage(input=86, cache_read=1920, output=108, reasoning=192),
    ),
    "openai audio, both ways": (
        "openai",
        {
            "prompt_tokens": 120,
            "completion_tokens": 90,
            "total_tokens": 210,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 100, "text_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 70, "text_tokens": 20},
        },
        Usage(input=20, input_audio=100, output=20, output_audio=70),
    ),
    "openai realtime, cached audio": (
        "openai",
        {
            "total_tokens": 253,
            "input_tokens": 132,
            "output_tokens": 121,
            "input_token_details": {},
            "input_tokens_details": {
                "text_tokens": 119,
                "audio_tokens": 13,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 54, "audio_tokens": 10},
            },
            "output_tokens_details": {"text_tokens": 30, "audio_tokens": 91},
        },
        Usage(input=65, cache_read=64, input_audio=3, output=30, output_audio=91, details={"cache_read_audio": 10}),
    ),
    "openai chat, nulls": (
        "openai",
        {"prompt_tokens": 12, "completion_tokens": None, "prompt_tokens_details": None, "total_tokens": 12},
        Usage(input=12),
    ),
    "openai responses": (
        "openai",
        {
            "input_tokens": 328,
            "input_tokens_details": {"cached_tokens": 128},
            "output_tokens": 52,
            "output_tokens_details": {"reasoning_tokens": 32},
            "total_tokens": 380,
        },
        Usage(input=200, cache_read=128, output=20, reasoning=32),
    ),
    "openai images": (
        "openai",
        {
            "total_tokens": 1100,
            "input_tokens": 1000,
            "output_tokens": 100,
            "input_tokens_details": {"text_tokens": 200, "image_tokens": 800},
            "output_tokens_details": {"image_tokens": 90, "text_tokens": 10},
        },
        Usage(input=1000, output=100, details={"input_image": 800, "output_image": 90}),
    ),
    "openai embeddings": ("openai", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
    "voyage embeddings, only a total": ("openai", {"total_tokens": 10}, Usage(input=10)),
    "deepseek": (
        "openai",
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        Usage(input=36, cache_read=64, output=20),
    ),
    "moonshot": (
        "openai",
        {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cached_tokens": 40},
        Usage(input=60, cache_read=40, output=20),
    ),
    "xai, reasoning beside the completion": (
        "openai",
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 94},
            "num_sources_used": 0,
        },
        Usage(input=24, cache_read=8, output=9, reasoning=94),
    ),
    "gemini by its openai endpoint, reasoning in the total only": (
        "openai",
        {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 115},
        Usage(input=5, output=10, reasoning=100),
    ),
    "openrouter, cache written": (
        "openai",
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
            "cost": 0.95,
        },
        Usage(input=94, cache_write=100, output=2),
    ),
    "perplexity deep research": (
        "openai",
        {
            "prompt_tokens": 33,
            "completion_tokens": 1000,
            "total_tokens": 1033,
            "reasoning_tokens": 400,
            "citation_tokens": 50,
            "num_search_queries": 6,
        },
        Usage(input=33, output=600, reasoning=400, details={"citations": 50, "web_searches": 6}),
    ),
    "anthropic": (
        "anthropic",
        {
            "input_tokens": 21,
            "cache_creation_input_tokens": 188086,
            "cache_read_input_tokens": 1000,
            "cache_creation": {"ephemeral_5m_input_tokens": 88086, "ephemeral_1h_input_tokens": 100000},
            "output_tokens": 393,
            "server_tool_use": {"web_search_requests": 2},
            "service_tier": "standard",
        },
        Usage(
            input=21,
            cache_read=1000,
            cache_write=188086,
            output=393,
            details={"cache_write_1h": 100000, "web_searches": 2},
        ),
    ),
    "anthropic, thinking": (
        "anthropic",
        {
            "input_tokens": 10,
            "output_tokens": 500,
            "output_tokens_details": {"thinking_tokens": 420},
            "cache_creation_input_tokens": None,
            "cache_read_input_tokens": None,
            "server_tool_use": None,
        },
        Usage(input=10, output=80, reasoning=420),
    ),
    "anthropic, only the breakdown": (
        "anthropic",
        {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 7}, "output_tokens": 2},
        Usage(input=1, cache_write=7, output=2),
    ),
    "gemini, thoughts, tools and cache": (
        "gemini",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 400,
            "toolUsePromptTokenCount": 50,
            "candidatesTokenCount": 200,
            "thoughtsTokenCount": 300,
            "totalTokenCount": 1550,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
        },
        Usage(input=650, cache_read=400, output=200, reasoning=300),
    ),
    "gemini, audio, video and image in, image out": (
        "gemini",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 100,
            "candidatesTokenCount": 1300,
            "totalTokenCount": 2300,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 300},
                {"modality": "AUDIO", "tokenCount": 200},
                {"modality": "IMAGE", "tokenCount": 258},
                {"modality": "VIDEO", "tokenCount": 242},
            ],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
        },
        Usage(
            input=800,
            cache_read=100,
            input_audio=100,
            output=1300,
            details={"cache_read_audio": 100, "input_image": 258, "input_video": 242, "output_image": 1290},
        ),
    ),
    "bedrock converse": (
        "bedrock",
        {
            "inputTokens": 30,
            "outputTokens": 628,
            "totalTokens": 1658,
            "cacheReadInputTokens": 900,
            "cacheWriteInputTokens": 100,
            "cacheDetails": [{"inputTokens": 60, "ttl": "1h"}, {"inputTokens": 40, "ttl": "5m"}],
        },
        Usage(input=30, cache_read=900, cache_write=100, output=628, details={"cache_write_1h": 60}),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_real_usage_object_falls_into_disjoint_buckets(name: str) -> None:
    wire, reported, expected = GOLDEN[name]
    assert normalise_usage(wire, reported) == expected


@pytest.mark.parametrize("name", GOLDEN)
def test_the_shape_tells_the_wire_when_nobody_says_it(name: str) -> None:
    wire, reported, expected = GOLDEN[name]
    if wire != "anthropic" or "cache_read_input_tokens" in reported:  # else it looks like OpenAI's Responses
        assert normalise_usage("", reported) == expected


@pytest.mark.parametrize(
    ("value", "count"),
    [(7.0, 7), ("7", 7), ("7.9", 7), (-3, 0), ("-3", 0), (True, 0), ("x", 0), (float("nan"), 0), ([1], 0), ({}, 0)],
)
def test_numbers_are_read_leniently_and_never_below_zero(value: Any, count: int) -> None:
    assert normalise_usage("openai", {"prompt_tokens": value}) == Usage(input=count)


def test_a_part_is_never_larger_than_its_whole() -> None:
    usage = normalise_usage(
        "openai",
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 99, "audio_tokens": 99},
            "completion_tokens_details": {"reasoning_tokens": 99, "audio_tokens": 99},
        },
    )
    assert usage == Usage(cache_read=10, reasoning=5)


@pytest.mark.parametrize("usage", [None, [], "usage", 7])
def test_no_object_is_no_usage(usage: Any) -> None:
    assert normalise_usage("openai", usage) == Usage()


WIRES = ("openai", "anthropic", "gemini", "bedrock", "", "else")
KEYS = sorted(
    {key for _, reported, _ in GOLDEN.values() for key in reported}
    | {"candidatesTokensDetails", "responseTokensDetails", "responseTokenCount"}
)
INNER = (
    "cached_tokens",
    "audio_tokens",
    "image_tokens",
    "reasoning_tokens",
    "ephemeral_1h_input_tokens",
    "cached_tokens_details",
)
NUMBERS = st.integers(-5, 10_000) | st.integers() | st.floats() | st.text(max_size=4) | st.none() | st.booleans()
OBJECTS = st.dictionaries(st.sampled_from(INNER), NUMBERS | st.dictionaries(st.sampled_from(INNER), NUMBERS))
LISTS = st.lists(
    st.fixed_dictionaries(
        {"modality": st.sampled_from(["AUDIO", "IMAGE", "VIDEO", "TEXT", None]), "tokenCount": NUMBERS}
    )
    | NUMBERS,
    max_size=4,
)
GARBAGE = st.dictionaries(st.sampled_from(KEYS), NUMBERS | OBJECTS | LISTS)


@given(wire=st.sampled_from(WIRES), reported=GARBAGE)
def test_garbage_never_raises_and_never_yields_a_negative_bucket(wire: str, reported: dict[str, Any]) -> None:
    usage = normalise_usage(wire, reported)
    buckets = {name: getattr(usage, name) for name in Usage.__struct_fields__ if name != "details"}
    assert all(type(count) is int and count >= 0 for count in buckets.values())
    assert sum(buckets.values()) == usage.total
    assert all(count > 0 for count in usage.details.values())
    inside = {"cache_write_1h": "cache_write", "cache_read_audio": "cache_read", "cache_read_image": "cache_read"}
    assert all(usage.details.get(part, 0) <= buckets[whole] for part, whole in inside.items())
    assert usage.details.get("input_image", 0) + usage.details.get("input_video", 0) <= usage.input
    assert usage.details.get("output_image", 0) + usage.details.get("output_video", 0) <= usage.output


COUNT = st.integers(0, 1_000_000)


@given(prompt=COUNT, completion=COUNT, cached=COUNT, audio=COUNT, reasoning=COUNT, spoken=COUNT)
def test_openai_buckets_add_up_to_the_reported_total(
    prompt: int, completion: int, cached: int, audio: int, reasoning: int, spoken: int
) -> None:
    usage = normalise_usage(
        "openai",
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
        },
    )
    assert usage.total == prompt + completion


@given(prompt=COUNT, completion=COUNT, read=COUNT, written=COUNT)
def test_anthropic_and_bedrock_count_alike(prompt: int, completion: int, read: int, written: int) -> None:
    anthropic = normalise_usage(
        "anthropic",
        {
            "input_tokens": prompt,
            "output_tokens": completion,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
        },
    )
    bedrock = normalise_usage(
        "bedrock",
        {
            "inputTokens": prompt,
            "outputTokens": completion,
            "cacheReadInputTokens": read,
            "cacheWriteInputTokens": written,
        },
    )
    assert anthropic == bedrock == Usage(input=prompt, cache_read=read, cache_write=written, output=completion)


@given(
    usage=st.builds(
        Usage,
        input=COUNT,
        cache_read=COUNT,
        cache_write=COUNT,
        input_audio=COUNT,
        output=COUNT,
        reasoning=COUNT,
        output_audio=COUNT,
    )
)
def test_normalising_what_was_normalised_changes_nothing(usage: Usage) -> None:
    again = normalise_usage(
        "openai",
        {
            "prompt_tokens": usage.input + usage.cache_read + usage.cache_write + usage.input_audio,
            "completion_tokens": usage.output + usage.reasoning + usage.output_audio,
            "total_tokens": usage.total,
            "prompt_tokens_details": {
                "cached_tokens": usage.cache_read,
                "cache_write_tokens": usage.cache_write,
                "audio_tokens": usage.input_audio,
            },
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.output_audio},
        },
    )
    assert again == usage
