"""The hub format: building chat completions and their chunks, reading chat requests, writing chat streams."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.base import CHAT, Call, EventKind, Failure, JsonObject, StreamEvent, Usage
from octavo_server.gateway.providers.failures import error_event, in_stream, read_object
from octavo_server.gateway.providers.hub import ChatReply, Front


class Tokens(NamedTuple):
    """Token counts by OpenAI's rules: `prompt` includes the cached ones, `completion` the reasoning."""

    prompt: int
    completion: int
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0

    def as_chat(self) -> JsonObject:
        usage: JsonObject = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cache_read},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }
        if self.cache_write:
            usage["prompt_tokens_details"]["cache_write_tokens"] = self.cache_write
        return usage

    @classmethod
    def of_chat(cls, usage: Mapping[str, Any]) -> Tokens:
        prompt = usage.get("prompt_tokens_details") or {}
        completion = usage.get("completion_tokens_details") or {}
        return cls(
            prompt=usage.get("prompt_tokens") or 0,
            completion=usage.get("completion_tokens") or 0,
            cache_read=prompt.get("cached_tokens") or 0,
            cache_write=prompt.get("cache_write_tokens") or 0,
            reasoning=completion.get("reasoning_tokens") or 0,
        )


# ---- building replies -------------------------------------------------------------------------------------------


def completion(
    call: Call,
    *,
    model: str,
    response_id: str = "",
    choices: list[JsonObject],
    tokens: Tokens | None,
) -> JsonObject:
    """A whole `chat.completion`."""
    body: JsonObject = {
        "id": response_id or f"chatcmpl-{call.request_id}",
        "object": "chat.completion",
        "created": int(call.now.timestamp()),
        "model": model or call.model,
        "choices": choices,
    }
    if tokens is not None:
        body["usage"] = tokens.as_chat()
    return body


def choice(index: int, message: JsonObject, finish_reason: str) -> JsonObject:
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason}


def message(
    *, text: str | None, tool_calls: list[JsonObject], reasoning: str = "", refusal: str | None = None
) -> JsonObject:
    """An assistant message; `content` is null when there is no text, as OpenAI has it."""
    built: JsonObject = {
        "role": "assistant",
        "content": text or (None if tool_calls or refusal else ""),
        "refusal": refusal,
    }
    if reasoning:
        built["reasoning_content"] = reasoning
    if tool_calls:
        built["tool_calls"] = tool_calls
    return built


def tool_call(call_id: str, name: str, arguments: str) -> JsonObject:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


class ChunkWriter:
    """Builds the chunks of one stream, all with the same id, model and date."""

    __slots__ = ("created", "model", "response_id")

    def __init__(self, call: Call) -> None:
        self.response_id = f"chatcmpl-{call.request_id}"
        self.model = call.model
        self.created = int(call.now.timestamp())

    def delta(self, delta: JsonObject, *, finish_reason: str | None = None, index: int = 0) -> JsonObject:
        return self._chunk([{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}])

    def usage(self, tokens: Tokens) -> JsonObject:
        return {**self._chunk([]), "usage": tokens.as_chat()}

    def _chunk(self, choices: list[JsonObject]) -> JsonObject:
        return {
            "id": self.response_id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


# ---- reading requests -------------------------------------------------------------------------------------------


class Schema(NamedTuple):
    """What `response_format` asks for: `schema` is None for any JSON object."""

    name: str
    schema: JsonObject | None
    strict: bool = False


class Media(NamedTuple):
    """An image, document or sound of a message, inline (`data`, base64) or by reference (`url`)."""

    kind: str  # image | document | audio
    mime: str
    data: str
    url: str
    name: str = ""


def response_format(body: Mapping[str, Any]) -> Schema | None:
    """The JSON that the client wants back; None for text."""
    wanted = body.get("response_format") or {}
    if not isinstance(wanted, dict):
        raise Invalid("response_format must be an object.", param="response_format")
    match wanted.get("type", "text"):
        case "text":
            return None
        case "json_object":
            return Schema("json_object", None)
        case "json_schema":
            inner = wanted.get("json_schema") or {}
            schema = inner.get("schema")
            if not isinstance(schema, dict):
                raise Invalid(
                    "response_format.json_schema.schema must be an object.", param="response_format.json_schema.schema"
                )
            return Schema(str(inner.get("name") or "answer"), schema, bool(inner.get("strict")))
        case other:
            raise Invalid(
                f"response_format.type is {other!r}; expected 'text', 'json_object' or 'json_schema'.",
                param="response_format.type",
            )


def messages_of(body: Mapping[str, Any]) -> list[JsonObject]:
    """The request's messages, each an object with a role."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Invalid("messages must be a list with at least one message.", param="messages")
    for index, item in enumerate(messages):
        if not isinstance(item, dict) or not isinstance(item.get("role"), str):
            raise Invalid(f"messages[{index}] must be an object with a role.", param=f"messages[{index}]")
    return messages


def parts_of(content: Any, where: str) -> Iterator[str | Media]:
    """The parts of a message's content: texts and media, in order."""
    if content is None:
        return
    if isinstance(content, str):
        if content:
            yield content
        return
    if not isinstance(content, list):
        raise Invalid(f"{where} must be a text or a list of parts.", param=where)
    for index, part in enumerate(content):
        at = f"{where}[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal", "input_text", "output_text"):
            text = part.get("text") or part.get("refusal") or ""
            if not isinstance(text, str):
                raise Invalid(f"{at}.text must be a text.", param=at)
            if text:
                yield text
        elif kind == "image_url":
            image = part.get("image_url")
            yield _by_url("image", image.get("url") if isinstance(image, dict) else image, f"{at}.image_url.url")
        elif kind == "input_audio":
            audio = part.get("input_audio") or {}
            yield Media("audio", f"audio/{audio.get('format', 'wav')}", str(audio.get("data", "")), "")
        elif kind == "file":
            yield _file(part.get("file") or {}, at)
        else:
            raise Invalid(
                f"{at}.type is {kind!r}; expected 'text', 'image_url', 'input_audio' or 'file'.", param=f"{at}.type"
            )


def text_of(content: Any, where: str) -> str:
    """The content as text; media are refused."""
    texts = []
    for part in parts_of(content, where):
        if isinstance(part, Media):
            raise Invalid(f"{where} can hold only text for this provider, not {part.kind}.", param=where)
        texts.append(part)
    return "\n".join(texts)


def arguments_of(call: Mapping[str, Any], where: str) -> JsonObject:
    """The arguments of an earlier tool call, which OpenAI carries as a text of JSON."""
    text = (call.get("function") or {}).get("arguments") or "{}"
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise Invalid(f"{where}.function.arguments must be a text holding a JSON object.", param=where) from error
    if not isinstance(value, dict):
        raise Invalid(f"{where}.function.arguments must be a text holding a JSON object.", param=where)
    return value


def tools_of(body: Mapping[str, Any]) -> list[JsonObject]:
    """The functions offered: `{name, description?, parameters?, strict?}`. Other kinds of tools are refused."""
    functions = []
    for index, tool in enumerate(body.get("tools") or ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        function = tool.get("function") if isinstance(tool, dict) else None
        if kind != "function" or not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Invalid(
                f"tools[{index}] is of type {kind!r}; this provider is reached by translation and takes only "
                "functions with a name.",
                param=f"tools[{index}]",
            )
        functions.append(function)
    if body.get("functions"):
        raise Invalid("functions is no longer supported here: send tools.", param="functions")
    return functions


def tool_choice_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """`("auto" | "none" | "required" | "function", name)`; auto when nothing is said."""
    wanted = body.get("tool_choice")
    if wanted is None:
        return "auto", ""
    if wanted in ("auto", "none", "required"):
        return wanted, ""
    if isinstance(wanted, dict) and wanted.get("type") == "function":
        name = (wanted.get("function") or {}).get("name")
        if isinstance(name, str) and name:
            return "function", name
    raise Invalid(
        "tool_choice must be 'auto', 'none', 'required' or name a function.",
        param="tool_choice",
    )


def stops_of(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop")
    return [stop] if isinstance(stop, str) else list(stop or ())


def max_tokens_of(body: Mapping[str, Any]) -> int | None:
    return body.get("max_completion_tokens") or body.get("max_tokens")


# What asks for nothing when it has this value, so that clients that always send it are served.
_IDLE: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "store": (False,),
    "top_logprobs": (0,),
}
# Bookkeeping of OpenAI's platform: no answer changes by leaving it out.
_HARMLESS = frozenset(
    {
        "user",
        "metadata",
        "store",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "prompt_cache_options",
        "service_tier",
    }
)


def refuse_unknown(body: Mapping[str, Any], known: frozenset[str], provider: str) -> None:
    """Raises `Invalid` for a parameter that the translation would lose."""
    for name, value in body.items():
        if name in known or name in _HARMLESS or value is None or value in _IDLE.get(name, ()):
            continue
        raise Invalid(
            f"{name} cannot be expressed for {provider}, which is reached by translation. Leave it out, or call a "
            "provider that speaks the OpenAI format.",
            param=name,
            code="unsupported_parameter",
        )


_DATA_URI = re.compile(r"data:(?P<mime>[^;,]*)(?P<options>(?:;[^;,]*)*),", re.I)


def _by_url(kind: str, url: Any, where: str) -> Media:
    if not isinstance(url, str) or not url:
        raise Invalid(f"{where} must be a URL or a data URI.", param=where)
    match = _DATA_URI.match(url)
    if match is None:
        return Media(kind, "", "", url)
    payload = url[match.end() :]
    if "base64" not in match["options"].lower():
        payload = base64.b64encode(unquote_to_bytes(payload)).decode()
    return Media(kind, match["mime"].lower() or "application/octet-stream", payload, "")


def _file(file: Mapping[str, Any], where: str) -> Media:
    data = file.get("file_data")
    if not isinstance(data, str):
        raise Invalid(
            f"{where}.file.file_data is needed: a file id of another provider cannot be resolved here.",
            param=f"{where}.file.file_data",
        )
    name = str(file.get("filename") or "")
    if data.startswith("data:"):
        return _by_url("document", data, f"{where}.file.file_data")._replace(name=name)
    return Media("document", "application/pdf", data, "", name)


def media_bytes(media: Media, where: str) -> bytes:
    """The bytes of an inline medium."""
    try:
        return base64.b64decode(media.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(f"{where} does not hold valid base64.", param=where) from error


# ---- reading and writing chat streams ---------------------------------------------------------------------------


class ChatSource:
    """A stream of a provider that speaks chat completions itself."""

    __slots__ = ("_events", "complete", "failure", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.complete = False
        self._events = sse.Splitter()

    def feed(self, data: bytes) -> list[JsonObject]:
        return self._read_all(self._events.feed(data))

    def finish(self) -> list[JsonObject]:
        return self._read_all(self._events.finish())

    def _read_all(self, events: list[bytes]) -> list[JsonObject]:
        chunks = []
        for event in events:
            _, text = sse.read(event)
            if not text or text == b"[DONE]":
                continue
            chunk = sse.read_json(text)
            if error := chunk.get("error"):
                self.failure = in_stream(error if isinstance(error, dict) else {"message": str(error)})
                break
            chunk.setdefault("id", "")
            if isinstance(usage := chunk.get("usage"), dict):
                self.usage = Usage("openai", usage)
            self.complete = self.complete or any(item.get("finish_reason") for item in chunk.get("choices") or ())
            chunks.append(chunk)
        return chunks


def read_chat_reply(call: Call, raw: bytes) -> ChatReply:
    """A whole reply of a provider that speaks chat completions itself."""
    body = read_object(raw)
    body.setdefault("model", call.model)
    body.setdefault("id", f"chatcmpl-{call.request_id}")
    usage = body.get("usage")
    return ChatReply(body, Usage("openai", usage) if isinstance(usage, dict) else None)


class ChatEncoder:
    """Chunks as chat completion events."""

    __slots__ = ("finish_reason",)

    def __init__(self) -> None:
        self.finish_reason = ""

    def encode(self, chunk: JsonObject) -> list[StreamEvent]:
        kind: EventKind = ""
        if not chunk["choices"]:
            kind = "usage"
        for item in chunk["choices"]:
            delta = item["delta"]
            if item["finish_reason"]:
                self.finish_reason = item["finish_reason"]
                kind = "finish"
            elif delta.get("content") or delta.get("tool_calls") or delta.get("reasoning_content"):
                kind = "content"
        return [StreamEvent(sse.write(chunk), kind)]

    def close(self) -> list[StreamEvent]:
        return [StreamEvent(sse.DONE, "done")]

    def fail(self, problem: Failure) -> StreamEvent:
        return error_event(CHAT, problem)


def _same_body(body: JsonObject) -> JsonObject:
    return body


def _same_reply(call: Call, chat: JsonObject) -> tuple[JsonObject, str]:
    return chat, chat["choices"][0]["finish_reason"] if chat["choices"] else ""


CHAT_FRONT = Front(to_chat=_same_body, reply=_same_reply, encoder=lambda call: ChatEncoder())
