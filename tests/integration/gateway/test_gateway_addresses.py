"""Where a call may lead when users are not trusted to name private addresses."""

from __future__ import annotations

import pytest
from tests.integration.gateway_server import ModelServer

from octavo_server.core.errors import UpstreamError
from octavo_server.costs.model import Timeouts
from octavo_server.gateway.providers.base import UpstreamRequest
from octavo_server.gateway.upstream import Upstream


async def send(upstream: Upstream, url: str) -> int:
    try:
        request = UpstreamRequest(method="POST", url=f"{url}/chat/completions", headers={}, body=b"{}")
        return (await upstream.send(request, Timeouts())).status
    finally:
        await upstream.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_name_is_looked_at_again_when_it_is_called(models: ModelServer, host: str) -> None:
    """It may have been public when its connection was saved."""
    with pytest.raises(UpstreamError, match="not on the public internet"):
        await send(Upstream(public_only=True), models.url.replace("127.0.0.1", host))

    assert models.requests == []


async def test_this_servers_own_model_is_no_stranger(models: ModelServer) -> None:
    assert await send(Upstream(public_only=True, own_url=models.url), models.url) == 200


async def test_private_addresses_are_called_by_default(models: ModelServer) -> None:
    assert await send(Upstream(), models.url) == 200
