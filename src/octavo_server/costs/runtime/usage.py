"""Token counts as providers report them, normalised into disjoint buckets.

Providers differ in what their numbers contain: OpenAI counts cached and audio tokens inside the prompt and reasoning
inside the completion, Anthropic and Bedrock leave cached tokens out of the input, Gemini leaves thoughts out of the
candidates. Counts that are missing, null, negative or no numbers at all are 0; a part is never larger than its whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from octavo_server.traces.model import Usage

# No real call comes near; beyond it a number is garbage that must not overflow a 64-bit sum.
_MOST = 2**31 - 1

_NONE: Mapping[str, Any] = {}


def normalise_usage(wire: str, usage: Mapping[str, Any] | None) -> Usage:
    """Disjoint buckets of a provider's usage object. `wire` is `openai` (chat, completions, responses, embeddings),
    `anthropic`, `gemini` or `bedrock`; for any other text the shape tells. Never raises."""
    if not isinstance(usage, Mapping):
        return Usage()
    return (_READERS.get(wire) or _READERS[_wire_of(usage)])(usage)


def _wire_of(usage: Mapping[str, Any]) -> str:
    if "promptTokenCount" in usage or "totalTokenCount" in usage:
        return "gemini"
    if "inputTokens" in usage or "outputTokens" in usage:
        return "bedrock"
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        return "anthropic"
    return "openai"


def _openai(usage: Mapping[str, Any]) -> Usage:
    named_input = "prompt_tokens" not in usage and "completion_tokens" not in usage  # the Responses and Images APIs
    prompt = _count(usage.get("input_tokens" if named_input else "prompt_tokens"))
    completion = _count(usage.get("output_tokens" if named_input else "completion_tokens"))
    total = _count(usage.get("total_tokens"))
    if not prompt and not completion:
        prompt = total  # embedding services that report only a total
    inside = _object(usage.get("input_tokens_details" if named_input else "prompt_tokens_details"))
    outside = _object(usage.get("output_tokens_details" if named_input else "completion_tokens_details"))
    reasoning = _count(outside.get("reasoning_tokens")) or _count(usage.get("reasoning_tokens"))
    if total > prompt + completion:
        # xAI and Gemini's OpenAI endpoint count reasoning in the total only; the latter does not even name it.
        reasoning = max(reasoning, total - prompt - completion)
        completion = total - prompt
    cached = (
        _count(inside.get("cached_tokens"))
        or _count(usage.get("prompt_cache_hit_tokens"))  # DeepSeek
        or _count(usage.get("cached_tokens"))  # Moonshot
    )
    cached_details = _object(inside.get("cached_tokens_details"))
    return _usage(
        prompt=prompt,
        cache_read=cached,
        cache_write=_count(inside.get("cache_write_tokens")),
        input_audio=_count(inside.get("audio_tokens")),
        input_image=_count(inside.get("image_tokens")),
        cache_read_audio=_count(cached_details.get("audio_tokens")),
        cache_read_image=_count(cached_details.get("image_tokens")),
        completion=completion,
        reasoning=reasoning,
        output_audio=_count(outside.get("audio_tokens")),
        output_image=_count(outside.get("image_tokens")),
        citations=_count(usage.get("citation_tokens")),  # Perplexity, as the next
        web_searches=_count(usage.get("num_search_queries"))
        or _count(_object(usage.get("server_tool_use")).get("web_search_requests")),
    )


def _anthropic(usage: Mapping[str, Any]) -> Usage:
    written = _object(usage.get("cache_creation"))
    hour = _count(written.get("ephemeral_1h_input_tokens"))
    cache_read = _count(usage.get("cache_read_input_tokens"))
    cache_write = _count(usage.get("cache_creation_input_tokens")) or (
        _count(written.get("ephemeral_5m_input_tokens")) + hour
    )
    return _usage(
        prompt=_count(usage.get("input_tokens")) + cache_read + cache_write,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=hour,
        completion=_count(usage.get("output_tokens")),
        reasoning=_count(_object(usage.get("output_tokens_details")).get("thinking_tokens")),
        web_searches=_count(_object(usage.get("server_tool_use")).get("web_search_requests")),
    )


def _gemini(usage: Mapping[str, Any]) -> Usage:
    thoughts = _count(usage.get("thoughtsTokenCount"))
    prompt = _by_modality(usage.get("promptTokensDetails"))
    tools = _by_modality(usage.get("toolUsePromptTokensDetails"))
    cached = _by_modality(usage.get("cacheTokensDetails"))
    answer = _by_modality(usage.get("candidatesTokensDetails") or usage.get("responseTokensDetails"))
    return _usage(
        prompt=_count(usage.get("promptTokenCount")) + _count(usage.get("toolUsePromptTokenCount")),
        cache_read=_count(usage.get("cachedContentTokenCount")),
        input_audio=prompt.get("AUDIO", 0) + tools.get("AUDIO", 0),
        input_image=prompt.get("IMAGE", 0) + tools.get("IMAGE", 0),
        input_video=prompt.get("VIDEO", 0) + tools.get("VIDEO", 0),
        cache_read_audio=cached.get("AUDIO", 0),
        cache_read_image=cached.get("IMAGE", 0),
        completion=_count(usage.get("candidatesTokenCount") or usage.get("responseTokenCount")) + thoughts,
        reasoning=thoughts,
        output_audio=answer.get("AUDIO", 0),
        output_image=answer.get("IMAGE", 0),
        output_video=answer.get("VIDEO", 0),
    )


def _bedrock(usage: Mapping[str, Any]) -> Usage:
    cache_read = _count(usage.get("cacheReadInputTokens"))
    cache_write = _count(usage.get("cacheWriteInputTokens"))
    details = usage.get("cacheDetails")
    hour = sum(
        _count(one.get("inputTokens"))
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, Mapping) and one.get("ttl") == "1h"
    )
    return _usage(
        prompt=_count(usage.get("inputTokens")) + cache_read + cache_write,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=hour,
        completion=_count(usage.get("outputTokens")),
    )


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Usage]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
}


def _usage(
    *,
    prompt: int,
    completion: int,
    cache_read: int = 0,
    cache_write: int = 0,
    cache_write_1h: int = 0,
    cache_read_audio: int = 0,
    cache_read_image: int = 0,
    input_audio: int = 0,
    input_image: int = 0,
    input_video: int = 0,
    reasoning: int = 0,
    output_audio: int = 0,
    output_image: int = 0,
    output_video: int = 0,
    citations: int = 0,
    web_searches: int = 0,
) -> Usage:
    """Buckets of a prompt and a completion that contain all the rest. `input_audio` and `input_image` include their
    cached tokens, which are told apart here."""
    cache_read = min(cache_read, prompt)
    left = prompt - cache_read
    cache_write = min(cache_write, left)
    left -= cache_write
    cache_read_audio = min(cache_read_audio, cache_read)
    input_audio = min(max(input_audio - cache_read_audio, 0), left)
    plain_input = left - input_audio
    reasoning = min(reasoning, completion)
    output_audio = min(output_audio, completion - reasoning)
    plain_output = completion - reasoning - output_audio

    details: dict[str, int] = {}
    if cache_write_1h and cache_write:
        details["cache_write_1h"] = min(cache_write_1h, cache_write)
    if cache_read_audio:
        details["cache_read_audio"] = cache_read_audio
    cache_read_image = min(cache_read_image, cache_read - cache_read_audio)
    if cache_read_image:
        details["cache_read_image"] = cache_read_image
    input_image = min(max(input_image - cache_read_image, 0), plain_input)
    if input_image:
        details["input_image"] = input_image
    input_video = min(input_video, plain_input - input_image)
    if input_video:
        details["input_video"] = input_video
    output_image = min(output_image, plain_output)
    if output_image:
        details["output_image"] = output_image
    output_video = min(output_video, plain_output - output_image)
    if output_video:
        details["output_video"] = output_video
    if citations:
        details["citations"] = citations
    if web_searches:
        details["web_searches"] = web_searches
    return Usage(
        input=plain_input,
        cache_read=cache_read,
        cache_write=cache_write,
        input_audio=input_audio,
        output=plain_output,
        reasoning=reasoning,
        output_audio=output_audio,
        details=details,
    )


def _count(value: Any) -> int:
    if type(value) is int:
        return value if 0 <= value <= _MOST else 0 if value < 0 else _MOST
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return 0
    if isinstance(value, float) and isfinite(value):
        return min(max(int(value), 0), _MOST)
    return 0


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else _NONE


def _by_modality(details: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in details if isinstance(details, list) else ():
        if isinstance(one, Mapping) and isinstance(modality := one.get("modality"), str):
            counts[modality] = counts.get(modality, 0) + _count(one.get("tokenCount"))
    return counts
