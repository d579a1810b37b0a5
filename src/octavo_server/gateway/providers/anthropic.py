"""Anthropic: its Messages API passed through, chat completions translated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import orjson

from octavo_server.costs.model import Connection
from octavo_server.gateway.providers import anthropic_chat
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    MESSAGES,
    RESPONSES,
    Call,
    Exchange,
    Option,
    Provider,
    UpstreamRequest,
)
from octavo_server.gateway.providers.failures import read_failure, read_object
from octavo_server.gateway.providers.fronts import FRONTS
from octavo_server.gateway.providers.hub import Backend, translate
from octavo_server.gateway.providers.native import NativeStream, read_reply
from octavo_server.gateway.providers.urls import HEADERS_OPTION, join, own_headers

VERSION = "2023-06-01"


def _headers(connection: Connection, client: Mapping[str, str]) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "anthropic-version": client.get("anthropic-version", VERSION),
        "x-api-key": connection.secret,
    }
    if beta := client.get("anthropic-beta"):
        headers["anthropic-beta"] = beta
    return {**headers, **own_headers(connection)}


def _url(connection: Connection, path: str) -> str:
    base = connection.base_url or ANTHROPIC.default_base_url
    return join(base.removesuffix("/").removesuffix("/v1"), path)


def _native(call: Call) -> Exchange:
    body = call.raw
    if call.body.get("model") != call.model or not body:
        body = orjson.dumps({**call.body, "model": call.model})
    path = "/v1/messages/count_tokens" if call.endpoint == COUNT_TOKENS else "/v1/messages"
    return Exchange(
        request=UpstreamRequest(
            method="POST", url=_url(call.connection, path), headers=_headers(call.connection, call.headers), body=body
        ),
        passthrough=True,
        reply=read_reply(MESSAGES, "anthropic"),
        stream=lambda: NativeStream(MESSAGES, "anthropic"),
        failure=read_failure,
    )


def _chat_request(call: Call) -> UpstreamRequest:
    return UpstreamRequest(
        method="POST",
        url=_url(call.connection, "/v1/messages"),
        headers=_headers(call.connection, {}),
        body=orjson.dumps(anthropic_chat.request_body(call)),
    )


BACKEND = Backend(
    request=_chat_request,
    reply=anthropic_chat.read_reply,
    source=anthropic_chat.MessageSource,
    failure=read_failure,
)


def _open(call: Call) -> Exchange:
    if call.endpoint in (MESSAGES, COUNT_TOKENS):
        return _native(call)
    return translate(call, FRONTS[call.endpoint], BACKEND)


def _probe(connection: Connection, now: datetime) -> UpstreamRequest:
    del now
    return UpstreamRequest(
        method="GET", url=_url(connection, "/v1/models?limit=1000"), headers=_headers(connection, {})
    )


def _models_in(raw: bytes) -> list[str]:
    return [item["id"] for item in read_object(raw).get("data") or () if isinstance(item.get("id"), str)]


ANTHROPIC = Provider(
    kind="anthropic",
    title="Anthropic",
    default_base_url="https://api.anthropic.com",
    needs_secret=True,
    credential="An API key of the Anthropic console (sk-ant-…).",
    wire="anthropic",
    models=("claude-*",),
    native=frozenset({MESSAGES, COUNT_TOKENS}),
    translated=frozenset({CHAT, RESPONSES, COMPLETIONS}),
    open=_open,
    failure=read_failure,
    probe=_probe,
    models_in=_models_in,
    options=(
        Option(
            name="max_tokens",
            title="Default output limit",
            help="Tokens to allow when a chat request sets no limit; Anthropic requires one.",
            kind="number",
            default=str(anthropic_chat.DEFAULT_MAX_TOKENS),
        ),
        HEADERS_OPTION,
    ),
)
