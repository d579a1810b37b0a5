"""Counters shared by all replicas, in Valkey. Each verb is one script, so it is atomic over all clients."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

from valkey.asyncio import Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import ExponentialBackoff
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import TimeoutError as ValkeyTimeoutError
from valkey.exceptions import ValkeyError

from octavo_server.core.errors import Unavailable
from octavo_server.stores.counters import Taken

_TRY_ADD = """
local total = tonumber(redis.call('GET', KEYS[1]) or '0')
if ARGV[3] ~= '' and total + tonumber(ARGV[1]) > tonumber(ARGV[3]) then return {0, total} end
local fresh = redis.call('EXISTS', KEYS[1]) == 0
total = redis.call('INCRBY', KEYS[1], ARGV[1])
if fresh and ARGV[2] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {1, total}
"""
_PREFIX = "octavo:counter:"


class CountersUnavailable(Unavailable):
    """Valkey does not answer."""

    code = "counters_unavailable"


class ValkeyCounters:
    """Counters at `url` (`valkey://host:6379/0`)."""

    def __init__(self, url: str) -> None:
        self._client = Valkey.from_url(
            url,
            socket_timeout=2.0,
            socket_connect_timeout=2.0,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2),
            retry_on_error=[ValkeyConnectionError, ValkeyTimeoutError],
        )

    async def add(self, key: str, amount: int, *, window_s: float | None = None) -> int:
        return (await self._run(key, amount, "", window_s)).total

    async def try_add(self, key: str, amount: int, *, limit: int, window_s: float | None = None) -> Taken:
        return await self._run(key, amount, str(limit), window_s)

    async def get(self, key: str) -> int:
        try:
            return int(await self._client.get(_PREFIX + key) or 0)
        except ValkeyError as error:
            raise _unavailable() from error

    async def close(self) -> None:
        await self._client.aclose()

    async def _run(self, key: str, amount: int, limit: str, window_s: float | None) -> Taken:
        window_ms = "" if window_s is None else str(max(1, round(window_s * 1000)))
        try:
            reply = self._client.eval(_TRY_ADD, 1, _PREFIX + key, str(amount), window_ms, limit)
            ok, total = await cast(Awaitable[list[int]], reply)
        except ValkeyError as error:
            raise _unavailable() from error
        return Taken(bool(ok), int(total))


def _unavailable() -> CountersUnavailable:
    return CountersUnavailable("Valkey, which holds the counters, does not answer: check OCTAVO_VALKEY_URL")
