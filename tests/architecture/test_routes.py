"""Every route says who may call it, is documented, and `openapi.json` is what the code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from octavo_server.edge.access import PERMISSION_KEY, Permission, allows
from octavo_server.http.app import build_app, rules
from octavo_server.http.auth import UndeclaredRoute
from octavo_server.http.wiring import openapi_text

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def text() -> str:
    return openapi_text()


@pytest.fixture(scope="module")
def operations(text: str) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in json.loads(text)["paths"].items()
        for method, operation in methods.items()
    }


def test_the_stored_description_is_the_present_one(text: str) -> None:
    stored = (ROOT / "openapi.json").read_text()
    assert stored == text, "openapi.json is stale: run `make openapi`"


def test_the_description_is_the_same_every_time(text: str) -> None:
    assert openapi_text() == text


def test_every_route_declares_a_known_permission(operations: dict[str, dict[str, Any]]) -> None:
    assert len(operations) > 30
    for name, operation in operations.items():
        assert Permission(operation[PERMISSION_KEY]), name


def test_public_routes_are_few_and_known(operations: dict[str, dict[str, Any]]) -> None:
    public = {name for name, operation in operations.items() if operation[PERMISSION_KEY] == Permission.PUBLIC}
    assert public == {"POST /api/v1/session", "GET /healthz", "GET /readyz"}


def test_a_changing_route_asks_for_more_than_a_login(operations: dict[str, dict[str, Any]]) -> None:
    own_affairs = {"DELETE /api/v1/session", "POST /api/v1/session/password"}
    for name, operation in operations.items():
        if not name.startswith("GET ") and operation[PERMISSION_KEY] == Permission.ANY:
            assert name in own_affairs, name


def test_every_route_is_documented(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        assert operation.get("description", "").strip(), f"{name} has no docstring, which is its reference"


def test_operation_ids_are_unique(operations: dict[str, dict[str, Any]]) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))


def test_an_undeclared_route_keeps_the_server_from_starting() -> None:
    router = APIRouter()

    @router.get("/forgotten")
    def forgotten() -> None:
        """Says not who may call it."""

    with pytest.raises(UndeclaredRoute, match="/api/v1/forgotten"):
        rules(build_app([router], [], version="0"))


def test_declared_routes_give_their_rules() -> None:
    router = APIRouter()

    @router.get("/things/{thing_id}", **allows(Permission.TRACES_READ))
    def read_thing(thing_id: str) -> None:
        """One thing."""

    rule = next(rule for rule in rules(build_app([router], [], version="0")) if "things" in rule.path)
    assert (rule.path, rule.permission) == ("/api/v1/things/{thing_id}", Permission.TRACES_READ)
    assert rule.pattern.match("/api/v1/things/7")
