"""The gateway's record of a call as a span: contents read from the bytes exchanged, streams put together again. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from octavo_server.core.digest import JSON
from octavo_server.traces.messages import call_digest
from octavo_server.traces.model import GatewayCall, Span, SpanKind

_CONTENT_KEYS = frozenset(
    {"messages", "input", "prompt", "instructions", "system", "tools", "functions", "model", "stream", "stream_options"}
    | {"metadata", "user", "octavo"}
)
_PREVIEW_CHARS = 300
_NAMES = {
    "chat.completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "responses": "responses",
    "messages": "messages",
    "messages.count_tokens": "count_tokens",
}


def span_of_call(call: GatewayCall) -> Span:
    """The span of one gateway call."""
    body = _object(call.request)
    said = _said(body)
    asked, answered = _json(said), _output_of(call)
    context = call.context
    usage = call.usage
    attributes: dict[str, JSON] = {
        "octavo.endpoint": call.endpoint,
        "http.response.status_code": call.status_code,
        **{f"http.request.header.{name}": value for name, value in call.request_headers.items()},
    }
    if call.attempt_errors:
        attributes["octavo.attempt_errors"] = list(call.attempt_errors)
    return Span(
        project_id=call.project_id,
        trace_id=call.trace_id,
        span_id=call.span_id,
        parent_span_id=call.parent_span_id,
        name=_text(context.get("name")) or f"{_NAMES.get(call.endpoint, call.endpoint)} {call.model_requested}",
        trace_name=_text(context.get("trace_name")),
        kind=SpanKind.EMBEDDING if call.endpoint == "embeddings" else SpanKind.LLM,
        source="gateway",
        start_ns=call.start_ns,
        end_ns=max(call.end_ns, call.start_ns),
        is_root=not call.parent_span_id,
        status="error" if call.error_class else "ok",
        status_message=call.error_message,
        level="ERROR" if call.error_class else "DEFAULT",
        error_type=str(call.status_code) if call.error_class else "",
        error_class=call.error_class,
        environment=call.environment,
        app=call.app,
        release=call.release,
        session_id=_text(context.get("session_id")),
        user_id=_text(context.get("user_id")),
        tags=_texts(context.get("tags")),
        metadata=_dict(context.get("metadata")),
        provider=call.provider,
        connection_id=call.connection_id,
        model_requested=call.model_requested,
        model=call.model,
        parameters={name: value for name, value in body.items() if name not in _CONTENT_KEYS},
        streaming=call.streaming,
        finish_reason=call.finish_reason,
        response_id=call.response_id,
        input=asked,
        call_digest=call_digest(said),
        output=answered,
        input_preview=preview(asked, role="user"),
        output_preview=preview(answered, role="assistant"),
        tools=_json(body.get("tools") or body.get("functions")),
        usage=usage,
        usage_extra=dict(usage.details) if usage is not None else {},
        cost_nano=call.cost_nano,
        cost_source="gateway" if call.price_known else "",
        ttft_ns=call.first_token_ns - call.start_ns if call.first_token_ns else None,
        attempts=call.attempts,
        api_key_id=call.api_key_id,
        request_id=call.request_id,
        captured=call.captured,
        otel_kind=3,
        attributes=attributes,
    )


def preview(content: str, *, role: str) -> str:
    """One line for a list: the text of the newest message of `role`, of the newest of all, or of whatever it is."""
    value = _value(content.encode(), None) if content[:1] in ("{", "[") else None
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    turns = value if isinstance(value, list) else [value]
    messages = [turn for turn in turns if isinstance(turn, dict)]
    chosen = next((turn for turn in reversed(messages) if turn.get("role") == role), messages[-1] if messages else None)
    text = _text_of(chosen) or content
    start = text[: 2 * _PREVIEW_CHARS]
    if "  " in start or not start.isprintable():
        start = " ".join(start.split())
    return start[:_PREVIEW_CHARS]


def _text_of(message: dict[str, Any] | None) -> str:
    """The text in a message of any dialect, or the names of the tools it calls."""
    if message is None:
        return ""
    content = message.get("content", message.get("message", message.get("parts")))
    if isinstance(content, str) and content:
        return content
    parts = content if isinstance(content, list) else []
    texts = [_text(_dict(part).get("text")) or _text(_dict(part).get("content")) for part in parts]
    listed = message.get("tool_calls")
    calls = [
        *(listed if isinstance(listed, list) else ()),
        *(part for part in parts if _dict(part).get("type") in ("tool_use", "tool_call")),
    ]
    names = [_text(_dict(_dict(call).get("function") or call).get("name")) for call in calls]
    return " ".join([*filter(None, texts), *(f"{name}(…)" for name in names if name)])


def _said(body: dict[str, Any]) -> Any:
    """The messages as one list, the system prompt first, or the bare prompt."""
    if isinstance(messages := body.get("messages"), list):
        system = body.get("system")
        return [{"role": "system", "content": system}, *messages] if system else messages
    given = body.get("input") if "input" in body else body.get("prompt")
    instructions = body.get("instructions")
    if instructions and given is not None:
        turns = given if isinstance(given, list) else [{"role": "user", "content": given}]
        return [{"role": "system", "content": instructions}, *turns]
    return given


def _output_of(call: GatewayCall) -> str:
    if not call.response:
        return ""
    if not call.streaming or not call.response.lstrip().startswith((b"data:", b"event:", b":")):
        return _plain_output(_object(call.response))
    if call.endpoint == "messages":
        return _json(_messages_stream(call.response))
    if call.endpoint == "responses":
        return _responses_stream(call.response)
    return _chat_stream(call.response)


def _plain_output(answer: dict[str, Any]) -> str:
    if "error" in answer and not answer.get("choices"):
        return _json(answer["error"])
    choices = answer.get("choices")
    if isinstance(choices, list):
        parts = [_dict(choice).get("message", _dict(choice).get("text")) for choice in choices]
        return _json(parts[0] if len(parts) == 1 else parts)
    if isinstance(data := answer.get("data"), list):
        first = _dict(data[0]).get("embedding") if data else None
        shown: dict[str, JSON] = {"embeddings": len(data)}
        if isinstance(first, list):
            shown["dimensions"] = len(first)
        return _json(shown)
    for name in ("output", "content"):
        if name in answer:
            role = answer.get("role")
            return _json({"role": role, "content": answer[name]} if isinstance(role, str) else answer[name])
    return _json(answer or None)


def _chat_stream(raw: bytes) -> str:
    """The message that the deltas of a chat stream (or the text of a completion stream) add up to, by choice."""
    messages: dict[int, dict[str, Any]] = {}
    for event in _events(raw):
        for choice in event.get("choices") or ():
            if not isinstance(choice, dict):
                continue
            message = messages.setdefault(_int(choice.get("index")), {"role": "assistant", "content": ""})
            if isinstance(text := choice.get("text"), str):
                message["content"] += text
            delta = _dict(choice.get("delta"))
            for name in ("content", "refusal", "reasoning_content", "reasoning"):
                if isinstance(piece := delta.get(name), str) and piece:
                    message[name] = message.get(name, "") + piece
            for call in delta.get("tool_calls") or ():
                _add_tool_call(message.setdefault("tool_calls", []), _dict(call))
    parts = [messages[index] for index in sorted(messages)]
    return _json(parts[0] if len(parts) == 1 else parts) if parts else ""


def _add_tool_call(calls: list[dict[str, Any]], delta: dict[str, Any]) -> None:
    index = _int(delta.get("index"))
    while len(calls) <= min(index, 1000):
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[min(index, 1000)]
    function = _dict(delta.get("function"))
    call["id"] = delta.get("id") or call["id"]
    call["function"]["name"] += _text(function.get("name"))
    call["function"]["arguments"] += _text(function.get("arguments"))


def _messages_stream(raw: bytes) -> JSON:
    """The content blocks that the events of Anthropic's stream add up to."""
    blocks: dict[int, dict[str, Any]] = {}
    for event in _events(raw):
        index = _int(event.get("index"))
        if event.get("type") == "content_block_start":
            blocks[index] = dict(_dict(event.get("content_block")))
            if blocks[index].get("type") == "tool_use":
                blocks[index]["input"] = ""
        elif event.get("type") == "content_block_delta" and index in blocks:
            delta = _dict(event.get("delta"))
            for name, target in (("text", "text"), ("thinking", "thinking"), ("partial_json", "input")):
                if isinstance(piece := delta.get(name), str):
                    blocks[index][target] = _text(blocks[index].get(target)) + piece
        elif event.get("type") == "error":
            return {"error": event.get("error")}
    for block in blocks.values():
        if block.get("type") == "tool_use" and isinstance(block.get("input"), str):
            block["input"] = _value(block["input"].encode(), {})
    return {"role": "assistant", "content": [blocks[index] for index in sorted(blocks)]}


def _responses_stream(raw: bytes) -> str:
    """The output of the last event that has it, or the text so far when the stream broke."""
    text = ""
    output: Any = None
    for event in _events(raw):
        if event.get("type") == "response.output_text.delta":
            text += _text(event.get("delta"))
        output = _dict(event.get("response")).get("output") or output
    return _json(output or text or None)


def _events(raw: bytes) -> Iterator[dict[str, Any]]:
    for line in raw.splitlines():
        if line.startswith(b"data:"):
            value = _value(line[5:].strip(), None)
            if isinstance(value, dict):
                yield value


def _object(raw: bytes) -> dict[str, Any]:
    return _dict(_value(raw, {}))


def _value(raw: bytes, otherwise: Any) -> Any:
    try:
        return orjson.loads(raw) if raw else otherwise
    except orjson.JSONDecodeError:
        return otherwise


def _json(value: Any) -> str:
    """Texts as they are, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _int(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
