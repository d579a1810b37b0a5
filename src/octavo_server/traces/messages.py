"""Conversations as clients put them into span attributes: flattened lists made whole again, and a digest that is the
same for one call however it is written down. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from hashlib import blake2b
from typing import Any

import orjson

from octavo_server.core.digest import JSON

_MAX_PARTS = 16
"""Deeper names are kept as they are, in the span's attributes."""

_MAX_DEPTH = 100
_ROOM = 54
"""Levels that are left around a value, of the 254 that can be written."""

Flat = Mapping[str, JSON]


def nest(flat: Flat) -> dict[str, Any]:
    """`{"0.message.role": "user"}` as `{"0": {"message": {"role": "user"}}}`. A name that is a text here and a group
    there stays a group."""
    tree: dict[str, Any] = {}
    for name in sorted(flat):
        parts = name.split(".", _MAX_PARTS)
        at = tree
        for part in parts[:-1]:
            below = at.get(part)
            if not isinstance(below, dict):
                below = at[part] = {}
            at = below
        if not isinstance(at.get(parts[-1]), dict):
            at[parts[-1]] = flat[name]
    return tree


def items(tree: Any) -> list[Any]:
    """The values of the numbered keys, in order."""
    if not isinstance(tree, dict):
        return []
    return [tree[key] for key in sorted((key for key in tree if key.isdecimal() and len(key) < 10), key=int)]


def openinference_messages(flat: Flat) -> list[JSON]:
    """`llm.input_messages.N.message.…` as a chat."""
    return [_openinference_message(one.get("message")) for one in items(nest(flat)) if isinstance(one, dict)]


def _openinference_message(told: Any) -> JSON:
    if not isinstance(told, dict):
        return {}
    message: dict[str, JSON] = {"role": told.get("role", "")}
    if "content" in told:
        message["content"] = told["content"]
    if contents := [_openinference_content(one) for one in items(told.get("contents"))]:
        message["content"] = contents
    for name, target in (("name", "name"), ("tool_call_id", "tool_call_id"), ("finish_reason", "finish_reason")):
        if name in told:
            message[target] = told[name]
    if calls := [one.get("tool_call") for one in items(told.get("tool_calls")) if isinstance(one, dict)]:
        message["tool_calls"] = [_tool_call(call) for call in calls if isinstance(call, dict)]
    elif "function_call_name" in told:
        message["function_call"] = {
            "name": told["function_call_name"],
            "arguments": told.get("function_call_arguments_json", ""),
        }
    return message


def _openinference_content(told: Any) -> JSON:
    content = told.get("message_content") if isinstance(told, dict) else None
    if not isinstance(content, dict):
        return {"type": "text", "text": str(told)}
    image = content.get("image")
    if isinstance(image, dict) and isinstance(image.get("image"), dict):
        return {"type": "image_url", "image_url": {"url": image["image"].get("url", "")}}
    return content


def _tool_call(told: dict[str, Any]) -> JSON:
    function = told.get("function")
    inner = function if isinstance(function, dict) else told
    return {
        "id": told.get("id", ""),
        "type": "function",
        "function": {"name": inner.get("name", ""), "arguments": inner.get("arguments", "")},
    }


def openllmetry_messages(flat: Flat) -> list[JSON]:
    """`gen_ai.prompt.N.…` and `gen_ai.completion.N.…` as a chat."""
    messages: list[JSON] = []
    for told in items(nest(flat)):
        if not isinstance(told, dict):
            continue
        message: dict[str, JSON] = {name: value for name, value in told.items() if name != "tool_calls"}
        if calls := [_tool_call(call) for call in items(told.get("tool_calls")) if isinstance(call, dict)]:
            message["tool_calls"] = calls
        messages.append(message)
    return messages


def documents(flat: Flat) -> list[JSON]:
    """`retrieval.documents.N.document.…` as a list of documents with their scores."""
    found: list[JSON] = []
    for one in items(nest(flat)):
        document = one.get("document") if isinstance(one, dict) else None
        if isinstance(document, dict):
            found.append({**document, "metadata": loose(document.get("metadata"))})
    return found


def loose(value: Any) -> Any:
    """What a text says when it is JSON, else the value itself."""
    if not isinstance(value, str):
        return value
    try:
        told = orjson.loads(value)
        if value.count("[") + value.count("{") > _MAX_DEPTH:
            # What is nested deeper than can be written again, inside of other things, stays a text.
            orjson.dumps(reduce(lambda inner, _: [inner], range(_ROOM), told))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return value
    return told


def text_of(value: Any) -> str:
    """Texts as they are, anything else as JSON; "" for nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def call_digest(content: Any) -> int:
    """A number that two records of one model call share: of the roles and texts of its messages, whichever dialect
    they are in, and whether as a text or read. 0 for no content."""
    if not content:
        return 0
    given = loose(content) if isinstance(content, str) and content[0] in "[{" else content
    if isinstance(given, dict):
        given = given.get("messages") or given.get("input") or given.get("prompt") or [given]
    if isinstance(given, str):
        return digest_of([("user", given)])
    if not isinstance(given, list):
        return 0
    return digest_of([(_role(one), "".join(_texts(one, 0))) for one in given])


def digest_of(turns: Sequence[tuple[str, str]]) -> int:
    """The digest of turns of a conversation; never 0."""
    told = blake2b(orjson.dumps(turns), digest_size=8).digest()
    return int.from_bytes(told, "little") | 1


def _role(message: Any) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    return role if isinstance(role, str) else "user"


def _texts(value: Any, depth: int) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif depth > 6:
        return
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, depth + 1)
    elif isinstance(value, dict):
        for name in ("content", "parts", "text", "input_text"):
            if name in value:
                yield from _texts(value[name], depth + 1)
