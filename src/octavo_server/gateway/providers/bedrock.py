"""Amazon Bedrock: Converse translated to chat, embeddings of Titan and Cohere. Signed (SigV4) or with an API key."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.costs.model import Connection
from octavo_server.gateway.providers import bedrock_chat
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Call,
    Exchange,
    JsonObject,
    Option,
    Provider,
    Reply,
    UpstreamRequest,
    Usage,
)
from octavo_server.gateway.providers.embeddings import embeddings_reply, no_stream, texts_of
from octavo_server.gateway.providers.failures import read_failure, read_object
from octavo_server.gateway.providers.fronts import FRONTS
from octavo_server.gateway.providers.hub import Backend, translate
from octavo_server.gateway.providers.sigv4 import Credentials, sign
from octavo_server.gateway.providers.urls import HEADERS_OPTION, join, own_headers, text_option

# `access key id : secret access key [: session token]`; anything else is a Bedrock API key.
_PAIR = re.compile(r"(?P<id>A[A-Z0-9]{15,}):(?P<secret>[^:\s]+)(?::(?P<token>\S+))?")


def region_of(connection: Connection) -> str:
    return text_option(connection, "region", "us-east-1")


def _request(
    connection: Connection, now: datetime, *, method: str, path: str, body: JsonObject | None, host: str
) -> UpstreamRequest:
    region = region_of(connection)
    url = join(connection.base_url or f"https://{host}.{region}.amazonaws.com", path)
    data = b"" if body is None else orjson.dumps(body)
    headers = {"accept": "application/json", **own_headers(connection)}
    if body is not None:
        headers["content-type"] = "application/json"
    pair = _PAIR.fullmatch(connection.secret.strip())
    if pair is None:
        headers["authorization"] = f"Bearer {connection.secret.strip()}"
    else:
        headers = sign(
            Credentials(pair["id"], pair["secret"], pair["token"] or ""),
            method=method, url=url, headers=headers, body=data, region=region, service="bedrock", now=now,
        )  # fmt: skip
    return UpstreamRequest(method=method, url=url, headers=headers, body=data)


def _invoke(call: Call, verb: str, body: JsonObject) -> UpstreamRequest:
    path = f"/model/{quote(call.model, safe='-_.~')}/{verb}"
    return _request(call.connection, call.now, method="POST", path=path, body=body, host="bedrock-runtime")


def _chat_request(call: Call) -> UpstreamRequest:
    return _invoke(call, "converse-stream" if call.stream else "converse", bedrock_chat.request_body(call))


BACKEND = Backend(
    request=_chat_request,
    reply=bedrock_chat.read_reply,
    source=bedrock_chat.ConverseSource,
    failure=read_failure,
)


def _embed(call: Call) -> Exchange:
    texts, size = texts_of(call.body), call.body.get("dimensions")
    if "titan-embed" in call.model:
        if len(texts) > 1:
            raise Invalid(f"{call.model} embeds one text a call; input holds {len(texts)}.", param="input")
        body: JsonObject = {"inputText": texts[0], **({"dimensions": size} if size else {})}
    elif "cohere.embed" in call.model:
        body = {"texts": texts, "input_type": "search_document", **({"output_dimension": size} if size else {})}
    else:
        raise Invalid(
            f"{call.model} is no embedding model that is known: amazon.titan-embed-* or cohere.embed-*.", param="model"
        )

    def reply(raw: bytes) -> Reply:
        answer = read_object(raw)
        vectors = answer.get("embeddings") or [answer.get("embedding") or []]
        if isinstance(vectors, dict):
            vectors = vectors.get("float") or []
        tokens = answer.get("inputTextTokenCount")
        usage = Usage("bedrock", {"inputTokens": tokens, "outputTokens": 0}) if tokens is not None else None
        return embeddings_reply(call, vectors, tokens=tokens, usage=usage)

    return Exchange(
        request=_invoke(call, "invoke", body), passthrough=False, reply=reply, stream=no_stream, failure=read_failure
    )


def _open(call: Call) -> Exchange:
    return _embed(call) if call.endpoint == EMBEDDINGS else translate(call, FRONTS[call.endpoint], BACKEND)


def _probe(connection: Connection, now: datetime) -> UpstreamRequest:
    return _request(connection, now, method="GET", path="/foundation-models", body=None, host="bedrock")


def _models_in(raw: bytes) -> list[str]:
    return [str(item["modelId"]) for item in read_object(raw).get("modelSummaries") or ()]


BEDROCK = Provider(
    kind="bedrock",
    title="Amazon Bedrock",
    default_base_url="",
    needs_secret=True,
    credential="A Bedrock API key, or 'ACCESS_KEY_ID:SECRET_ACCESS_KEY' (with ':SESSION_TOKEN' if temporary).",
    wire="bedrock",
    models=(
        "anthropic.*", "amazon.*", "meta.*", "mistral.*", "cohere.*", "ai21.*", "deepseek.*", "openai.*", "qwen.*",
        "us.*", "eu.*", "apac.*", "global.*", "arn:aws*:bedrock:*",
    ),
    native=frozenset(),
    translated=frozenset({CHAT, MESSAGES, RESPONSES, COMPLETIONS, EMBEDDINGS}),
    open=_open,
    failure=read_failure,
    probe=_probe,
    models_in=_models_in,
    options=(
        Option(name="region", title="Region", help="AWS region of the models.", default="us-east-1", required=True),
        HEADERS_OPTION,
    ),
)  # fmt: skip
