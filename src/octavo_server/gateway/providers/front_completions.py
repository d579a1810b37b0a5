"""Clients of the legacy completions endpoint, served by providers that only chat: the prompt becomes a user message."""

from __future__ import annotations

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.base import COMPLETIONS, Call, EventKind, Failure, JsonObject, StreamEvent
from octavo_server.gateway.providers.failures import error_event
from octavo_server.gateway.providers.hub import Front

_DROPPED = frozenset({"prompt", "suffix", "echo", "best_of", "logprobs", "stream_options"})


def to_chat(body: JsonObject) -> JsonObject:
    """The chat body that asks for the same text."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise Invalid(
            "prompt must be one text: this provider is reached by translation to chat, which takes neither token ids "
            "nor several prompts.",
            param="prompt",
        )
    for name, idle in (("suffix", ""), ("echo", False), ("best_of", 1), ("logprobs", 0)):
        if body.get(name) not in (None, idle):
            raise Invalid(f"{name} cannot be expressed for a provider that only chats.", param=name)
    chat = {name: value for name, value in body.items() if name not in _DROPPED}
    chat["messages"] = [{"role": "user", "content": prompt}]
    chat.setdefault("max_tokens", 16)  # the endpoint's documented default
    return chat


def from_chat(call: Call, chat: JsonObject) -> tuple[JsonObject, str]:
    """A chat completion as a text completion."""
    choices = [
        {
            "index": item.get("index", 0),
            "text": (item.get("message") or {}).get("content") or "",
            "logprobs": None,
            "finish_reason": item.get("finish_reason") or "stop",
        }
        for item in chat.get("choices") or ()
    ]
    body = {
        "id": chat["id"].replace("chatcmpl-", "cmpl-"),
        "object": "text_completion",
        "created": chat.get("created") or int(call.now.timestamp()),
        "model": chat.get("model") or call.model,
        "choices": choices,
    }
    if chat.get("usage"):
        body["usage"] = chat["usage"]
    return body, choices[0]["finish_reason"] if choices else ""


class CompletionsEncoder:
    """Chunks as text completion events."""

    __slots__ = ("finish_reason",)

    def __init__(self) -> None:
        self.finish_reason = ""

    def encode(self, chunk: JsonObject) -> list[StreamEvent]:
        kind: EventKind = ""
        choices = []
        for item in chunk.get("choices") or ():
            text = (item.get("delta") or {}).get("content") or ""
            reason = item.get("finish_reason")
            self.finish_reason = reason or self.finish_reason
            kind = "finish" if reason else "content" if text else kind
            if text or reason:
                choices.append({"index": item.get("index", 0), "text": text, "logprobs": None, "finish_reason": reason})
        usage = chunk.get("usage")
        if not choices and not usage:
            return []
        body = {
            "id": chunk["id"].replace("chatcmpl-", "cmpl-"),
            "object": "text_completion",
            "created": chunk.get("created") or 0,
            "model": chunk.get("model") or "",
            "choices": choices,
        }
        if usage:
            body["usage"] = usage
        return [StreamEvent(sse.write(body), kind or "usage")]

    def close(self) -> list[StreamEvent]:
        return [StreamEvent(sse.DONE, "done")]

    def fail(self, problem: Failure) -> StreamEvent:
        return error_event(COMPLETIONS, problem)


COMPLETIONS_FRONT = Front(to_chat=to_chat, reply=from_chat, encoder=lambda call: CompletionsEncoder())
