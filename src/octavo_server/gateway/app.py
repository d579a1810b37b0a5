"""The gateway's front door: a raw ASGI application for `/v1/…`, since a framework would cost more than the work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import orjson

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Forbidden, Invalid, NotFound, OctavoError, Unavailable
from octavo_server.core.ids import new_request_id
from octavo_server.costs.model import glob_matches, is_glob
from octavo_server.costs.runtime import ShippedTable
from octavo_server.edge.access import Permission
from octavo_server.gateway.calling import Caller
from octavo_server.gateway.passage import Tables
from octavo_server.gateway.pipeline import ENDPOINTS, Pipeline
from octavo_server.gateway.problems import Problem, problem_of_error, render
from octavo_server.gateway.providers.base import CHAT
from octavo_server.gateway.recording import Recorder
from octavo_server.gateway.reply import ClientGone, Reply, Watch
from octavo_server.gateway.request import read_call, unread_call
from octavo_server.gateway.snapshot import SnapshotHolder
from octavo_server.gateway.upstream import Upstream
from octavo_server.governance.model import KeyGrant
from octavo_server.governance.runtime import authenticate, require_scope

_MAX_HEADER_BYTES = 64 << 10
_MODELS = "/v1/models"


class Gateway:
    """Serves `/v1/…` to API keys. The snapshot it works on is replaced from outside at any time; a call finishes on
    the one it began with."""

    def __init__(
        self,
        *,
        snapshots: SnapshotHolder,
        upstream: Upstream,
        recorder: Recorder,
        clock: Clock,
        max_body_bytes: int,
        max_in_flight: int = 2000,
        shipped: ShippedTable | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._snapshots = snapshots
        self._clock = clock
        self._max_body = max_body_bytes
        self._max_in_flight = max_in_flight
        self._watch = Watch()
        self._shipped = shipped or ShippedTable()
        self._tables = Tables(snapshots.current, self._shipped)
        self._pipeline = Pipeline(caller=Caller(upstream, clock, sleep=sleep), recorder=recorder, clock=clock)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await self.serve(scope["path"], None, scope, receive, send)

    async def serve(
        self, path: str, grant: KeyGrant | None, scope: MutableMapping[str, Any], receive: Any, send: Any
    ) -> None:
        """Serves `path` to the holder of `grant`, or to whom the request's own API key says when it is None."""
        reply = Reply(receive, send)
        self._watch.add(reply)
        try:
            await self._serve(path, grant, scope, reply)
        finally:
            self._watch.remove(reply)

    async def _serve(self, path: str, grant: KeyGrant | None, scope: MutableMapping[str, Any], reply: Reply) -> None:
        endpoint = ENDPOINTS.get(path)
        request_id = new_request_id()
        try:
            if len(self._watch) > self._max_in_flight:
                raise Unavailable(f"{self._max_in_flight} calls are already on their way through this gateway.")
            headers = _headers(scope)
            tables = self._current()
            if grant is None:
                grant = self._authenticate(headers, tables)
            if endpoint is None:
                await self._serve_other(scope, grant, tables, reply, request_id)
                return
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"{scope['method'][:10]} {path} is not served; use POST.")
        except OctavoError as error:
            await _answer_problem(reply, problem_of_error(error), endpoint or CHAT, request_id)
            return
        body = b""
        try:
            body = await reply.read_body(headers, self._max_body)
            call = read_call(endpoint, body, headers)
        except ClientGone:
            return
        except OctavoError as error:
            unread = unread_call(endpoint, body, headers)
            await self._pipeline.reject(unread, error, grant, tables, reply, request_id)
            return
        await self._pipeline.run(call, grant, tables, reply, request_id)

    def _current(self) -> Tables:
        tables = self._tables
        snapshot = self._snapshots.current
        if tables.snapshot is not snapshot:
            tables = self._tables = Tables(snapshot, self._shipped)
        return tables

    def _authenticate(self, headers: dict[str, str], tables: Tables) -> KeyGrant:
        authorization, api_key = headers.get("authorization"), headers.get("x-api-key")
        known = tables.grants.get((authorization, api_key))
        if known is not None:
            return known
        grant = authenticate(tables.snapshot.keys, authorization, api_key, self._clock.now())
        require_scope(grant, Permission.GATEWAY_CALL)
        if grant.project_id not in tables.snapshot.projects:
            raise Forbidden("The project of this API key is gone.")
        tables.remember(authorization, api_key, grant)
        return grant

    async def _serve_other(
        self, scope: MutableMapping[str, Any], grant: KeyGrant, tables: Tables, reply: Reply, request_id: str
    ) -> None:
        """`GET /v1/models` and `GET /v1/models/{id}`; ids may hold slashes."""
        path: str = scope["path"]
        if scope["method"] != "GET" or not (path == _MODELS or path.startswith(f"{_MODELS}/")):
            raise NotFound(
                f"{scope['method'][:10]} {path[:200]} is not an endpoint of this gateway; it serves "
                f"{', '.join(ENDPOINTS)} and {_MODELS}.",
                code="unknown_endpoint",
            )
        if path == _MODELS:
            models = [_model(name, owner) for name, owner in sorted(_models_of(grant, tables).items())]
            answer: dict[str, Any] = {"object": "list", "data": models, "has_more": False}
            if models:
                answer |= {"first_id": models[0]["id"], "last_id": models[-1]["id"]}
        else:
            name = unquote(path.removeprefix(f"{_MODELS}/"))
            plan = tables.router.plan(grant.project_id, name)
            answer = _model(name, plan.hops[0].connection.provider)
        headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
        await reply.send(200, headers, orjson.dumps(answer))


class MethodNotAllowed(Invalid):
    """The path is served, but not by this method."""

    status = 405
    code = "method_not_allowed"


def _headers(scope: MutableMapping[str, Any]) -> dict[str, str]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if sum(map(len, headers.values())) > _MAX_HEADER_BYTES:
        raise Invalid(f"The headers are larger than {_MAX_HEADER_BYTES >> 10} KiB.", code="headers_too_large")
    return headers


def _models_of(grant: KeyGrant, tables: Tables) -> dict[str, str]:
    """Names that this key can ask for, and whose they are."""
    snapshot = tables.snapshot
    names: dict[str, str] = {}
    for connection in snapshot.connections.values():
        if connection.project_id == grant.project_id:
            for name in (*connection.known_models, *connection.models):
                if not is_glob(name):
                    names[name] = connection.provider
    for route in snapshot.routes.get(grant.project_id, ()):
        if not is_glob(route.pattern):
            names[route.pattern] = "octavo"
    if grant.allowed_models:
        return {
            name: owner
            for name, owner in names.items()
            if any(glob_matches(pattern, name) for pattern in grant.allowed_models)
        }
    return names


def _model(name: str, owner: str) -> dict[str, Any]:
    """In OpenAI's shape, with the fields that Anthropic's clients look for."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
    }


async def _answer_problem(reply: Reply, problem: Problem, endpoint: str, request_id: str) -> None:
    body, headers = render(problem, endpoint, request_id)
    await reply.send(problem.status, [*headers, (b"x-request-id", request_id.encode())], body)
