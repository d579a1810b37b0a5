"""OpenAI and everything that speaks as it does: any compatible base URL, Azure, Ollama, vLLM.

Chat, completions, embeddings (and the Responses API where the server has it) pass through; a request is only touched
to name the model and, on streams, to ask for usage. The other endpoints are translated to chat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import orjson

from octavo_server.costs.model import Connection
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
    UpstreamRequest,
    Wire,
)
from octavo_server.gateway.providers.chat import ChatSource, read_chat_reply
from octavo_server.gateway.providers.failures import read_failure, read_object
from octavo_server.gateway.providers.fronts import FRONTS
from octavo_server.gateway.providers.hub import Backend, translate
from octavo_server.gateway.providers.native import NativeStream, read_reply
from octavo_server.gateway.providers.urls import (
    HEADERS_OPTION,
    flag_option,
    join,
    map_option,
    own_headers,
    text_option,
)

PATHS: Mapping[str, str] = {
    CHAT: "/chat/completions",
    COMPLETIONS: "/completions",
    EMBEDDINGS: "/embeddings",
    RESPONSES: "/responses",
    MESSAGES: "/messages",
}
_OPENAI_NATIVE = frozenset({CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES})
_COMPATIBLE_NATIVE = frozenset({CHAT, COMPLETIONS, EMBEDDINGS})

Address = Callable[[Connection, str, str], str]  # connection, endpoint, model -> URL


def headers_of(connection: Connection, client: Mapping[str, str]) -> dict[str, str]:
    """Bearer key, OpenAI's account headers, the client's beta flag, the connection's own headers."""
    headers = {"content-type": "application/json"}
    if connection.secret:
        headers["authorization"] = f"Bearer {connection.secret}"
    for option in ("organization", "project"):
        if value := text_option(connection, option):
            headers[f"openai-{option}"] = value
    if beta := client.get("openai-beta"):
        headers["openai-beta"] = beta
    return {**headers, **own_headers(connection)}


def body_of(call: Call) -> bytes:
    """The client's bytes, unless the model has another name upstream or usage has to be asked for."""
    changes: JsonObject = {}
    if call.body.get("model") != call.model:
        changes["model"] = call.model
    if call.stream and call.endpoint in (CHAT, COMPLETIONS) and flag_option(call.connection, "stream_usage", True):
        options = call.body.get("stream_options") or {}
        if not options.get("include_usage"):
            changes["stream_options"] = {**options, "include_usage": True}
    if not changes and call.raw:
        return call.raw
    return orjson.dumps({**call.body, **changes})


def native_exchange(call: Call, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Exchange:
    """An exchange that passes through."""
    wire: Wire = "anthropic" if call.endpoint == MESSAGES else "openai"
    return Exchange(
        request=UpstreamRequest(method="POST", url=url, headers=headers, body=body_of(call) if body is None else body),
        passthrough=True,
        reply=read_reply(call.endpoint, wire),
        stream=lambda: NativeStream(call.endpoint, wire),
        failure=read_failure,
    )


def chat_backend(request: Callable[[Call], UpstreamRequest]) -> Backend:
    """A provider that is reached in chat completions."""
    return Backend(request=request, reply=read_chat_reply, source=lambda call: ChatSource(), failure=read_failure)


def _plain_url(default: str) -> Address:
    return lambda connection, endpoint, model: join(connection.base_url or default, PATHS[endpoint])


def _azure_url(connection: Connection, endpoint: str, model: str) -> str:
    base = connection.base_url.rstrip("/").removesuffix("/v1").removesuffix("/openai")
    version = text_option(connection, "api_version", "v1")
    if version in ("v1", "preview"):
        return join(base, f"/openai/v1{PATHS[endpoint]}" + ("?api-version=preview" if version == "preview" else ""))
    if endpoint == RESPONSES:
        return join(base, f"/openai/responses?api-version={version}")
    return join(base, f"/openai/deployments/{model}{PATHS[endpoint]}?api-version={version}")


def _azure_headers(connection: Connection, client: Mapping[str, str]) -> dict[str, str]:
    if text_option(connection, "auth", "api_key") == "bearer":
        return headers_of(connection, client)
    headers = headers_of(connection, client)
    headers.pop("authorization", None)
    return {"api-key": connection.secret, **headers}


def _opener(
    native: frozenset[str],
    address: Address,
    headers: Callable[[Connection, Mapping[str, str]], dict[str, str]] = headers_of,
    *,
    name_of: Callable[[Connection, str], str] = lambda connection, model: model,
    newer_limit: bool = False,
) -> Callable[[Call], Exchange]:
    """`newer_limit`: the server wants `max_completion_tokens`; others know only `max_tokens`."""

    def chat_request(call: Call) -> UpstreamRequest:
        body = call.body
        if newer_limit and "max_tokens" in body:
            body = {name: value for name, value in body.items() if name != "max_tokens"}
            body.setdefault("max_completion_tokens", call.body["max_tokens"])
        return UpstreamRequest(
            method="POST",
            url=address(call.connection, CHAT, call.model),
            headers=headers(call.connection, {}),
            body=body_of(replace(call, body=body, raw=b"")),
        )

    backend = chat_backend(chat_request)

    def open_(call: Call) -> Exchange:
        deployed = name_of(call.connection, call.model)
        if deployed != call.model:
            call = replace(call, model=deployed)
        if call.endpoint in native or call.endpoint in _extra_endpoints(call.connection):
            url = address(call.connection, call.endpoint, call.model)
            return native_exchange(call, url, headers(call.connection, call.headers))
        return translate(call, FRONTS[call.endpoint], backend)

    return open_


def _extra_endpoints(connection: Connection) -> frozenset[str]:
    value = connection.options.get("endpoints") or ()
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    return frozenset(str(name) for name in names) if isinstance(names, list) else frozenset()


def models_in(raw: bytes) -> list[str]:
    """Names in an OpenAI model list; servers that answer a bare list are read too."""
    bare = raw.lstrip().startswith(b"[")
    items = orjson.loads(raw) if bare else read_object(raw).get("data") or ()
    return [item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str)]


def _probe(default: str) -> Callable[[Connection, datetime], UpstreamRequest]:
    def probe(connection: Connection, now: datetime) -> UpstreamRequest:
        del now
        url = join(connection.base_url or default, "/models")
        return UpstreamRequest(method="GET", url=url, headers=headers_of(connection, {}))

    return probe


def _azure_probe(connection: Connection, now: datetime) -> UpstreamRequest:
    del now
    base = connection.base_url.rstrip("/").removesuffix("/v1").removesuffix("/openai")
    version = text_option(connection, "api_version", "v1")
    path = "/openai/v1/models" if version in ("v1", "preview") else f"/openai/models?api-version={version}"
    return UpstreamRequest(method="GET", url=join(base, path), headers=_azure_headers(connection, {}))


def _deployment(connection: Connection, model: str) -> str:
    return str(map_option(connection, "deployments").get(model, model))


_STREAM_USAGE = Option(
    name="stream_usage",
    title="Ask for usage on streams",
    help="Sends stream_options.include_usage. Turn off for a server that refuses it; streamed calls then have no token counts.",
    kind="flag",
    default="true",
)
_ENDPOINTS = Option(
    name="endpoints",
    title="Further native endpoints",
    help="Endpoints this server has beyond chat, completions and embeddings: responses, messages. Others are translated.",
    kind="list",
)


def _compatible(kind: str, title: str, default: str, *, models: tuple[str, ...] = (), needs_secret: bool) -> Provider:
    return Provider(
        kind=kind,
        title=title,
        default_base_url=default,
        needs_secret=needs_secret,
        wire="openai",
        models=models,
        native=_COMPATIBLE_NATIVE,
        translated=frozenset({RESPONSES, MESSAGES}),
        open=_opener(_COMPATIBLE_NATIVE, _plain_url(default)),
        failure=read_failure,
        probe=_probe(default),
        models_in=models_in,
        options=(HEADERS_OPTION, _STREAM_USAGE, _ENDPOINTS),
    )


OPENAI = Provider(
    kind="openai",
    title="OpenAI",
    default_base_url="https://api.openai.com/v1",
    needs_secret=True,
    credential="An API key of the OpenAI platform (sk-…).",
    wire="openai",
    models=(
        "gpt-*", "chatgpt-*", "o1*", "o3*", "o4*", "text-embedding-*", "babbage-*", "davinci-*", "ft:*", "codex-*",
        "computer-use-*",
    ),
    native=_OPENAI_NATIVE,
    translated=frozenset({MESSAGES}),
    open=_opener(_OPENAI_NATIVE, _plain_url("https://api.openai.com/v1"), newer_limit=True),
    failure=read_failure,
    probe=_probe("https://api.openai.com/v1"),
    models_in=models_in,
    options=(
        Option(name="organization", title="Organization", help="OpenAI organization id (org-…), if the key has several."),
        Option(name="project", title="Project", help="OpenAI project id (proj_…), if the key has several."),
        HEADERS_OPTION,
    ),
)  # fmt: skip

AZURE = Provider(
    kind="azure",
    title="Azure OpenAI",
    default_base_url="",
    needs_secret=True,
    credential="A key of the Azure OpenAI resource, or an Entra token when authentication is 'bearer'.",
    wire="openai",
    models=(),
    native=_OPENAI_NATIVE,
    translated=frozenset({MESSAGES}),
    open=_opener(_OPENAI_NATIVE, _azure_url, _azure_headers, name_of=_deployment, newer_limit=True),
    failure=read_failure,
    probe=_azure_probe,
    models_in=models_in,
    options=(
        Option(
            name="api_version",
            title="API version",
            help="'v1' for the versionless API, or a date such as 2024-10-21 for deployment URLs.",
            default="v1",
        ),
        Option(name="deployments", title="Deployments", help="Model name -> deployment name, where they differ.", kind="map"),
        Option(name="auth", title="Authentication", help="How the secret is sent.", kind="choice", choices=("api_key", "bearer"), default="api_key"),
        HEADERS_OPTION,
    ),
)  # fmt: skip

OPENAI_COMPATIBLE = _compatible("openai_compatible", "OpenAI-compatible server", "", needs_secret=False)
OLLAMA = _compatible("ollama", "Ollama", "http://127.0.0.1:11434/v1", needs_secret=False)
VLLM = _compatible("vllm", "vLLM", "http://127.0.0.1:8000/v1", needs_secret=False)
