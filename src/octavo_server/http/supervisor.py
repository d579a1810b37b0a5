"""The worker process that `octavo serve` starts: kept alive, told where the telemetry store answers, stopped last."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from octavo_server.core.errors import OctavoError

log = logging.getLogger("octavo.worker")

_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_SETTLED_S = 60.0
"""A worker that lived this long has its failures forgiven."""
_STOP_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """How the worker does. `state`: starting, ready, down (between two starts), stopped, or apart (it runs on its
    own)."""

    state: str
    pid: int | None = None
    restarts: int = 0
    message: str = ""


class ChildUnusable(OctavoError):
    """The child cannot work with the stores there are; starting it again would not help."""

    code = "schema_too_new"


class Supervisor:
    """Runs `command` and starts it again when it dies. The child says on its output, in lines of JSON, that it is
    ready (`{"ready": true, "url": …, "token": …}`) or what troubles it (`{"message": …}`, with `"fatal": true` when a new start
    would not help); it ends when its input does."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        on_ready: Callable[[str, str], None],
        on_change: Callable[[], None],
        name: str = "worker",
    ) -> None:
        self._command = command
        self._environment = environment
        self._on_ready = on_ready
        self._on_change = on_change
        self._name = name
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stopping = False
        self._fatal = ""
        self.status = WorkerStatus(state="starting")

    def start(self) -> None:
        """Begins; `wait_ready` tells when the worker is there."""
        self._task = asyncio.create_task(self._keep_alive(), name="octavo-supervisor")

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether the worker became ready in time. Raises ChildUnusable when it never will."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout_s)
        except TimeoutError:
            return False
        if self._fatal:
            raise ChildUnusable(self._fatal)
        return True

    async def stop(self) -> None:
        """Lets the worker finish what it is at, and ends it when that takes too long."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._tell(state="stopped", pid=None)

    async def _keep_alive(self) -> None:
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping or self._fatal:
                self._ready.set()
                return
            failures = 1 if time.monotonic() - started > _SETTLED_S else failures + 1
            pause = _BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1]
            log.warning("the %s ended (%s); starting it again in %g s", self._name, _ending(code), pause)
            self._ready.clear()
            self._on_ready("", "")
            self._tell(state="down", pid=None, restarts=self.status.restarts + 1, message=f"ended: {_ending(code)}")
            await asyncio.sleep(pause)

    async def _run_once(self) -> int:
        # In a session of its own: a Ctrl-C at the terminal is for the parent, which stops the worker in good order.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=dict(self._environment),
            start_new_session=True,
        )
        self._tell(state="starting", pid=self._process.pid)
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._hear(line)
        return await self._process.wait()

    def _hear(self, line: bytes) -> None:
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError:
            log.info("%s: %s", self._name, line.decode(errors="replace").rstrip())
            return
        if said.get("ready"):
            self._on_ready(said["url"], said["token"])
            self._tell(state="ready", message="")
            self._ready.set()
        else:
            message = str(said.get("message", ""))
            self._fatal = message if said.get("fatal") else ""
            self._tell(message=message)

    def _tell(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]
        self._on_change()


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
