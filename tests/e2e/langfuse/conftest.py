"""One Octavo for all the tests of Langfuse's SDKs, with a model server behind its gateway."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from langfuse import Langfuse
from langfuse.api import LangfuseAPI

from tests.e2e.stack import Admin, Stack
from tests.integration.gateway_server import ModelServer, chat_answer


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    one = Stack(tmp_path_factory.mktemp("langfuse") / "data")
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def models() -> Iterator[ModelServer]:
    server = ModelServer()
    server.scripts = [lambda handler: handler.answer(200, chat_answer())]
    yield server
    server.close()


@pytest.fixture(scope="session")
def key(stack: Stack, models: ModelServer) -> dict[str, str]:
    console = stack.admin()
    console.new_project("langfuse", models.url)
    (connection,) = console.call("GET", "/connections")["data"]
    console.call("PATCH", f"/connections/{connection['id']}", {"prices_as": "openai"})
    made: dict[str, str] = console.call("POST", "/api-keys", {"name": "sdk", "environment": "production"})
    console.close()
    return made


@pytest.fixture(scope="session")
def admin(stack: Stack, key: dict[str, str]) -> Iterator[Admin]:
    console = Admin(stack.url, "langfuse")
    yield console
    console.close()


@pytest.fixture(scope="session")
def langfuse(stack: Stack, key: dict[str, str]) -> Iterator[Langfuse]:
    client = Langfuse(public_key=key["public_key"], secret_key=key["secret_key"], base_url=stack.url)
    yield client
    client.shutdown()


@pytest.fixture(scope="session")
def deleter(stack: Stack, admin: Admin) -> Iterator[LangfuseAPI]:
    """The API with a key that may delete traces."""
    key = admin.call("POST", "/api-keys", {"name": "deleter", "environment": "production", "scopes": ["traces.delete"]})
    with httpx.Client() as http:
        yield LangfuseAPI(base_url=stack.url, username=key["public_key"], password=key["secret_key"], httpx_client=http)
