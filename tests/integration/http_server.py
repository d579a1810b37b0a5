"""A whole server in this process, without its worker, and clients that log in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from octavo_server.core.clock import SystemClock
from octavo_server.http.wiring import Server
from octavo_server.settings import Settings

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
URL = "http://octavo.test"


def settings_of(folder: Path, **fields: Any) -> Settings:
    """Settings of a server in `folder` that starts no worker."""
    return Settings(**{"data_dir": folder, "admin_email": EMAIL, "admin_password": PASSWORD, "worker": False, **fields})


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """A server from its opening to its orderly end."""
    server = Server(settings, SystemClock())
    server.open()
    await server.start()
    try:
        yield server
    finally:
        await server.stop(_nothing)


async def _nothing() -> None:
    pass


def client_of(server: Server, **options: Any) -> httpx.AsyncClient:
    """A client of the server's front door; errors of the application come as answers."""
    transport = httpx.ASGITransport(server.front, raise_app_exceptions=False, client=("192.0.2.1", 5000))
    return httpx.AsyncClient(transport=transport, base_url=URL, **options)


async def log_in(client: httpx.AsyncClient, email: str = EMAIL, password: str = PASSWORD) -> dict[str, Any]:
    """Logs in; the client sends the CSRF token from now on."""
    answer = await client.post("/api/v1/session", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    session: dict[str, Any] = answer.json()
    client.headers["x-octavo-csrf"] = session["csrf_token"]
    return session


async def make_project(client: httpx.AsyncClient, name: str = "Demo") -> dict[str, Any]:
    """Makes a project, which the client works in from now on."""
    answer = await client.post("/api/v1/projects", json={"name": name})
    assert answer.status_code == 201, answer.text
    project: dict[str, Any] = answer.json()
    client.headers["x-octavo-project"] = project["slug"]
    return project


async def make_key(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Makes an API key of the client's project."""
    answer = await client.post("/api/v1/api-keys", json={"name": "app", "environment": "production", **fields})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key
