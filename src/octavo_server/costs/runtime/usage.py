"""Token counts as providers report them, normalised into disjoint buckets.

Providers differ in what their numbers contain: OpenAI counts cached and audio tokens inside the prompt and reasoning
inside the completion, Anthropic and Bedrock leave cached tokens out of the input, Gemini leaves thoughts out of the
candidates. Counts that are missing, null, negative or no numbers at all are 0; a part is never larger than its whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from octavo_server.costs.model import DETAIL_OF
from octavo_server.traces.model import Usage

# No real call comes near; beyond it a number is garbage that must not overflow a 64-bit sum.
_MOST = 2**31 - 1

_NONE: Mapping[str, Any] = {}
_PLAIN = {"prompt_tokens", "completion_tokens", "total_tokens"}


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
    if usage.keys() == _PLAIN:
        # The usual case by far, and the hot path's: what follows would come to the same.
        prompt, completion, total = usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]
        counted = type(prompt) is int and type(completion) is int and 0 <= prompt <= _MOST and 0 <= completion <= _MOST
        if counted and total == prompt + completion > 0:
            return Usage(input=prompt, output=completion)
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
        if isinstance(one, dict) and one.get("ttl") == "1h"
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
    input_audio: int = 0,
    reasoning: int = 0,
    output_audio: int = 0,
    **parts: int,
) -> Usage:
    """Buckets of a prompt and a completion that contain all the rest. `parts` are details; audio and images of the
    input include their cached tokens, which are told apart here."""
    cache_read = min(cache_read, prompt)
    plain_input = prompt - cache_read
    if cache_write:
        cache_write = min(cache_write, plain_input)
        plain_input -= cache_write
    if input_audio:
        input_audio = min(max(input_audio - min(parts.get("cache_read_audio", 0), cache_read), 0), plain_input)
        plain_input -= input_audio
    reasoning = min(reasoning, completion)
    plain_output = completion - reasoning
    if output_audio:
        output_audio = min(output_audio, plain_output)
        plain_output -= output_audio
    details: dict[str, int] = {}
    if any(parts.values()):
        if parts.get("input_image"):
            parts["input_image"] = max(parts["input_image"] - min(parts.get("cache_read_image", 0), cache_read), 0)
        left = {"input": plain_input, "cache_read": cache_read, "cache_write": cache_write, "output": plain_output}
        for part, count in parts.items():
            whole = DETAIL_OF[part]
            if whole:
                count = min(count, left[whole])
                left[whole] -= count
            if count:
                details[part] = count
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
    return value if isinstance(value, dict) else _NONE


def _by_modality(details: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and isinstance(modality := one.get("modality"), str):
            counts[modality] = counts.get(modality, 0) + _count(one.get("tokenCount"))
    return counts
