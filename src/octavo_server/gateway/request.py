"""Reading a client's call: its body, what it says of itself (session, user, tags, trace context), and what Octavo's own
`octavo` field asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.core.ids import new_trace_id
from octavo_server.gateway import splice
from octavo_server.gateway.providers.base import CHAT, COMPLETIONS, RESPONSES

_RECORDED_HEADERS = frozenset({"user-agent", "anthropic-version", "openai-beta", "anthropic-beta"})
_RECORDED_PREFIXES = ("x-stainless-",)
_MAX_CONTEXT_CHARS = 1000
_MAX_UNREAD = 64 << 10
_MAX_METADATA_LEVELS = 32
_BAGGAGE = {
    "langfuse_user_id": "user_id",
    "langfuse_session_id": "session_id",
    "langfuse_trace_name": "trace_name",
    "session.id": "session_id",
    "user.id": "user_id",
}
_OCTAVO_TEXTS = ("session_id", "user_id", "trace_name", "name")
_STREAMS = frozenset({CHAT, COMPLETIONS})


@dataclass(slots=True, kw_only=True)
class ClientCall:
    """One call as the client made it, Octavo's own field taken out of `raw` and `body`."""

    endpoint: str
    raw: bytes
    sent: bytes  # as it came, for the record
    body: dict[str, Any]
    model: str
    stream: bool
    wants_usage: bool  # asked for the extra usage chunk itself
    headers: Mapping[str, str]
    trace_id: str
    parent_span_id: str
    context: dict[str, JSON] = field(default_factory=dict)


def read_call(endpoint: str, raw: bytes, headers: Mapping[str, str]) -> ClientCall:
    """Raises Invalid for a body that is no JSON object or lacks a model."""
    body = _object(raw)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Invalid(
            f"`model` is {_shown(model)}; expected the name of a model, as GET /v1/models lists them.",
            param="model",
        )
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise Invalid(f"`stream` is {_shown(stream)}; expected true or false.", param="stream")
    options = body.get("stream_options")
    sent = raw
    context: dict[str, JSON] = {}
    _from_body(context, endpoint, body)
    if "baggage" in headers:
        _from_baggage(context, headers["baggage"])
    _from_headers(context, headers)
    if "octavo" in body:
        _from_octavo(context, body.pop("octavo"))
        raw = splice.without(raw, "octavo")
    if "metadata" in context and _is_deeper(context["metadata"], _MAX_METADATA_LEVELS):
        raise Invalid(f"`metadata` is nested more than {_MAX_METADATA_LEVELS} levels deep.", param="metadata")
    trace_id, parent = _trace(headers.get("traceparent"))
    return ClientCall(
        endpoint=endpoint,
        raw=raw,
        sent=sent,
        body=body,
        model=model,
        stream=bool(stream),
        wants_usage=endpoint not in _STREAMS or (isinstance(options, dict) and bool(options.get("include_usage"))),
        headers=headers,
        trace_id=trace_id,
        parent_span_id=parent,
        context=context,
    )


def unread_call(endpoint: str, raw: bytes, headers: Mapping[str, str]) -> ClientCall:
    """What can be recorded of a request that is no call."""
    trace_id, parent = _trace(headers.get("traceparent"))
    return ClientCall(
        endpoint=endpoint,
        raw=b"",
        sent=raw[:_MAX_UNREAD],
        body={},
        model="",
        stream=False,
        wants_usage=True,
        headers=headers,
        trace_id=trace_id,
        parent_span_id=parent,
    )


def recorded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The informative ones; never a credential."""
    return {
        name: value[:_MAX_CONTEXT_CHARS]
        for name, value in headers.items()
        if name in _RECORDED_HEADERS or name.startswith(_RECORDED_PREFIXES)
    }


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"The body is not valid JSON: {error.msg} at position {error.pos}.", code="invalid_json"
        ) from None
    if not isinstance(body, dict):
        raise Invalid('The body is JSON but not an object; expected {"model": …, …}.', code="invalid_json")
    return body


def _from_body(context: dict[str, JSON], endpoint: str, body: Mapping[str, Any]) -> None:
    user = body.get("user") or body.get("safety_identifier")
    metadata = body.get("metadata")
    if isinstance(user, str):
        context["user_id"] = user[:_MAX_CONTEXT_CHARS]
    if isinstance(metadata, dict) and metadata:
        if endpoint.startswith("messages") and isinstance(metadata.get("user_id"), str):
            context["user_id"] = metadata["user_id"][:_MAX_CONTEXT_CHARS]
        context["metadata"] = metadata
    if endpoint == RESPONSES:
        conversation = body.get("conversation")
        named = conversation.get("id") if isinstance(conversation, dict) else conversation
        if isinstance(named, str):
            context["session_id"] = named[:_MAX_CONTEXT_CHARS]


def _from_baggage(context: dict[str, JSON], baggage: str) -> None:
    for item in baggage.split(",")[:64]:
        name, _, value = item.partition("=")
        target = _BAGGAGE.get(name.strip())
        if target is not None:
            context[target] = unquote(value.split(";")[0].strip())[:_MAX_CONTEXT_CHARS]


def _from_headers(context: dict[str, JSON], headers: Mapping[str, str]) -> None:
    if session := headers.get("x-octavo-session"):
        context["session_id"] = session[:_MAX_CONTEXT_CHARS]
    if user := headers.get("x-octavo-user"):
        context["user_id"] = user[:_MAX_CONTEXT_CHARS]
    if tags := headers.get("x-octavo-tags"):
        context["tags"] = [tag.strip()[:200] for tag in tags.split(",")[:50] if tag.strip()]
    if metadata := headers.get("x-octavo-metadata"):
        try:
            value = orjson.loads(metadata)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise Invalid("The header x-octavo-metadata is not a JSON object.", param="x-octavo-metadata")
        context["metadata"] = {**_as_object(context.get("metadata")), **value}


def _from_octavo(context: dict[str, JSON], asked: Any) -> None:
    """`extra_body={"octavo": {...}}`: session_id, user_id, trace_name, name, tags, metadata."""
    if not isinstance(asked, dict):
        raise Invalid(f"`octavo` is {_shown(asked)}; expected an object.", param="octavo")
    for name in _OCTAVO_TEXTS:
        value = asked.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise Invalid(f"`octavo.{name}` is {_shown(value)}; expected a text.", param=f"octavo.{name}")
            context[name] = value[:_MAX_CONTEXT_CHARS]
    tags = asked.get("tags")
    if tags is not None:
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise Invalid("`octavo.tags` has to be a list of texts.", param="octavo.tags")
        context["tags"] = [tag[:200] for tag in tags[:50]]
    metadata = asked.get("metadata")
    if metadata is not None:
        if not isinstance(metadata, dict):
            raise Invalid("`octavo.metadata` has to be an object.", param="octavo.metadata")
        context["metadata"] = {**_as_object(context.get("metadata")), **metadata}


def _is_deeper(value: JSON, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)


def _as_object(value: JSON) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _trace(traceparent: str | None) -> tuple[str, str]:
    """Trace id and parent span id: the caller's by W3C trace context, or a new trace."""
    if traceparent is not None:
        parts = traceparent.split("-")
        if len(parts) >= 4 and _is_hex(parts[1], 32) and _is_hex(parts[2], 16):
            return parts[1], parts[2]
    return new_trace_id(), ""


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and set(text) <= _HEX and set(text) != {"0"}


_HEX = frozenset("0123456789abcdef")


def _shown(value: object) -> str:
    return "missing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
