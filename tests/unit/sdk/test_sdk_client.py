"""The SDK's client: what it sends, what it makes of answers and refusals, when it tries again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import octavo
from octavo import AsyncOctavo, Octavo
from octavo.api.sending import NOT_GIVEN
from octavo.errors import (
    APIError,
    AuthenticationError,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
)

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OCTAVO_CONFIG", str(tmp_path / "config.json"))
    for name in ("URL", "API_KEY", "PROJECT", "ENVIRONMENT"):
        monkeypatch.delenv(f"OCTAVO_{name}", raising=False)


def client(handler: Handler, *, pauses: list[float] | None = None) -> Octavo:
    return Octavo(
        "http://octavo.test",
        api_key="sk-oct-1",
        project="demo",
        transport=httpx2.MockTransport(handler),
        sleep=(pauses if pauses is not None else []).append,
    )


def answering(*answers: httpx2.Response) -> tuple[Handler, list[httpx2.Request]]:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answers[min(len(seen), len(answers)) - 1]

    return handle, seen


def test_a_call_is_sent_as_its_caller() -> None:
    handle, seen = answering(httpx2.Response(201, json={"id": "key_1", "secret_key": "s"}))
    with client(handle) as server:
        made = server.create_key(name="app", allowed_models=["gpt-*"])
    assert made["secret_key"] == "s"
    (request,) = seen
    assert request.method == "POST"
    assert request.url == "http://octavo.test/api/v1/api-keys"
    assert request.headers["authorization"] == "Bearer sk-oct-1"
    assert request.headers["x-octavo-project"] == "demo"
    assert request.headers["user-agent"].startswith("octavo-python/")
    assert json.loads(request.content) == {"name": "app", "allowed_models": ["gpt-*"]}


def test_none_is_sent_and_left_out_is_not() -> None:
    handle, seen = answering(httpx2.Response(200, json={}))
    with client(handle) as server:
        server.update_connection("con_1", name=None, secret="")
        server.list_events(cursor=None, action="x")
    assert json.loads(seen[0].content) == {"name": None, "secret": ""}
    assert dict(seen[1].url.params) == {"action": "x"}
    assert not NOT_GIVEN
    assert repr(NOT_GIVEN) == "NOT_GIVEN"


def test_a_path_segment_stays_one() -> None:
    handle, seen = answering(httpx2.Response(204))
    with client(handle) as server:
        assert server.delete_route("../users/1?x={y}") is None  # type: ignore[func-returns-value]
    assert seen[0].url.raw_path == b"/api/v1/routes/..%2Fusers%2F1%3Fx%3D%7By%7D"


def test_pages_are_followed() -> None:
    handle, seen = answering(
        httpx2.Response(200, json={"data": [{"seq": 2}, {"seq": 1}], "next_cursor": "c"}),
        httpx2.Response(200, json={"data": [{"seq": 0}], "next_cursor": None}),
    )
    with client(handle) as server:
        assert [event["seq"] for event in server.each(server.list_events, limit=2)] == [2, 1, 0]
    assert dict(seen[1].url.params) == {"limit": "2", "cursor": "c"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, AuthenticationError),
        (403, PermissionDenied),
        (404, NotFound),
        (409, Conflict),
        (413, InvalidRequest),
        (418, APIError),
        (429, RateLimited),
        (500, ServerError),
    ],
)
def test_a_refusal_is_an_error_of_its_kind(status: int, kind: type[APIError]) -> None:
    problem = {"detail": "The name is taken.", "code": "conflict", "param": "name"}
    headers = {"x-request-id": "req_1", "retry-after": "99"}
    refusal = httpx2.Response(status, json=problem, headers=headers)
    with client(lambda _: refusal) as server, pytest.raises(kind) as caught:
        server.list_keys()
    error = caught.value
    assert type(error) is kind
    assert (error.message, error.code, error.param, error.status) == ("The name is taken.", "conflict", "name", status)
    assert (error.request_id, error.retry_after_s) == ("req_1", 99.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"error": {"message": "No such model.", "code": "model_not_found"}}', "No such model."),
        (b"<html>", "The server answered 404."),
        (b"[]", "The server answered 404."),
        (b"", "The server answered 404."),
    ],
)
def test_other_shapes_of_refusal(content: bytes, message: str) -> None:
    with client(lambda _: httpx2.Response(404, content=content)) as server, pytest.raises(NotFound, match=message):
        server.request("GET", "/v1/models/x")


def test_reads_wait_for_a_busy_server() -> None:
    handle, seen = answering(
        httpx2.Response(503, headers={"retry-after": "3"}),
        httpx2.Response(429),
        httpx2.Response(200, json={"data": []}),
    )
    pauses: list[float] = []
    with client(handle, pauses=pauses) as server:
        assert server.list_projects()["data"] == []
    assert pauses == [3.0, 1.0]
    assert len(seen) == 3


@pytest.mark.parametrize("headers", [{"retry-after": "3600"}, {"x-should-retry": "false"}])
def test_what_is_not_tried_again(headers: dict[str, str]) -> None:
    handle, seen = answering(httpx2.Response(503, headers=headers))
    with client(handle) as server, pytest.raises(ServerError):
        server.list_projects()
    assert len(seen) == 1
    handle, seen = answering(httpx2.Response(503))
    with client(handle) as server, pytest.raises(ServerError):
        server.create_project(name="changes are never sent twice")
    assert len(seen) == 1


def test_a_server_that_is_away() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with client(refuse) as server:
        with pytest.raises(ConnectionFailed, match=r"octavo\.test cannot be reached \(refused\)"):
            server.list_projects()
        with pytest.raises(ConnectionFailed, match="broke off"):
            list(server.stream("/v1/chat/completions", {}))


def test_a_login_is_remembered() -> None:
    handle, seen = answering(httpx2.Response(200, json={"csrf_token": "t", "user": {}}))
    with client(handle) as server:
        server.log_in(email="a@b.c", password="p")
        server.use_project("other")
        server.log_out()
    assert seen[1].headers["x-octavo-csrf"] == "t"
    assert seen[1].headers["x-octavo-project"] == "other"


def test_a_stream_is_read_event_by_event() -> None:
    lines = b': keep-alive\n\ndata: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n'
    with client(lambda _: httpx2.Response(200, content=lines)) as server:
        assert list(server.stream("/v1/chat/completions", {})) == [{"a": 1}, {"a": 2}]
    broken = b'data: {"error": {"message": "half way", "code": "upstream_error"}}\n\n'
    with client(lambda _: httpx2.Response(200, content=broken)) as server, pytest.raises(ServerError, match="half way"):
        list(server.stream("/v1/chat/completions", {}))
    with client(lambda _: httpx2.Response(401, json={})) as server, pytest.raises(AuthenticationError):
        list(server.stream("/v1/chat/completions", {}))


async def test_the_same_for_asyncio() -> None:
    answers: list[dict[str, Any]] = [
        {"csrf_token": "t"},
        {"data": [{"seq": 1}], "next_cursor": "c"},
        {"data": [{"seq": 0}], "next_cursor": None},
        {"status": "ok"},
    ]
    handle, seen = answering(*(httpx2.Response(200, json=answer) for answer in answers))
    transport = httpx2.MockTransport(handle)
    async with AsyncOctavo("http://octavo.test", api_key="k", transport=transport) as server:
        await server.log_in(email="a@b.c", password="p")
        server.use_project("demo")
        assert [event["seq"] async for event in server.each(server.list_events)] == [1, 0]
        assert await server.request("GET", "/healthz") == {"status": "ok"}
    assert seen[1].headers["x-octavo-csrf"] == "t"
    handle, _ = answering(httpx2.Response(404, json={"detail": "gone"}))
    async with AsyncOctavo("http://octavo.test", transport=httpx2.MockTransport(handle)) as server:
        with pytest.raises(NotFound, match="gone"):
            await server.list_keys()


async def test_asyncio_and_a_server_that_is_busy_or_away() -> None:
    handle, seen = answering(
        httpx2.Response(503, headers={"retry-after": "0"}), httpx2.Response(200, json={"data": []})
    )
    async with AsyncOctavo("http://octavo.test", transport=httpx2.MockTransport(handle)) as server:
        assert (await server.list_keys())["data"] == []
    assert len(seen) == 2

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    async with AsyncOctavo("http://octavo.test", transport=httpx2.MockTransport(refuse)) as server:
        with pytest.raises(ConnectionFailed):
            await server.list_keys()


def test_the_package_has_what_it_names() -> None:
    for name in octavo.__all__:
        assert getattr(octavo, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = octavo.nothing
