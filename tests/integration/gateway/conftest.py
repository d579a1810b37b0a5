"""A gateway in front of model servers that do as they are told: on a socket for the SDKs, in process for exactness."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.integration.gateway.in_process import InProcess, snapshot_of
from tests.integration.gateway_server import GatewayServer, ModelServer, chat_answer


@pytest.fixture(scope="session")
def model_servers() -> Iterator[tuple[ModelServer, ModelServer]]:
    models, spare = ModelServer(), ModelServer()
    yield models, spare
    models.close()
    spare.close()


@pytest.fixture(scope="session")
def gateway_server(model_servers: tuple[ModelServer, ModelServer]) -> Iterator[GatewayServer]:
    server = GatewayServer(*model_servers)
    yield server
    server.close()


@pytest.fixture
def models(model_servers: tuple[ModelServer, ModelServer]) -> ModelServer:
    """The model server, willing, nothing asked yet."""
    for server in model_servers:
        server.scripts = [lambda handler: handler.answer(200, chat_answer())]
        server.requests.clear()
        server.hung_up.clear()
    return model_servers[0]


@pytest.fixture
def spare(models: ModelServer, model_servers: tuple[ModelServer, ModelServer]) -> ModelServer:
    return model_servers[1]


@pytest.fixture
def gateway(gateway_server: GatewayServer, models: ModelServer, spare: ModelServer) -> GatewayServer:
    """The gateway on a socket, nothing recorded."""
    gateway_server.holder.swap(snapshot_of(models, spare))
    gateway_server.records.calls.clear()
    return gateway_server


@pytest.fixture
async def in_process(models: ModelServer, spare: ModelServer) -> AsyncIterator[InProcess]:
    gateway = InProcess(snapshot_of(models, spare))
    yield gateway
    await gateway.upstream.close()
