"""What the tests of several rooms' routes start from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.integration.http_server import client_of, log_in, make_project, running, settings_of


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings_of(tmp_path)) as server, client_of(server) as client:
        await log_in(client)
        await make_project(client)
        yield client
