"""The room's routes through HTTP: shapes, refusals, and that no secret ever comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from octavo_server.core.clock import SystemClock
from octavo_server.core.errors import OctavoError
from octavo_server.costs import store as tables
from octavo_server.costs.model import Connection, OptionField, Probe, ProviderKind
from octavo_server.costs.routes import build_router
from octavo_server.costs.service import Costs
from octavo_server.edge.access import PERMISSION_KEY, Permission, Principal
from octavo_server.stores.control import ControlStore, metadata, sqlite_url

SECRET = "sk-very-secret-indeed-4711"
PROVIDERS = (
    ProviderKind(
        kind="openai",
        title="OpenAI",
        default_base_url="https://api.openai.com/v1",
        models=("gpt-*",),
        options=(OptionField(name="headers", title="Extra headers", kind="map"),),
    ),
    ProviderKind(kind="vllm", title="vLLM", default_base_url="http://127.0.0.1:8000/v1", needs_secret=False),
)


class Box:
    """Encrypts under a key of the test's own; the context goes inside."""

    def __init__(self) -> None:
        self._cipher = Fernet(Fernet.generate_key())

    def seal(self, plain: bytes, context: str) -> bytes:
        return self._cipher.encrypt(context.encode() + b"\n" + plain)

    def open(self, sealed: bytes, context: str) -> bytes:
        said, _, plain = self._cipher.decrypt(sealed).partition(b"\n")
        assert said.decode() == context
        return plain


class Answering:
    async def probe(self, connection: Connection) -> Probe:
        assert connection.secret == SECRET
        return Probe(ok=True, status=200, latency_ms=12, message="2 models", models=("gpt-x", "gpt-y"))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    assert tables
    control = ControlStore(sqlite_url(tmp_path / "control.db"))
    metadata.create_all(control.engine)
    costs = Costs(
        control, secrets=Box(), clock=SystemClock(), providers=PROVIDERS, prober=Answering(), private_allowed=True
    )
    app = FastAPI()
    app.include_router(build_router(costs))

    @app.middleware("http")
    async def identify(request: Request, call_next: Any) -> Any:
        request.state.principal = Principal(
            kind="user",
            id="usr_1",
            name="Ada",
            project_id=request.headers.get("x-octavo-project", "prj_a"),
            environment=None,
            permissions=frozenset(Permission),
        )
        return await call_next(request)

    @app.exception_handler(OctavoError)
    async def refuse(request: Request, error: OctavoError) -> JSONResponse:
        return JSONResponse({"code": error.code, "detail": error.message, "param": error.param}, error.status)

    with TestClient(app) as test_client:
        yield test_client
    control.close()


def make(client: TestClient, **fields: Any) -> dict[str, Any]:
    body = {"name": "openai", "provider": "openai", "secret": SECRET, **fields}
    answer = client.post("/connections", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_connection_comes_back_without_its_secret_everywhere(client: TestClient) -> None:
    made = make(client, options={"headers": {"X-Key": "hidden-value"}})
    assert made["has_secret"] is True
    assert (made["secret_last4"], made["secret_options"], made["options"]) == ("4711", ["headers"], {})
    answers = [
        client.get("/connections"),
        client.get(f"/connections/{made['id']}"),
        client.patch(f"/connections/{made['id']}", json={"models": ["gpt-4*"]}),
        client.post(f"/connections/{made['id']}/test"),
        client.get("/models"),
        client.post("/connections", json={"name": "openai", "provider": "openai", "secret": SECRET}),
        client.post("/connections", json={"name": "Bad Name", "provider": "openai", "secret": SECRET}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 409, 400]
    assert not any("very-secret" in answer.text or "hidden-value" in answer.text for answer in answers)
    assert answers[3].json() == {
        "ok": True,
        "status": 200,
        "latency_ms": 12,
        "message": "2 models",
        "models": ["gpt-x", "gpt-y"],
    }
    assert client.get(f"/connections/{made['id']}").json()["known_models"] == ["gpt-x", "gpt-y"]


def test_the_catalogue_tells_the_form_its_fields(client: TestClient) -> None:
    listed = client.get("/providers").json()["data"]
    assert [one["kind"] for one in listed] == ["openai", "vllm"]
    assert listed[0]["options"][0] == {
        "name": "headers",
        "title": "Extra headers",
        "help": "",
        "kind": "map",
        "choices": [],
        "default": "",
        "required": False,
    }


def test_a_route_goes_round(client: TestClient) -> None:
    connection = make(client)
    body = {"pattern": "smart", "targets": [{"connection_id": connection["id"], "model": "gpt-4.1-mini"}]}
    made = client.post("/routes", json=body).json()
    assert made["targets"] == [{"connection_id": connection["id"], "model": "gpt-4.1-mini", "weight": 1}]
    assert made["timeouts"] == {"connect_s": 5.0, "first_byte_s": 120.0, "total_s": 600.0}
    changed = client.patch(f"/routes/{made['id']}", json={"strategy": "weighted", "retries": 0}).json()
    assert (changed["strategy"], changed["retries"], changed["pattern"]) == ("weighted", 0, "smart")
    assert client.get("/routes").json()["data"] == [changed]
    assert client.delete(f"/connections/{connection['id']}").status_code == 409
    assert client.delete(f"/routes/{made['id']}").status_code == 204
    assert client.delete(f"/routes/{made['id']}").status_code == 404
    assert client.delete(f"/connections/{connection['id']}").status_code == 204


def test_money_is_decimal_text_both_ways(client: TestClient) -> None:
    rates = {
        "input": "2.123456789",
        "output": "10",
        "cache_read": "0",
        "request": "0.005",
        "details": {"web_searches": "10000"},
        "tiers": [
            {"above": 400_000, "rates": {"input": "6", "output": "20"}},
            {"above": 200_000, "rates": {"input": "4.5", "output": "15"}},
        ],
    }
    made = client.post("/price-rules", json={"provider": "openai", "model": "gpt-*", "rates": rates}).json()
    kept = made["rates"]
    assert (kept["input"], kept["output"], kept["cache_read"], kept["cache_write"]) == ("2.123456789", "10", "0", None)
    assert (kept["request"], kept["details"]) == ("0.005", {"web_searches": "10000"})
    assert [(tier["above"], tier["rates"]["input"]) for tier in kept["tiers"]] == [(200_000, "4.5"), (400_000, "6")]
    assert client.get("/price-rules").json()["data"] == [made]
    assert client.delete(f"/price-rules/{made['id']}").status_code == 204


@pytest.mark.parametrize(
    "rates",
    [
        {"input": 2.5},
        {"input": "-1"},
        {"input": "1e3"},
        {"input": "0.0000000001"},
        {"input": "12345678"},
        {"input": "NaN"},
        {"details": {"nonsense": "1"}},
        {"nonsense": "1"},
        {"tiers": [{"above": 1, "rates": {"tiers": []}}]},
    ],
)
def test_a_rate_that_is_no_decimal_text_is_refused(client: TestClient, rates: dict[str, Any]) -> None:
    answer = client.post("/price-rules", json={"model": "m", "rates": rates})
    assert answer.status_code in (400, 422)


def test_prices_are_searched_by_pages(client: TestClient) -> None:
    first = client.get("/prices", params={"provider": "openai", "limit": 3}).json()
    assert len(first["data"]) == 3 and first["next_cursor"]
    second = client.get("/prices", params={"provider": "openai", "limit": 3, "cursor": first["next_cursor"]}).json()
    assert not {one["model"] for one in first["data"]} & {one["model"] for one in second["data"]}
    mini = client.get("/prices", params={"provider": "openai", "model": "gpt-4.1-mini"}).json()
    assert (mini["data"][0]["rates"]["input"], mini["data"][0]["source"], mini["next_cursor"]) == (
        "0.4",
        "shipped",
        None,
    )
    assert client.get("/prices", params={"cursor": "rubbish!"}).status_code == 400
    assert client.get("/prices", params={"cursor": "ImEi"}).status_code == 400
    everything = client.get("/prices", params={"limit": 1000})
    assert all("e" not in (one["rates"]["input"] or "") for one in everything.json()["data"])


def test_models_tell_unknown_prices_from_zero(client: TestClient) -> None:
    make(client, name="gpu", provider="vllm", secret="", models=["llama", "mixtral"])
    make(client, name="free", provider="vllm", secret="", models=["tiny"], prices_as="free")
    listed = {one["model"]: one for one in client.get("/models").json()["data"]}
    assert (listed["llama"]["rates"], listed["llama"]["price_source"]) == (None, "")
    assert (listed["tiny"]["rates"]["input"], listed["tiny"]["price_source"]) == ("0", "free")


@pytest.mark.parametrize("path", ["/connections/%00", "/connections/con_none", "/routes/%00", "/price-rules/%00"])
def test_an_id_that_is_none_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path) if "connections" in path else client.delete(path)
    assert answer.status_code == 404


def test_every_route_declares_its_permission(client: TestClient) -> None:
    paths = json.loads(client.get("/openapi.json").text)["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert len(operations) == 16
    assert all(operation[PERMISSION_KEY] for operation in operations)
    assert all(operation.get("summary") and operation.get("description") for operation in operations)
