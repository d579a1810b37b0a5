"""Tests a connection by asking the provider for its list of models, which costs nothing."""

from __future__ import annotations

import time

from octavo_server.core.clock import Clock
from octavo_server.core.errors import OctavoError
from octavo_server.costs.model import Connection, Probe, Timeouts
from octavo_server.gateway.providers.registry import PROVIDERS
from octavo_server.gateway.upstream import Upstream

_TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=10.0, total_s=15.0)
_MAX_MODELS = 2000


class HttpProber:
    """Sends the probe of the connection's provider."""

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        self._upstream = upstream
        self._clock = clock

    async def probe(self, connection: Connection) -> Probe:
        """What came of it; never raises for what the provider does."""
        provider = PROVIDERS[connection.provider]
        started = time.monotonic()
        try:
            reply = await self._upstream.send(provider.probe(connection, self._clock.now()), _TIMEOUTS)
        except OctavoError as error:
            return Probe(ok=False, latency_ms=_since(started), message=error.message)
        latency_ms = _since(started)
        if reply.status >= 300:
            failure = provider.failure(reply.status, reply.headers, reply.body)
            return Probe(ok=False, status=reply.status, latency_ms=latency_ms, message=failure.message)
        try:
            models = provider.models_in(reply.body)
        except (OctavoError, ValueError, KeyError, TypeError):
            message = "The answer is no list of models; check the base URL."
            return Probe(ok=False, status=reply.status, latency_ms=latency_ms, message=message)
        return Probe(
            ok=True,
            status=reply.status,
            latency_ms=latency_ms,
            message=f"{len(models)} models",
            models=tuple(models[:_MAX_MODELS]),
        )


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
