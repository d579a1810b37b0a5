"""The control API through its front door: who gets in, what refusals look like, what the console's files are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from http_server import EMAIL, PASSWORD, URL, client_of, log_in, make_key, make_project, running, settings_of

from octavo_server.edge.access import Permission
from octavo_server.http import console
from octavo_server.http.wiring import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with running(settings_of(tmp_path_factory.mktemp("data"), max_body_mb=1)) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody yet."""
    async with client_of(server) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def ada(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The owner, in a project of the test's own."""
    await log_in(client)
    await make_project(client, f"P {datetime.now(UTC).timestamp():.6f}")
    return client


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"] and problem["detail"]
    return problem


# ---- login ------------------------------------------------------------------------------------------------------


async def test_logging_in_and_out(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/api/v1/session"), 401, "no_credentials")
    answer = await client.post("/api/v1/session", json={"email": EMAIL.upper(), "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    session = (await client.get("/api/v1/session")).json()
    assert session["user"]["email"] == EMAIL and session["user"]["role"] == "owner"
    assert session["csrf_token"] == answer.json()["csrf_token"]
    assert session["csrf_token"] not in cookie
    client.headers["x-octavo-csrf"] = session["csrf_token"]
    stolen = dict(client.cookies)
    assert (await client.delete("/api/v1/session")).status_code == 204
    assert "octavo_session" not in client.cookies
    client.cookies.update(stolen)
    assert_problem(await client.get("/api/v1/session"), 401, "session_expired")


async def test_a_wrong_password_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/session", json={"email": EMAIL, "password": "wrong"})
    problem = assert_problem(answer, 401, "wrong_login")
    assert "set-cookie" not in answer.headers
    assert "wrong" in problem["detail"]


async def test_guessing_is_answered_429(server: Server) -> None:
    async with client_of(server) as client:
        codes = [
            (await client.post("/api/v1/session", json={"email": "x@example.com", "password": "x"})).status_code
            for _ in range(12)
        ]
        assert codes == [401] * 10 + [429] * 2
        answer = await client.post("/api/v1/session", json={"email": "x@example.com", "password": "x"})
        assert answer.headers["retry-after"] == "900"


async def test_an_https_server_marks_its_cookie_secure(tmp_path: Path) -> None:
    async with (
        running(settings_of(tmp_path, public_url="https://octavo.example.com")) as server,
        client_of(server) as client,
    ):
        answer = await client.post("/api/v1/session", json={"email": EMAIL, "password": PASSWORD})
        assert "secure" in answer.headers["set-cookie"].lower()


# ---- cross-site requests ----------------------------------------------------------------------------------------


async def test_a_change_needs_the_csrf_token(ada: httpx.AsyncClient) -> None:
    for token in ("", "guess", "0" * 43):
        answer = await ada.post("/api/v1/projects", json={"name": "x"}, headers={"x-octavo-csrf": token})
        assert_problem(answer, 403, "csrf_failed")
    assert (await ada.get("/api/v1/projects", headers={"x-octavo-csrf": ""})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
async def test_a_change_from_another_site_is_refused(ada: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for path, body in (
        ("/api/v1/projects", {"name": "x"}),
        ("/api/v1/session", {"email": EMAIL, "password": PASSWORD}),
    ):
        assert_problem(await ada.post(path, json=body, headers=headers), 403, "wrong_origin")


async def test_a_change_from_here_is_taken(ada: httpx.AsyncClient) -> None:
    answer = await ada.post("/api/v1/environments", json={"name": "qa"}, headers={"origin": URL})
    assert answer.status_code == 201


# ---- permissions ------------------------------------------------------------------------------------------------


async def test_every_route_refuses_strangers(server: Server, client: httpx.AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["x-octavo-permission"] == Permission.PUBLIC:
                continue
            url = path.replace("{", "").replace("}", "")
            answer = await client.request(method, url, content=b"{ not even json")
            assert answer.status_code == 401, f"{method} {path}"
            wrong = await client.request(method, url, headers={"authorization": "Bearer sk-oct-wrong"})
            assert_problem(wrong, 401, "invalid_api_key")
            tried += 1
    assert tried > 20


async def test_roles_open_what_they_should(server: Server, ada: httpx.AsyncClient) -> None:
    project = ada.headers["x-octavo-project"]
    project_id = (await ada.get(f"/api/v1/projects/{project}")).json()["id"]
    reads = {"/api/v1/environments", f"/api/v1/projects/{project}"}
    expected = {
        "viewer": {"reads": 200, "/api/v1/api-keys": 403, "/api/v1/events": 403, "/api/v1/users": 403},
        "developer": {"reads": 200, "/api/v1/api-keys": 200, "/api/v1/events": 200, "/api/v1/users": 403},
        "admin": {"reads": 200, "/api/v1/api-keys": 200, "/api/v1/events": 200, "/api/v1/users": 403},
    }
    for role, answers in expected.items():
        email = f"{role}-{project}@example.com"
        made = await ada.post(
            "/api/v1/users", json={"email": email, "password": "password", "memberships": {project_id: role}}
        )
        assert made.status_code == 201, made.text
        async with client_of(server) as client:
            await log_in(client, email, "password")
            client.headers["x-octavo-project"] = project
            for path, status in answers.items():
                for url in reads if path == "reads" else {path}:
                    assert (await client.get(url)).status_code == status, f"{role} {url}"
            assert [one["slug"] for one in (await client.get("/api/v1/projects")).json()["data"]] == [project]
            assert_problem(await client.post("/api/v1/projects", json={"name": "x"}), 403, "permission_denied")


async def test_a_project_of_others_is_as_if_it_were_not(server: Server, ada: httpx.AsyncClient) -> None:
    mine = await make_key(ada, scopes=["projects.read", "traces.read"])
    other = await make_project(ada, "Other of others")
    async with client_of(server, headers={"authorization": f"Bearer {mine['secret_key']}"}) as client:
        for headers in ({"x-octavo-project": other["slug"]}, {"x-octavo-project": "nothing"}):
            assert_problem(await client.get("/api/v1/environments", headers=headers), 404, "project_not_found")
        for name in (other["id"], other["slug"], "nothing"):
            assert_problem(await client.get(f"/api/v1/projects/{name}"), 404, "project_not_found")


async def test_a_forgotten_project_does_not_lock_the_console_out(ada: httpx.AsyncClient) -> None:
    headers = {"x-octavo-project": "gone"}
    assert (await ada.get("/api/v1/session", headers=headers)).status_code == 200
    assert (await ada.get("/api/v1/projects", headers=headers)).status_code == 200
    assert_problem(await ada.get("/api/v1/environments", headers=headers), 404, "project_not_found")


async def test_a_project_must_be_chosen(ada: httpx.AsyncClient) -> None:
    del ada.headers["x-octavo-project"]
    assert_problem(await ada.get("/api/v1/environments"), 403, "no_project")


# ---- keys -------------------------------------------------------------------------------------------------------


async def test_a_key_works_at_once_and_not_after_its_end(server: Server, ada: httpx.AsyncClient) -> None:
    key = await make_key(ada)
    assert key["secret_key"].startswith("sk-oct-") and key["public_key"].startswith("pk-oct-")
    listed = (await ada.get("/api/v1/api-keys")).json()["data"][0]
    assert "secret_key" not in listed and listed["secret_hint"].endswith(key["secret_key"][-4:])
    async with client_of(server) as app:
        bearer = {"authorization": f"Bearer {key['secret_key']}"}
        assert (await app.get("/api/v1/environments", headers=bearer)).status_code == 200
        basic = httpx.BasicAuth(key["public_key"], key["secret_key"])
        assert (await app.get("/api/v1/environments", auth=basic)).status_code == 200
        assert (await app.get("/api/v1/environments", headers={"x-api-key": key["secret_key"]})).status_code == 200
        assert (await app.get("/v1/models", headers=bearer)).status_code == 200
        assert (await ada.delete(f"/api/v1/api-keys/{key['id']}")).json()["revoked_at"] is not None
        refused = await app.get("/api/v1/environments", headers=bearer)
        assert "revoked" in assert_problem(refused, 401, "invalid_api_key")["detail"]
        gateway = await app.get("/v1/models", headers=bearer)
        assert gateway.status_code == 401 and "revoked" in gateway.json()["error"]["message"]
        assert_problem(await ada.delete(f"/api/v1/api-keys/{key['id']}"), 409, "already_revoked")


async def test_a_key_that_runs_out(server: Server, ada: httpx.AsyncClient) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    key = await make_key(ada, expires_at=soon.isoformat())
    async with client_of(server, headers={"authorization": f"Bearer {key['secret_key']}"}) as app:
        assert (await app.get("/api/v1/environments")).status_code == 200
        await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.01)
        assert "expired" in assert_problem(await app.get("/api/v1/environments"), 401, "invalid_api_key")["detail"]


async def test_a_keys_scope_holds(server: Server, ada: httpx.AsyncClient) -> None:
    key = await make_key(ada, scopes=["traces.read"])
    async with client_of(server, headers={"authorization": f"Bearer {key['secret_key']}"}) as app:
        assert_problem(await app.get("/api/v1/environments"), 403, "permission_denied")
        assert (await app.get("/v1/models")).status_code == 403


async def test_use_of_a_key_is_noted(tmp_path: Path) -> None:
    async with running(settings_of(tmp_path)) as server, client_of(server) as client:
        await log_in(client)
        project = await make_project(client)
        key = await make_key(client)
        assert (await client.get("/api/v1/api-keys")).json()["data"][0]["last_used_at"] is None
        async with client_of(server, headers={"authorization": f"Bearer {key['secret_key']}"}) as app:
            await app.get("/api/v1/environments")
    async with running(settings_of(tmp_path)) as server, client_of(server) as client:
        await log_in(client)
        listed = await client.get("/api/v1/api-keys", headers={"x-octavo-project": project["id"]})
        assert listed.json()["data"][0]["last_used_at"] is not None


# ---- refusals ---------------------------------------------------------------------------------------------------


async def test_unknown_paths_and_methods(ada: httpx.AsyncClient) -> None:
    assert_problem(await ada.get("/api/v1/nothing"), 404, "not_found")
    assert_problem(await ada.post("/api/nothing"), 404, "not_found")
    assert_problem(await ada.put("/api/v1/projects"), 405, "method_not_allowed")
    assert_problem(await ada.get("/api/v1/users/%00"), 400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 3}, "name"),
        ({"name": "x", "slag": "x"}, "slag"),
        ({"name": "x", "slug": "NO!"}, "slug"),
        ([], "body"),
    ],
)
async def test_a_malformed_body_names_its_field(ada: httpx.AsyncClient, body: Any, field: str) -> None:
    problem = assert_problem(await ada.post("/api/v1/projects", json=body), 400, "invalid_request")
    assert problem["param"] == field


async def test_what_is_no_json_is_refused(ada: httpx.AsyncClient) -> None:
    for content in (b"{", b"\xff\xfe", b"", b'{"name": "\\ud800"}'):
        answer = await ada.post("/api/v1/projects", content=content, headers={"content-type": "application/json"})
        assert_problem(answer, 400, "invalid_request")


async def test_a_large_body_is_refused_before_it_is_read(ada: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b" " * (1 << 16)

    answer = await ada.post("/api/v1/projects", content=endless(), headers={"content-type": "application/json"})
    assert_problem(answer, 413, "request_too_large")
    assert sent < 4 << 20
    declared = await ada.post("/api/v1/projects", content=b" " * (2 << 20))
    assert_problem(declared, 413, "request_too_large")


async def test_large_headers_are_refused(ada: httpx.AsyncClient) -> None:
    assert_problem(await ada.get("/api/v1/projects", headers={"x-long": "x" * 40_000}), 431, "headers_too_large")


async def test_request_ids_are_kept_or_made(client: httpx.AsyncClient) -> None:
    given = await client.get("/healthz", headers={"x-request-id": "my-request.1"})
    assert given.headers["x-request-id"] == "my-request.1"
    for bad in ("has space", "x" * 200, "ü"):
        made = await client.get("/healthz", headers={"x-request-id": bad.encode()})
        assert made.headers["x-request-id"].startswith("req_")


async def test_the_request_id_is_in_the_event(ada: httpx.AsyncClient) -> None:
    await ada.post("/api/v1/environments", json={"name": "traced"}, headers={"x-request-id": "trace-me"})
    events = (await ada.get("/api/v1/events", params={"action": "environment.created"})).json()["data"]
    assert events[0]["request_id"] == "trace-me"
    assert events[0]["actor"]["kind"] == "user"


# ---- health -----------------------------------------------------------------------------------------------------


async def test_liveness_and_readiness_differ(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["parts"] == {
        "control": "ok",
        "telemetry": "the telemetry store is starting: try again shortly",
        "spool": "ok",
        "worker": "ok",
    }


async def test_the_server_tells_of_itself(ada: httpx.AsyncClient) -> None:
    told = (await ada.get("/api/v1/server")).json()
    assert told["version"] and told["worker"]["state"] == "apart"
    assert told["accounting"]["pending"] == 0


async def test_metrics_need_a_key_that_may(server: Server, ada: httpx.AsyncClient) -> None:
    assert (await client_of(server).get("/metrics")).status_code == 401
    key = await make_key(ada, name="prometheus", scopes=["server.read"])
    async with client_of(server, headers={"authorization": f"Bearer {key['secret_key']}"}) as prometheus:
        text = (await prometheus.get("/metrics")).text
    assert 'octavo_requests_total{method="POST",route="/api/v1/session",status="200"}' in text
    assert "octavo_records_accepted_total 0" in text
    assert 'octavo_request_seconds_bucket{le="+Inf"}' in text


async def test_metrics_can_be_opened(tmp_path: Path) -> None:
    async with running(settings_of(tmp_path, metrics_public=True)) as server, client_of(server) as client:
        assert (await client.get("/metrics")).status_code == 200


# ---- the console's files ----------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "app-1a2b.js").write_text("import './x.js'")
    (tmp_path / "index.html").write_text(
        "<!doctype html><script>let a=1</script><script src=/assets/app-1a2b.js></script>"
    )
    (tmp_path / "favicon.svg").write_text("<svg/>")
    (tmp_path.parent / "secret.txt").write_text("not for you")
    return tmp_path


@pytest_asyncio.fixture(loop_scope="module")
async def pages(built: Path) -> AsyncIterator[httpx.AsyncClient]:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await httpx_404(send)

    async def httpx_404(send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(console.Console(refuse, built))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def test_assets_are_kept_for_good_and_pages_looked_up(pages: httpx.AsyncClient) -> None:
    asset = await pages.get("/assets/app-1a2b.js")
    assert "immutable" in asset.headers["cache-control"]
    assert "javascript" in asset.headers["content-type"]
    page = await pages.get("/")
    assert page.headers["cache-control"] == "no-cache"
    again = await pages.get("/", headers={"if-none-match": page.headers["etag"]})
    assert again.status_code == 304
    assert (await pages.get("/favicon.svg")).headers["content-type"].startswith("image/svg")


async def test_every_other_path_is_the_page(pages: httpx.AsyncClient) -> None:
    for path in ("/traces", "/traces/0af7?x=1", "/p/demo/settings", "/index.html"):
        answer = await pages.get(path)
        assert answer.status_code == 200 and answer.text.startswith("<!doctype html>")


async def test_what_is_missing_or_outside_is_not_served(pages: httpx.AsyncClient) -> None:
    for path in ("/assets/gone.js", "/api/x", "/v1/x"):
        assert (await pages.get(path)).status_code == 404
    for path in ("/..%2fsecret.txt", "/assets/..%2f..%2fsecret.txt", "/" + "x" * 5000):
        assert "not for you" not in (await pages.get(path)).text


async def test_inline_scripts_run_by_their_hash_only(pages: httpx.AsyncClient) -> None:
    policy = (await pages.get("/")).headers["content-security-policy"]
    assert "script-src 'self' 'sha256-" in policy and "unsafe-inline' 'unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_answers_of_the_api_cannot_be_framed_or_sniffed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


# ---- live -------------------------------------------------------------------------------------------------------


async def test_live_tells_of_new_records(tmp_path: Path) -> None:
    async with running(settings_of(tmp_path)) as server:
        heard = server.live.listen()
        assert (await anext(heard)).startswith("retry:")
        server.live.publish("health")
        assert await anext(heard) == 'data: {"kind":"health"}\n\n'
        server.rooms.spool.append_nowait("test", b"x")
        assert await anext(heard) == 'data: {"kind":"accounting"}\n\n'
    assert [event async for event in heard] == []


async def test_the_description_is_valid_json_and_told_to_all(client: httpx.AsyncClient) -> None:
    document = json.loads((await client.get("/api/v1/openapi.json")).content)
    assert document["openapi"].startswith("3.")
    assert "422" not in json.dumps(document["paths"])
