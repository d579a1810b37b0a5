"""A stage for clients: models that answer as OpenAI's, Anthropic's and Google's do, always alike, and a collector that
keeps what an instrumentation exports, scene by scene. It counts what its models served, so that what Octavo counts can be
held against it."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "It is sunny in Rome."
INPUT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS, REASONING_TOKENS, EMBEDDED_TOKENS = 25, 5, 12, 4, 6
DIMENSIONS = 12
RESPONSE_ID = "chatcmpl-stage"
DATED = {"gpt-4.1-mini": "gpt-4.1-mini-2025-04-14", "claude-sonnet-4-5": "claude-sonnet-4-5-20250929"}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}


@dataclass
class Scene:
    """What happened while a client played one scene."""

    name: str
    served: list[str] = field(default_factory=list)  # the models of the calls that were answered
    input_tokens: int = 0
    output_tokens: int = 0
    exported: list[tuple[str, str, str, bytes]] = field(default_factory=list)  # path, type, encoding, body


class Stage(ThreadingHTTPServer):
    """The server; `scenes` fills as a program plays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scenes: list[Scene] = []
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hangs up

    @property
    def scene(self) -> Scene:
        if not self.scenes:
            self.scenes.append(Scene("before"))
        return self.scenes[-1]

    def served(self, model: str, input_tokens: int, output_tokens: int) -> None:
        with self.lock:
            self.scene.served.append(model)
            self.scene.input_tokens += input_tokens
            self.scene.output_tokens += output_tokens


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stage

    def do_GET(self) -> None:
        if self.path.rstrip("/").endswith("/models"):
            self._answer(200, {"object": "list", "data": [{"id": "gpt-4.1-mini", "object": "model", "created": 1}]})
        else:
            self._answer(200, {"data": [], "status": "OK", "version": "3.0.0"})

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        if path.startswith("/scene/"):
            self.server.scenes.append(Scene(path.removeprefix("/scene/")))
            self._answer(200, {})
        elif path.endswith(("/v1/traces", "/v1/logs", "/v1/metrics")):
            kind, encoding = self.headers.get("content-type", ""), self.headers.get("content-encoding", "")
            with self.server.lock:
                self.server.scene.exported.append((path, kind, encoding, body))
            self._answer(200, b"{}" if "json" in kind else b"", content_type=kind or "application/json")
        else:
            self._model(path, json.loads(body or b"{}"))

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            whole = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _model(self, path: str, asked: dict[str, Any]) -> None:
        model = str(asked.get("model") or path.rpartition("/models/")[2].partition(":")[0])
        if "busy" in model or "missing" in model:
            self._refuse("busy" in model, anthropic=path.endswith("/messages"))
        elif path.endswith("/chat/completions"):
            self._chat(asked)
        elif path.endswith("/responses"):
            self._responses(asked)
        elif path.endswith("/embeddings"):
            self._embeddings(asked)
        elif path.endswith("/messages"):
            self._messages(asked)
        elif ":" in path.rpartition("/")[2]:
            self._gemini(path, model, asked)
        else:
            self._answer(200, {"data": []})

    def _refuse(self, busy: bool, *, anthropic: bool) -> None:
        status, kind, code = (
            (429, "rate_limit_error", "rate_limit_exceeded") if busy else (404, "not_found_error", "model_not_found")
        )
        message = "Too many requests of this model." if busy else "There is no such model."
        error: dict[str, Any] = {"type": kind, "message": message}
        if anthropic:
            self._answer(status, {"type": "error", "error": error, "request_id": "req_stage"})
        else:
            self._answer(status, {"error": {**error, "code": code, "param": None, "status": "NOT_FOUND"}})

    # OpenAI

    def _chat(self, asked: dict[str, Any]) -> None:
        model, message = served_name(asked["model"]), chat_message(asked)
        usage = {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
            "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS, "audio_tokens": 0},
        }
        self.server.served(model, INPUT_TOKENS, OUTPUT_TOKENS)
        base = {"id": RESPONSE_ID, "created": 1_780_000_000, "model": model, "system_fingerprint": "fp_stage"}
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        if not asked.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
            self._answer(200, {**base, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        asked_usage = (asked.get("stream_options") or {}).get("include_usage")
        events = [
            {
                **base,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
            }
            for delta in chat_deltas(message)
        ]
        # As the gateway does it: who did not ask for usage finds it on the chunk that ends the answer.
        last: dict[str, Any] = {
            **base,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {}, "finish_reason": finish}],
        }
        events.append(last if asked_usage else {**last, "usage": usage})
        if asked_usage:
            events.append({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self._stream([("", event) for event in events], end="[DONE]")

    def _responses(self, asked: dict[str, Any]) -> None:
        model = served_name(asked["model"])
        message = chat_message({**asked, "messages": response_turns(asked)})
        self.server.served(model, INPUT_TOKENS, OUTPUT_TOKENS)
        output: list[dict[str, Any]] = [
            {
                "type": "function_call",
                "id": f"fc_{call['id']}",
                "call_id": call["id"],
                "name": call["function"]["name"],
                "arguments": call["function"]["arguments"],
                "status": "completed",
            }
            for call in message.get("tool_calls", ())
        ]
        if not output:
            text = {"type": "output_text", "text": message["content"], "annotations": [], "logprobs": []}
            output = [
                {"type": "message", "id": "msg_stage", "role": "assistant", "status": "completed", "content": [text]}
            ]
        response: dict[str, Any] = {
            "id": "resp_stage",
            "object": "response",
            "created_at": 1_780_000_000,
            "status": "completed",
            "model": model,
            "output": output,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.get("instructions"),
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "top_p": 1.0,
            "tool_choice": "auto",
            "tools": asked.get("tools") or [],
            "text": {"format": {"type": "text"}},
            "usage": {
                "input_tokens": INPUT_TOKENS,
                "input_tokens_details": {"cached_tokens": CACHED_TOKENS, "cache_write_tokens": 0},
                "output_tokens": OUTPUT_TOKENS,
                "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
                "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
            },
        }
        if not asked.get("stream"):
            self._answer(200, response)
            return
        self._stream([(event["type"], event) for event in response_events(response)])

    def _embeddings(self, asked: dict[str, Any]) -> None:
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        model = served_name(asked["model"])
        self.server.served(model, EMBEDDED_TOKENS, 0)
        data = []
        for index, text in enumerate(texts):
            vector = embedding(text)
            if asked.get("encoding_format") == "base64":
                told: Any = base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
            else:
                told = vector
            data.append({"object": "embedding", "index": index, "embedding": told})
        usage = {"prompt_tokens": EMBEDDED_TOKENS, "total_tokens": EMBEDDED_TOKENS}
        self._answer(200, {"object": "list", "model": model, "data": data, "usage": usage})

    # Anthropic

    def _messages(self, asked: dict[str, Any]) -> None:
        model = served_name(asked["model"])
        turns = [{"role": "system", "content": asked.get("system") or ""}, *anthropic_turns(asked["messages"])]
        tools = [
            {"type": "function", "function": {"name": one.get("name"), "parameters": one.get("input_schema")}}
            for one in asked.get("tools") or ()
        ]
        message = chat_message({"messages": turns, "tools": tools})
        self.server.served(model, INPUT_TOKENS, OUTPUT_TOKENS)
        calls = message.get("tool_calls") or ()
        content: list[dict[str, Any]] = [
            {
                "type": "tool_use",
                "id": call["id"],
                "name": call["function"]["name"],
                "input": json.loads(call["function"]["arguments"]),
            }
            for call in calls
        ] or [{"type": "text", "text": message["content"]}]
        usage = {
            "input_tokens": INPUT_TOKENS - CACHED_TOKENS,
            "cache_read_input_tokens": CACHED_TOKENS,
            "cache_creation_input_tokens": 0,
            "output_tokens": OUTPUT_TOKENS,
        }
        whole: dict[str, Any] = {
            "id": "msg_stage",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": "tool_use" if calls else "end_turn",
            "stop_sequence": None,
            "usage": usage,
        }
        if not asked.get("stream"):
            self._answer(200, whole)
            return
        start = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
        for index, block in enumerate(content):
            if block["type"] == "text":
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
                empty = {"type": "text", "text": ""}
            else:
                deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
                empty = {**block, "input": {}}
            events.append({"type": "content_block_start", "index": index, "content_block": empty})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": OUTPUT_TOKENS}})
        events.append({"type": "message_stop"})
        self._stream([(event["type"], event) for event in events])

    # Google

    def _gemini(self, path: str, model: str, asked: dict[str, Any]) -> None:
        if path.endswith(("embedContent", "batchEmbedContents")):
            self.server.served(model, 0, 0)
            self._answer(200, {"embeddings": [{"values": embedding("x")}], "embedding": {"values": embedding("x")}})
            return
        turns = [
            {
                "role": "tool" if any("functionResponse" in part for part in one["parts"]) else one.get("role", "user"),
                "content": "".join(part.get("text", "") for part in one["parts"]),
            }
            for one in asked["contents"]
        ]
        declared = [one for tool in asked.get("tools") or () for one in tool.get("functionDeclarations") or ()]
        tools = [
            {
                "type": "function",
                "function": {
                    "name": one["name"],
                    "parameters": one.get("parameters") or one.get("parametersJsonSchema") or CITY,
                },
            }
            for one in declared
        ]
        message = chat_message({"messages": turns, "tools": tools})
        self.server.served(model, INPUT_TOKENS, OUTPUT_TOKENS)
        parts: list[dict[str, Any]] = [
            {
                "functionCall": {
                    "id": call["id"],
                    "name": call["function"]["name"],
                    "args": json.loads(call["function"]["arguments"]),
                }
            }
            for call in message.get("tool_calls") or ()
        ] or [{"text": message["content"]}]
        whole = {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {
                "promptTokenCount": INPUT_TOKENS,
                "cachedContentTokenCount": CACHED_TOKENS,
                # Google counts thoughts beside the answer's tokens.
                "candidatesTokenCount": OUTPUT_TOKENS - REASONING_TOKENS,
                "thoughtsTokenCount": REASONING_TOKENS,
                "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
            },
            "modelVersion": model,
            "responseId": "gemini-stage",
        }
        if "stream" in path:
            self._stream([("", whole)])
        else:
            self._answer(200, whole)

    # The wire

    def _answer(self, status: int, body: Any, *, content_type: str = "application/json") -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(raw)))
        self.send_header("x-request-id", "req_stage")
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, events: list[tuple[str, dict[str, Any]]], *, end: str = "") -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for name, event in events:
            time.sleep(0.002)
            self._piece((f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n")
        if end:
            self._piece(f"data: {end}\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _piece(self, text: str) -> None:
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def served_name(model: str) -> str:
    """Providers answer with the dated name of what was asked for."""
    asked = model.rpartition("/")[2]
    return DATED.get(asked, asked)


def embedding(text: Any) -> list[float]:
    """A vector that depends on the text."""
    seed = sum(str(text).encode()) % 97
    return [round((seed * (at + 1) % 13) / 13 - 0.4, 4) for at in range(DIMENSIONS)]


def pieces(text: str) -> Iterator[str]:
    """A text as it is streamed."""
    words = text.split(" ")
    yield words[0]
    for word in words[1:]:
        yield f" {word}"


def chat_message(asked: dict[str, Any]) -> dict[str, Any]:
    """What the model says: it calls the tool it is offered once, then answers, in the form that was asked for."""
    messages: list[dict[str, Any]] = asked.get("messages") or []
    tools = {
        (one.get("function") or one).get("name"): (one.get("function") or one).get("parameters") or {}
        for one in asked.get("tools") or ()
        if one.get("type", "function") == "function"
    }
    told = any(
        one.get("role") in ("tool", "function") or one.get("tool_call_id") or "Observation:" in json.dumps(one)
        for one in messages
    )
    name = None
    if tools and not told:
        name = next((one for one in tools if one and "weather" in one), None) or next(iter(tools))
    elif tools:
        name = next((one for one in tools if one and one.startswith("final")), None)
    if name is not None:
        arguments = json.dumps(of_schema(tools[name]))
        call = {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": arguments}}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    form = asked.get("response_format") or (asked.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        schema = (form.get("json_schema") or form).get("schema") or {}
        return {"role": "assistant", "content": json.dumps(of_schema(schema)), "refusal": None}
    return {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []}


def of_schema(schema: Any, root: Any = None) -> Any:
    """The least value that a JSON schema asks for."""
    root = root if root is not None else schema
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        return of_schema(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}), root)
    if "enum" in schema:
        return schema["enum"][0]
    if options := schema.get("anyOf"):
        return of_schema(options[0], root)
    kind = str(schema.get("type", "object")).lower()
    if kind == "object":
        return {
            name: of_schema(one, root) if name != "city" else "Rome"
            for name, one in (schema.get("properties") or {}).items()
        }
    return {"string": ANSWER, "integer": 21, "number": 21.5, "boolean": True, "array": []}.get(kind)


def chat_deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A message as OpenAI streams it."""
    yield {"role": "assistant", "content": None if message.get("tool_calls") else ""}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"tool_calls": [{"index": index, **call}]}
    if message.get("content"):
        for piece in pieces(message["content"]):
            yield {"content": piece}


def response_turns(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The input of the Responses API as a chat."""
    given = asked.get("input") or []
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [{**one, "role": "tool"} if one.get("type") == "function_call_output" else one for one in given]


def anthropic_turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages whose tool results are turns of their own."""
    return [
        {"role": "tool"}
        if isinstance(one.get("content"), list) and any(part.get("type") == "tool_result" for part in one["content"])
        else one
        for one in messages
    ]


def response_events(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An answer of the Responses API as it is streamed."""
    empty = {**response, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": empty},
        {"type": "response.in_progress", "response": empty},
    ]
    for index, item in enumerate(response["output"]):
        at = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            text = item["content"][0]
            events.append(
                {
                    "type": "response.output_item.added",
                    "output_index": index,
                    "item": {**item, "status": "in_progress", "content": []},
                }
            )
            events.append(
                {"type": "response.content_part.added", **at, "content_index": 0, "part": {**text, "text": ""}}
            )
            events += [
                {"type": "response.output_text.delta", **at, "content_index": 0, "delta": piece, "logprobs": []}
                for piece in pieces(text["text"])
            ]
            events.append(
                {"type": "response.output_text.done", **at, "content_index": 0, "text": text["text"], "logprobs": []}
            )
            events.append({"type": "response.content_part.done", **at, "content_index": 0, "part": text})
        else:
            events.append(
                {
                    "type": "response.output_item.added",
                    "output_index": index,
                    "item": {**item, "status": "in_progress", "arguments": ""},
                }
            )
            events.append({"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]})
            events.append(
                {
                    "type": "response.function_call_arguments.done",
                    **at,
                    "arguments": item["arguments"],
                    "name": item["name"],
                }
            )
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": response})
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def plain_body(encoding: str, body: bytes) -> bytes:
    """A body as it was before it was compressed."""
    return gzip.decompress(body) if encoding == "gzip" else body
