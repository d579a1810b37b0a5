"""`octavo serve`: one server on one data folder, from the lock to the last record."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop

from octavo_server.core import memory
from octavo_server.core.clock import SystemClock
from octavo_server.core.errors import Unavailable
from octavo_server.http.listener import Listener
from octavo_server.http.wiring import Server
from octavo_server.settings import Settings, SettingsError
from octavo_server.stores.folder import hold_folder

log = logging.getLogger("octavo")

WORKER_START_S = 20.0
_STOP_S = 1.5
"""How long open requests have to finish when the server stops."""


def serve(settings: Settings, *, started: float, on_ready: Callable[[], None] | None = None) -> int:
    """Runs until Ctrl-C or SIGTERM, and returns the exit code. `on_ready` is called once it answers. Raises OctavoError for what keeps it from starting."""
    if not settings.worker and not settings.clickhouse_url:
        raise SettingsError("OCTAVO_WORKER=false: expected OCTAVO_CLICKHOUSE_URL too, as a worker apart shares no chDB")
    lock = hold_folder(settings.data_dir)
    try:
        _check_port(settings)
        server = Server(settings, SystemClock())
        server.open()
        uvloop.run(_run(settings, server, started, on_ready))
    finally:
        lock.close()
    return 0


async def _run(settings: Settings, server: Server, started: float, on_ready: Callable[[], None] | None) -> None:
    listener = Listener(server.front, settings.host, settings.port)
    stopping = asyncio.Event()
    _on_signals(stopping)
    await server.start()
    try:
        await listener.start()
        if not await _announced(settings, server, started, stopping):
            return
        if on_ready is not None:
            on_ready()
        memory.settle()
        await stopping.wait()
    finally:
        await server.stop(partial(listener.stop, _STOP_S))


async def _announced(settings: Settings, server: Server, started: float, stopping: asyncio.Event) -> bool:
    """Whether the server came up; then the line that says so is printed."""
    ready = asyncio.create_task(server.wait_ready(WORKER_START_S))
    await _first(stopping.wait(), ready)
    if stopping.is_set():
        ready.cancel()
        return False
    for line in server.greetings:
        _say(line)
    late = "" if ready.result() else "; the telemetry store is still starting"
    _say(f"Octavo is ready at {base_url(settings)} (started in {time.monotonic() - started:.1f} s{late})")
    return True


async def _first(*waiting: Awaitable[object]) -> None:
    """Returns when the first of these has ended; those made here are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in waiting]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task, given in zip(tasks, waiting, strict=True):
        if task is not given:
            task.cancel()


def _on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def heard(number: int) -> None:
        if stopping.is_set():
            # The worker ends with this process; the spool keeps what was acknowledged.
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard, number)


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): "
                "stop what listens there, or use --port"
            ) from None


def base_url(settings: Settings) -> str:
    """Where people reach this server."""
    if settings.public_url:
        return settings.public_url
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
