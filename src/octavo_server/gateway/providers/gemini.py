"""Google Gemini by its native API: chat and embeddings translated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

import orjson

from octavo_server.costs.model import Connection
from octavo_server.gateway.providers import gemini_chat
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Call,
    Exchange,
    Failure,
    Option,
    Provider,
    Reply,
    UpstreamRequest,
    Usage,
)
from octavo_server.gateway.providers.embeddings import embeddings_reply, no_stream, texts_of
from octavo_server.gateway.providers.failures import failure, read_failure, read_object
from octavo_server.gateway.providers.fronts import FRONTS
from octavo_server.gateway.providers.hub import Backend, translate
from octavo_server.gateway.providers.urls import HEADERS_OPTION, join, own_headers, text_option

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com"


def _url(connection: Connection, path: str) -> str:
    return join(connection.base_url or DEFAULT_BASE_URL, f"/{text_option(connection, 'api_version', 'v1beta')}{path}")


def _headers(connection: Connection) -> dict[str, str]:
    return {"content-type": "application/json", "x-goog-api-key": connection.secret, **own_headers(connection)}


def _model_path(model: str) -> str:
    name = model.removeprefix("models/")
    return f"/tunedModels/{quote(name[12:])}" if name.startswith("tunedModels/") else f"/models/{quote(name, safe='')}"


def _failure(status: int, headers: Mapping[str, str], raw: bytes) -> Failure:
    """Gemini calls a wrong key a bad request."""
    read = read_failure(status, headers, raw)
    if status == 400 and (b"API_KEY_INVALID" in raw or b"API key not valid" in raw or b"API key expired" in raw):
        return failure(401, message="")
    return replace(read, code="context_length_exceeded") if _too_long(read) else read


def _too_long(read: Failure) -> bool:
    return read.status == 400 and "token count" in read.message and "exceeds" in read.message


def _chat_request(call: Call) -> UpstreamRequest:
    verb = ":streamGenerateContent?alt=sse" if call.stream else ":generateContent"
    return UpstreamRequest(
        method="POST",
        url=_url(call.connection, _model_path(call.model) + verb),
        headers=_headers(call.connection),
        body=orjson.dumps(gemini_chat.request_body(call)),
    )


BACKEND = Backend(
    request=_chat_request, reply=gemini_chat.read_reply, source=gemini_chat.GeminiSource, failure=_failure
)


def _embed(call: Call) -> Exchange:
    model = "models/" + call.model.removeprefix("models/")
    size = call.body.get("dimensions")
    requests = [
        {
            "model": model,
            "content": {"parts": [{"text": text}]},
            **({"outputDimensionality": size} if size else {}),
        }
        for text in texts_of(call.body)
    ]

    def reply(raw: bytes) -> Reply:
        answer = read_object(raw)
        vectors = [item["values"] for item in answer.get("embeddings") or ()]
        counted = answer.get("usageMetadata")
        tokens = counted.get("promptTokenCount") if counted else None
        return embeddings_reply(call, vectors, tokens=tokens, usage=Usage("gemini", counted) if counted else None)

    return Exchange(
        request=UpstreamRequest(
            method="POST",
            url=_url(call.connection, _model_path(call.model) + ":batchEmbedContents"),
            headers=_headers(call.connection),
            body=orjson.dumps({"requests": requests}),
        ),
        passthrough=False,
        reply=reply,
        stream=no_stream,
        failure=_failure,
    )


def _open(call: Call) -> Exchange:
    return _embed(call) if call.endpoint == EMBEDDINGS else translate(call, FRONTS[call.endpoint], BACKEND)


def _probe(connection: Connection, now: datetime) -> UpstreamRequest:
    del now
    return UpstreamRequest(method="GET", url=_url(connection, "/models?pageSize=1000"), headers=_headers(connection))


def _models_in(raw: bytes) -> list[str]:
    return [str(item["name"]).removeprefix("models/") for item in read_object(raw).get("models") or ()]


GEMINI = Provider(
    kind="gemini",
    title="Google Gemini",
    default_base_url=DEFAULT_BASE_URL,
    needs_secret=True,
    credential="An API key of Google AI Studio (AIza…).",
    wire="gemini",
    models=("gemini-*", "gemma-*", "models/*"),
    native=frozenset(),
    translated=frozenset({CHAT, MESSAGES, RESPONSES, COMPLETIONS, EMBEDDINGS}),
    open=_open,
    failure=_failure,
    probe=_probe,
    models_in=_models_in,
    options=(
        Option(name="api_version", title="API version", help="Version in the path of Google's API.", default="v1beta"),
        HEADERS_OPTION,
    ),
)
