"""The worker process: keeps the telemetry store, drains the spool into it, and runs the durable workflows.

`octavo serve` starts one as its child. The child tells its parent on standard output, a line of JSON each, that it is
ready and where the telemetry store answers, or what troubles it; it ends when its standard input does, or its parent.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, NoReturn, Protocol

import orjson

from octavo_server.core import memory
from octavo_server.core.clock import SystemClock
from octavo_server.core.errors import OctavoError
from octavo_server.costs.runtime import normalise_usage
from octavo_server.costs.service.pricer import CurrentPrices
from octavo_server.gateway.messenger import Messenger
from octavo_server.gateway.upstream import Upstream
from octavo_server.governance.service import project_rules, retention_days
from octavo_server.governance.service.sessions import forget_expired
from octavo_server.settings import Settings, SettingsError
from octavo_server.stores import SchemaTooNew
from octavo_server.stores.control import ControlStore, normalise_url, sqlite_url
from octavo_server.stores.folder import control_url, media_folder
from octavo_server.stores.objects import BlobStore
from octavo_server.stores.secrets import SecretBox
from octavo_server.stores.spool import Entry, SpoolReader
from octavo_server.stores.telemetry import HttpTelemetry, Telemetry, migrate
from octavo_server.traces.model import ProjectRules
from octavo_server.traces.service import TraceIngest, Traces
from octavo_server.traces.service.alerts import Teller, Watch
from octavo_server.traces.service.media import forget_expired as forget_media
from octavo_server.traces.store import MIGRATIONS, SpanStore, SpanWriter
from octavo_server.traces.store.scores import ScoreStore

log = logging.getLogger("octavo.worker")

IDLE_S = 30.0
"""How long the drain sleeps when nothing comes; a commit to the spool wakes it at once."""
_RETRY_S = (0.2, 1.0, 5.0)
_BATCH_BYTES = 48 << 20
_GATHER_S = 0.3
"""The least time between the beginnings of two batches: a call after a pause is stored at once, and under load the store
gets few large inserts, of which each span costs a third of what it costs in small ones."""
_RULES_PAUSE_S = 5.0
_LAUNCH_AGAIN_S = 10.0


class Store(Protocol):
    """Puts a batch of the spool into the telemetry store, once however often it is called with the same token; says
    how many records are stored and how many were refused for good."""

    async def __call__(self, entries: Sequence[Entry], token: str) -> tuple[int, int]: ...


Step = Callable[[], int]


async def drain(reader: SpoolReader, store: Store, stopping: asyncio.Event, tell: Callable[[str], None]) -> None:
    """Moves what the spool has into the telemetry store until `stopping`. A batch that cannot be stored now is tried
    again for ever: nothing is skipped, and what comes meanwhile waits in the spool."""
    failures = 0
    while not stopping.is_set():
        began = time.monotonic()
        entries = await asyncio.to_thread(_wait_and_read, reader)
        if not entries:
            continue
        try:
            stored, rejected = await store(entries, reader.batch_token(entries))
        except OctavoError as error:
            tell(f"records wait: {error.message}")
            log.warning("%d entries wait: %s", len(entries), error.message)
        except Exception:
            tell("records wait: the worker failed to store them, see its log")
            log.exception("entries %d to %d cannot be stored", entries[0].seq, entries[-1].seq)
        else:
            await asyncio.to_thread(reader.acknowledge, entries[-1].seq, stored=stored, rejected=rejected)
            if failures:
                tell("")
            failures = 0
            await _wait(stopping, _GATHER_S - (time.monotonic() - began))
            continue
        pause = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
        failures += 1
        await _wait(stopping, pause)


def _wait_and_read(reader: SpoolReader) -> list[Entry]:
    return reader.read(_BATCH_BYTES) if reader.wait_for_work(IDLE_S) else []


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        pass


class Workflows:
    """DBOS on the control store's side: a SQLite file beside it, or the schema `dbos` in the same PostgreSQL."""

    def __init__(self, settings: Settings, retention: Mapping[str, Step]) -> None:
        from dbos import DBOS

        from octavo_server.governance.workflows import RETENTION_CRON, register_retention

        self._dbos = DBOS
        url = normalise_url(settings.database_url) or sqlite_url(settings.data_dir / "workflows.db")
        DBOS(
            config={
                "name": "octavo",
                "system_database_url": url,
                # One version for ever: a workflow begun before an upgrade is finished after it.
                "application_version": "1",
                "executor_id": socket.gethostname(),
                "log_level": "WARNING",
                "enable_otlp": False,
                "max_executor_threads": 8,
                # Nothing here waits for notifications yet; the schedules change only at a start.
                "notification_listener_polling_interval_sec": 30.0,
                "scheduler_polling_interval_sec": 300.0,
            }
        )
        self.retention = register_retention(retention)
        self._schedules: list[Any] = [
            {
                "schedule_name": "retention",
                "workflow_fn": self.retention,
                "schedule": RETENTION_CRON,
                "automatic_backfill": False,
            }
        ]

    def launch(self) -> None:
        """Starts the workflows, and goes on with those that a crash interrupted."""
        self._dbos.launch()
        self._dbos.apply_schedules(self._schedules)


def run(settings: Settings, *, embedded: bool) -> NoReturn:
    """Runs a worker until it is told to stop. `embedded`: as the child of `octavo serve`."""
    if not embedded and not settings.clickhouse_url:
        raise SettingsError("a worker apart needs a telemetry server that others reach too: set OCTAVO_CLICKHOUSE_URL")
    if embedded:
        _die_with_parent()
    try:
        asyncio.run(_run(settings, embedded=embedded))
    except SchemaTooNew as error:
        if not embedded:
            raise
        _tell({"message": error.message, "fatal": True})
        os._exit(1)
    # The stores are closed. DBOS would wait for its threads, half a minute at worst, and has no need to be told: what
    # it runs goes on at the next start, as after a crash.
    os._exit(0)


async def _run(settings: Settings, *, embedded: bool) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if embedded:
        threading.Thread(target=_watch_stdin, args=(loop, stopping), name="octavo-parent", daemon=True).start()
    tell = _tell if embedded else _log
    async with AsyncExitStack() as stack:
        telemetry = _open_telemetry(settings, stack)
        control = ControlStore(control_url(settings))
        stack.callback(control.close)
        await migrate(telemetry.engine, MIGRATIONS)
        tell({"ready": True, "url": telemetry.url, "token": telemetry.token})
        spans = SpanWriter(telemetry.engine)
        retention: dict[str, Step] = {
            "sessions": partial(forget_expired, control, SystemClock()),
            "traces": lambda: asyncio.run_coroutine_threadsafe(delete_expired(control, spans), loop).result(),
            "media": lambda: forget_media(
                control, BlobStore(media_folder(settings)), SystemClock(), retention_days(control)
            ),
        }
        threading.Thread(
            target=_start_workflows, args=(settings, retention), name="octavo-workflows", daemon=True
        ).start()
        reader = SpoolReader(settings.data_dir / "spool.db")
        stack.callback(reader.close)
        ingest = TraceIngest(
            spans,
            ScoreStore(telemetry.engine),
            normalise=normalise_usage,
            rules=_Rules(control).by_project,
            price=CurrentPrices(control, clock=SystemClock()).price_span,
        )
        watch = _watch_of(settings, control, telemetry.engine, stack)
        watching = loop.create_task(keep_watch(watch, stopping, every_s=settings.alerts_every_s))
        stack.callback(watching.cancel)
        waking = loop.create_task(_wake_at_the_end(reader, stopping))
        stack.callback(waking.cancel)
        await drain(reader, ingest.store, stopping, lambda message: tell({"message": message}))


async def keep_watch(watch: Watch, stopping: asyncio.Event, *, every_s: float) -> None:
    """Looks at the alert rules, and tells what is due, until `stopping`."""
    while not stopping.is_set():
        await _wait(stopping, every_s)
        try:
            await watch.look()
            await watch.tell()
        except OctavoError as error:
            log.warning("alerts were not looked at: %s", error.message)


def _watch_of(settings: Settings, control: ControlStore, engine: Telemetry, stack: AsyncExitStack) -> Watch:
    clock = SystemClock()
    upstream = Upstream(public_only=not settings.upstream_private)
    stack.push_async_callback(upstream.close)
    messenger = Messenger(upstream, smtp_url=settings.smtp_url, smtp_from=settings.smtp_from)
    box = SecretBox.open_or_create(settings.data_dir / "secret.key", given=settings.secret_key)
    teller = Teller(box, messenger.post, messenger.mail, clock)
    return Watch(control, Traces(SpanStore(engine), clock.now), teller, clock)


async def delete_expired(control: ControlStore, spans: SpanWriter) -> int:
    """Deletes what each project no longer keeps, and says how many spans that was."""
    now = SystemClock().now()
    days = await asyncio.to_thread(retention_days, control)
    return sum([await spans.delete_older(project, now - timedelta(days=kept)) for project, kept in days.items()])


async def _wake_at_the_end(reader: SpoolReader, stopping: asyncio.Event) -> None:
    await stopping.wait()
    reader.wake()


class _Rules:
    """What projects keep, looked up for each batch: what came after a mask was set is masked. A batch does not wait long
    for a control store that is away."""

    def __init__(self, control: ControlStore) -> None:
        self._control = control
        self._rules: dict[str, ProjectRules] | None = None
        self._ask_again = 0.0

    def by_project(self) -> dict[str, ProjectRules]:
        """Raises Unavailable while the control store has not answered once: what a project masks is not known then."""
        if self._rules is None or time.monotonic() >= self._ask_again:
            try:
                self._rules = project_rules(self._control)
            except OctavoError as error:
                if self._rules is None:
                    raise
                log.warning("the projects' rules cannot be read: %s", error.message)
                self._ask_again = time.monotonic() + _RULES_PAUSE_S
        return self._rules


class _Opened(NamedTuple):
    """The telemetry store, and where others find it."""

    engine: Telemetry
    url: str
    token: str


def _open_telemetry(settings: Settings, stack: AsyncExitStack) -> _Opened:
    if settings.clickhouse_url:
        client = HttpTelemetry.from_url(settings.clickhouse_url)
        stack.push_async_callback(client.close)
        return _Opened(client, "", "")
    # chDB and its server are for the embedded store only.
    from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
    from octavo_server.stores.telemetry_http import TelemetryServer

    engine = EmbeddedTelemetry(settings.data_dir / "telemetry")
    stack.push_async_callback(engine.close)
    token = secrets.token_urlsafe(32)
    server = TelemetryServer(engine, token=token)
    stack.callback(server.close)
    return _Opened(engine, server.url, token)


def _start_workflows(settings: Settings, retention: Mapping[str, Step]) -> None:
    # In a thread: DBOS takes most of a second to import, and the telemetry store must not wait for it.
    workflows = Workflows(settings, retention)
    while True:
        try:
            workflows.launch()
        except Exception as error:  # noqa: BLE001 (the worker's loop: whatever DBOS raises, it is tried again)
            log.warning("the workflows cannot start yet: %s", str(error).partition("\n")[0])
            time.sleep(_LAUNCH_AGAIN_S)
        else:
            memory.settle()
            return


def _die_with_parent() -> None:
    """Asks the kernel to end this process with its parent; `_watch_stdin` does it where there is no such thing."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _watch_stdin(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    loop.call_soon_threadsafe(stopping.set)


def _tell(said: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def _log(said: dict[str, Any]) -> None:
    log.info("ready" if said.get("ready") else said.get("message") or "records flow again")
