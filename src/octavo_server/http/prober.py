"""Tests a connection by asking the provider for its list of models, which costs nothing."""

from __future__ import annotations

import time
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, ConnectError, DecodeError, RequestError, RequestTimeoutError

from octavo_server.core.clock import Clock
from octavo_server.core.errors import OctavoError
from octavo_server.costs.model import Connection, Probe
from octavo_server.gateway.providers.registry import PROVIDERS

_TIMEOUT_S = 15
_MAX_BYTES = 4 << 20
_MAX_MODELS = 2000


class HttpProber:
    """Sends the probe of the connection's provider."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._client: Client = (
            ClientBuilder()
            .no_proxy()
            .connect_timeout(timedelta(seconds=5))
            .timeout(timedelta(seconds=_TIMEOUT_S))
            .build()
        )

    async def probe(self, connection: Connection) -> Probe:
        """What came of it; never raises for what the provider does."""
        provider = PROVIDERS[connection.provider]
        started = time.monotonic()
        try:
            asked = provider.probe(connection, self._clock.now())
            builder = self._client.request(asked.method, asked.url).headers(dict(asked.headers)).body_bytes(asked.body)
            response = await builder.build().send()
            body = bytes(await response.bytes())[:_MAX_BYTES]
        except OctavoError as error:
            return Probe(ok=False, message=error.message)
        except (RequestError, BuilderError) as error:
            return Probe(ok=False, latency_ms=_since(started), message=_reason(error))
        latency = _since(started)
        if response.status >= 300:
            failure = provider.failure(response.status, dict(response.headers), body)
            return Probe(ok=False, status=response.status, latency_ms=latency, message=failure.message)
        try:
            models = provider.models_in(body)
        except (OctavoError, ValueError, KeyError, TypeError):
            return Probe(
                ok=False,
                status=response.status,
                latency_ms=latency,
                message="The answer is no list of models; check the base URL.",
            )
        return Probe(
            ok=True, status=response.status, latency_ms=latency, message="It works.", models=tuple(models[:_MAX_MODELS])
        )

    async def close(self) -> None:
        await self._client.close()


def _reason(error: RequestError | BuilderError) -> str:
    if isinstance(error, RequestTimeoutError):
        return f"No answer within {_TIMEOUT_S} seconds."
    if isinstance(error, ConnectError):
        return "Nobody answers at the base URL; check host and port."
    if isinstance(error, DecodeError):
        return "The answer cannot be decoded; check the base URL."
    return "The request failed on the way; check the base URL."


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
