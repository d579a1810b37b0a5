"""The local model's process: started when a connection leads to it, kept alive, stopped with the server."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

from octavo_server.gateway.snapshot import Snapshot, SnapshotHolder
from octavo_server.http.supervisor import Supervisor
from octavo_server.settings import Settings, child_environment

log = logging.getLogger("octavo.local_model")


class LocalModel:
    """Answers at `url`, which is known from the start, as soon as some connection of a snapshot has that address."""

    def __init__(self, settings: Settings) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        self._supervisor = Supervisor(
            [sys.executable, "-m", "octavo_server.main", "local-model", "--port", str(port)],
            child_environment(settings),
            on_ready=lambda url, token: None,
            on_change=self._changed,
            name="local model",
        )
        self._said = ""
        self._started = False

    def follow(self, snapshots: SnapshotHolder) -> None:
        """Looks at each snapshot for a connection that wants the model; called in the event loop."""
        loop = asyncio.get_running_loop()

        def look(snapshot: Snapshot) -> None:
            if not self._started and any(one.base_url == self.url for one in snapshot.connections.values()):
                loop.call_soon_threadsafe(self._start)

        snapshots.on_swap(look)
        look(snapshots.current)

    async def stop(self) -> None:
        """Ends the process, if it was started."""
        if self._started:
            await self._supervisor.stop()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._supervisor.start()

    def _changed(self) -> None:
        message = self._supervisor.status.message
        if message and message != self._said:
            log.warning("%s", message)
        self._said = message


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
