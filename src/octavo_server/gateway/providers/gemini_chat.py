"""Chat completions on Gemini's generateContent: request, reply and stream.

Thoughts are returned as `reasoning_content`. The signature that Gemini puts on a function call travels in the tool
call's `extra_content.google.thought_signature`, as in Google's own OpenAI-compatible endpoint, and goes upstream
again when the client sends the call back.
"""

from __future__ import annotations

import mimetypes
from typing import Any

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers import chat, sse
from octavo_server.gateway.providers.base import Call, Failure, JsonObject, Usage
from octavo_server.gateway.providers.chat import ChunkWriter, Media, Tokens
from octavo_server.gateway.providers.failures import in_stream, read_object
from octavo_server.gateway.providers.hub import ChatReply

KNOWN = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "top_k", "stop", "n", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "tools",
        "tool_choice", "response_format", "reasoning_effort", "functions",
    }
)  # fmt: skip

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
}
_GENERATION = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
# Google's own table for its OpenAI-compatible endpoint.
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
_LEVELS = {
    "none": "minimal",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


# ---- request ----------------------------------------------------------------------------------------------------


def request_body(call: Call) -> JsonObject:
    """The generateContent body that says what a chat completions body says."""
    body = call.body
    if body.get("parallel_tool_calls") is not False:
        body = {name: value for name, value in body.items() if name != "parallel_tool_calls"}
    chat.refuse_unknown(body, KNOWN, "Gemini")
    system, contents = _contents(chat.messages_of(body))
    built: JsonObject = {"contents": contents}
    if system:
        built["systemInstruction"] = {"parts": system}
    _add_tools(built, body)
    if config := _generation(body, call.model):
        built["generationConfig"] = config
    return built


def _contents(messages: list[JsonObject]) -> tuple[list[JsonObject], list[JsonObject]]:
    system: list[JsonObject] = []
    contents: list[JsonObject] = []
    names: dict[str, str] = {}  # tool call id -> function name, which a result must repeat

    def add(role: str, parts: list[JsonObject]) -> None:
        if not parts:
            return
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].extend(parts)
        else:
            contents.append({"role": role, "parts": parts})

    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        match message["role"]:
            case "system" | "developer":
                if text := chat.text_of(message.get("content"), f"{at}.content"):
                    system.append({"text": text})
            case "user":
                add("user", _parts(message.get("content"), f"{at}.content"))
            case "assistant":
                add("model", _parts(message.get("content"), f"{at}.content"))
                for position, item in enumerate(message.get("tool_calls") or ()):
                    names[item.get("id", "")] = item["function"]["name"]
                    add("model", [_function_call(item, f"{at}.tool_calls[{position}]")])
            case "tool":
                add("user", [_function_response(message, names, at)])
            case other:
                raise Invalid(
                    f"{at}.role is {other!r}; expected system, developer, user, assistant or tool.", param=f"{at}.role"
                )
    if not contents:
        raise Invalid("messages holds no user or assistant message; Gemini needs at least one.", param="messages")
    return system, contents


def _parts(content: Any, where: str) -> list[JsonObject]:
    return [_media(part) if isinstance(part, Media) else {"text": part} for part in chat.parts_of(content, where)]


def _media(media: Media) -> JsonObject:
    if media.url:
        guessed = mimetypes.guess_type(media.url.partition("?")[0])[0] or "image/jpeg"
        return {"fileData": {"mimeType": guessed, "fileUri": media.url}}
    return {"inlineData": {"mimeType": media.mime, "data": media.data}}


def _function_call(item: JsonObject, where: str) -> JsonObject:
    part: JsonObject = {"functionCall": {"name": item["function"]["name"], "args": chat.arguments_of(item, where)}}
    signature = ((item.get("extra_content") or {}).get("google") or {}).get("thought_signature")
    if signature:
        part["thoughtSignature"] = signature
    return part


def _function_response(message: JsonObject, names: dict[str, str], at: str) -> JsonObject:
    call_id = message.get("tool_call_id")
    name = message.get("name") or names.get(str(call_id))
    if not name:
        raise Invalid(f"{at}.tool_call_id is {call_id!r}, which no earlier message calls.", param=f"{at}.tool_call_id")
    text = chat.text_of(message.get("content"), f"{at}.content")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = text
    return {"functionResponse": {"name": name, "response": value if isinstance(value, dict) else {"result": value}}}


def _add_tools(built: JsonObject, body: JsonObject) -> None:
    declarations = []
    for function in chat.tools_of(body):
        declaration: JsonObject = {"name": function["name"]}
        if function.get("description"):
            declaration["description"] = function["description"]
        if function.get("parameters"):
            declaration["parametersJsonSchema"] = function["parameters"]
        declarations.append(declaration)
    if not declarations:
        return
    built["tools"] = [{"functionDeclarations": declarations}]
    kind, name = chat.tool_choice_of(body)
    if kind == "auto":
        return
    config: JsonObject = {"mode": "NONE" if kind == "none" else "ANY"}
    if name:
        config["allowedFunctionNames"] = [name]
    built["toolConfig"] = {"functionCallingConfig": config}


def _generation(body: JsonObject, model: str) -> JsonObject:
    config: JsonObject = {theirs: body[ours] for ours, theirs in _GENERATION.items() if body.get(ours) is not None}
    if limit := chat.max_tokens_of(body):
        config["maxOutputTokens"] = limit
    if stops := chat.stops_of(body):
        config["stopSequences"] = stops
    if (wanted := chat.response_format(body)) is not None:
        config["responseMimeType"] = "application/json"
        if wanted.schema is not None:
            config["responseJsonSchema"] = wanted.schema
    effort = body.get("reasoning_effort")
    if effort is not None:
        if effort not in _BUDGETS:
            raise Invalid(
                f"reasoning_effort is {effort!r}; expected none, minimal, low, medium, high, xhigh or max.",
                param="reasoning_effort",
            )
        older = "gemini-2" in model or "gemini-1" in model
        depth: JsonObject = {"thinkingBudget": _BUDGETS[effort]} if older else {"thinkingLevel": _LEVELS[effort]}
        config["thinkingConfig"] = {**depth, "includeThoughts": effort != "none"}
    return config


# ---- reply ------------------------------------------------------------------------------------------------------


def read_reply(call: Call, raw: bytes) -> ChatReply:
    """A generateContent answer as a chat completion."""
    answer = read_object(raw)
    choices = []
    for index, candidate in enumerate(answer.get("candidates") or ()):
        text, thoughts = "", ""
        calls: list[JsonObject] = []
        images: list[JsonObject] = []
        for part in (candidate.get("content") or {}).get("parts") or ():
            if "functionCall" in part:
                calls.append(_tool_call(call, index, len(calls), part))
            elif "inlineData" in part:
                images.append(_image(part["inlineData"]))
            elif part.get("thought"):
                thoughts += part.get("text", "")
            else:
                text += part.get("text", "")
        reason = _finish(candidate.get("finishReason"), bool(calls))
        message = chat.message(text=text, tool_calls=calls, reasoning=thoughts)
        if images:
            message["images"] = images
        choices.append(chat.choice(candidate.get("index", index), message, reason))
    if not choices:
        choices.append(
            chat.choice(0, chat.message(text=None, tool_calls=[], refusal=_blocked(answer)), "content_filter")
        )
    counted = answer.get("usageMetadata")
    body = chat.completion(
        call,
        model=answer.get("modelVersion", ""),
        response_id=_response_id(answer),
        choices=choices,
        tokens=tokens_of(counted) if counted else None,
    )
    return ChatReply(body, Usage("gemini", counted) if counted else None)


def _response_id(answer: JsonObject) -> str:
    return f"chatcmpl-{answer['responseId']}" if answer.get("responseId") else ""


def _blocked(answer: JsonObject) -> str:
    reason = (answer.get("promptFeedback") or {}).get("blockReason", "no reason given")
    return f"Gemini blocked the prompt: {reason}."


def _finish(reason: str | None, called: bool) -> str:
    """Gemini says STOP after a function call too. What is unknown (MALFORMED_FUNCTION_CALL, OTHER) ends as stop."""
    known = FINISH_REASONS.get(reason or "", "stop")
    return "tool_calls" if called and known == "stop" else known


def _tool_call(call: Call, candidate: int, number: int, part: JsonObject) -> JsonObject:
    function = part["functionCall"]
    call_id = function.get("id") or f"call_{call.request_id}_{candidate}_{number}"
    item = chat.tool_call(call_id, function["name"], orjson.dumps(function.get("args") or {}).decode())
    if part.get("thoughtSignature"):
        item["extra_content"] = {"google": {"thought_signature": part["thoughtSignature"]}}
    return item


def _image(inline: JsonObject) -> JsonObject:
    url = f"data:{inline.get('mimeType', 'image/png')};base64,{inline['data']}"
    return {"type": "image_url", "image_url": {"url": url}}


def tokens_of(usage: JsonObject) -> Tokens:
    """Gemini counts cached tokens inside the prompt, and thoughts beside the answer."""
    thoughts = usage.get("thoughtsTokenCount") or 0
    return Tokens(
        prompt=(usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        completion=(usage.get("candidatesTokenCount") or 0) + thoughts,
        cache_read=usage.get("cachedContentTokenCount") or 0,
        reasoning=thoughts,
    )


# ---- stream -----------------------------------------------------------------------------------------------------


class GeminiSource:
    """Gemini's partial answers as chat completion chunks. There is no last event: the stream's end is told when the
    bytes end, provided a finish reason had come."""

    __slots__ = ("_call", "_calls", "_events", "_finish", "_started", "_writer", "complete", "failure", "usage")

    def __init__(self, call: Call) -> None:
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self.complete = False
        self._call = call
        self._events = sse.Splitter()
        self._writer = ChunkWriter(call)
        self._started: set[int] = set()
        self._calls: dict[int, int] = {}
        self._finish: dict[int, str] = {}

    def feed(self, data: bytes) -> list[JsonObject]:
        return self._read_all(self._events.feed(data))

    def _read_all(self, events: list[bytes]) -> list[JsonObject]:
        chunks: list[JsonObject] = []
        for event in events:
            _, text = sse.read(event)
            if text and self.failure is None:
                chunks.extend(self._read(sse.read_json(text)))
        return chunks

    def finish(self) -> list[JsonObject]:
        chunks = self._read_all(self._events.finish())
        if not self.complete or self.failure is not None:
            return chunks
        chunks.extend(
            self._writer.delta({}, finish_reason=_finish(reason, index in self._calls), index=index)
            for index, reason in sorted(self._finish.items())
        )
        if self.usage is not None:
            chunks.append(self._writer.usage(tokens_of(self.usage.values)))
        return chunks

    def _read(self, answer: JsonObject) -> list[JsonObject]:
        if error := answer.get("error"):
            self.failure = in_stream(error)
            return []
        self._writer.response_id = _response_id(answer) or self._writer.response_id
        self._writer.model = answer.get("modelVersion") or self._writer.model
        if usage := answer.get("usageMetadata"):
            self.usage = Usage("gemini", usage)
        chunks: list[JsonObject] = []
        for position, candidate in enumerate(answer.get("candidates") or ()):
            index = candidate.get("index", position)
            chunks.extend(self._candidate(index, candidate))
            if reason := candidate.get("finishReason"):
                self._finish[index] = reason
        if not answer.get("candidates") and (answer.get("promptFeedback") or {}).get("blockReason"):
            chunks.append(self._writer.delta({"role": "assistant", "content": None, "refusal": _blocked(answer)}))
            self._finish[0] = "SAFETY"
        self.complete = bool(self._finish) and self._started <= self._finish.keys()
        return chunks

    def _candidate(self, index: int, candidate: JsonObject) -> list[JsonObject]:
        chunks: list[JsonObject] = []
        if index not in self._started:
            self._started.add(index)
            chunks.append(self._writer.delta({"role": "assistant", "content": ""}, index=index))
        for part in (candidate.get("content") or {}).get("parts") or ():
            if "functionCall" in part:
                number = self._calls.get(index, 0)
                self._calls[index] = number + 1
                item = {"index": number, **_tool_call(self._call, index, number, part)}
                chunks.append(self._writer.delta({"tool_calls": [item]}, index=index))
            elif "inlineData" in part:
                chunks.append(self._writer.delta({"images": [_image(part["inlineData"])]}, index=index))
            elif text := part.get("text"):
                name = "reasoning_content" if part.get("thought") else "content"
                chunks.append(self._writer.delta({name: text}, index=index))
        return chunks
