"""Notifications for open consoles: that traces came in, that the accounting moved, that the health changed. While
nobody listens nothing is polled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from anyio import to_thread

PERIOD_S = 1.0
_SILENCE_S = 15.0
_BUFFER = 16


class Live:
    """Fans notifications out to listeners. `look` reads the accounting (blocking, cheap): two different answers mean
    that something moved; its second number counts what is stored."""

    def __init__(self, look: Callable[[], tuple[int, ...]]) -> None:
        self._look = look
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._task: asyncio.Task[None] | None = None

    def publish(self, kind: str) -> None:
        """Tells all listeners; one that does not keep up misses some, which is no loss: they carry no content."""
        for listener in self._listeners:
            with suppress(asyncio.QueueFull):
                listener.put_nowait(kind)

    async def listen(self) -> AsyncIterator[str]:
        """Server-sent events until the server stops or the client leaves."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(_BUFFER)
        self._listeners.add(queue)
        if self._task is None:
            self._task = asyncio.create_task(self._poll(), name="octavo-live")
        try:
            yield "retry: 2000\n\n"
            while True:
                try:
                    kind = await asyncio.wait_for(queue.get(), _SILENCE_S)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if kind is None:
                    return
                yield f'data: {{"kind":"{kind}"}}\n\n'
        finally:
            self._listeners.discard(queue)

    async def close(self) -> None:
        """Ends all streams."""
        for listener in self._listeners:
            while listener.full():
                listener.get_nowait()
            listener.put_nowait(None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _poll(self) -> None:
        seen = await to_thread.run_sync(self._look)
        while self._listeners:
            await asyncio.sleep(PERIOD_S)
            now = await to_thread.run_sync(self._look)
            if now != seen:
                self.publish("accounting")
                if now[1] != seen[1]:
                    self.publish("traces")
                seen = now
        self._task = None
