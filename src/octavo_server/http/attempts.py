"""Login attempts, counted where all counters are."""

from __future__ import annotations

from functools import partial

from anyio import from_thread

from octavo_server.stores.counters import Counters


class CountedAttempts:
    """`AttemptCounter` for handlers that run in a thread of the event loop that the counters belong to."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def add(self, name: str, window_s: int) -> int:
        """One more; how many there are in the window."""
        return from_thread.run(partial(self._counters.add, name, 1, window_s=window_s))

    def clear(self, name: str) -> None:
        """Forgets them."""
        from_thread.run(self._clear, name)

    async def _clear(self, name: str) -> None:
        await self._counters.add(name, -await self._counters.get(name))
