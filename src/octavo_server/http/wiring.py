"""Builds the server once: settings → stores → rooms → gateway → the application in front of them all."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, FastAPI

from octavo_server.core.clock import Clock, SystemClock
from octavo_server.core.errors import OctavoError, Unavailable
from octavo_server.costs.model import OptionField, ProviderKind
from octavo_server.costs.routes import build_router as costs_router
from octavo_server.costs.runtime import ShippedTable
from octavo_server.costs.service import Costs
from octavo_server.costs.service.addresses import Addresses, resolve_host
from octavo_server.evals.routes import build_datasets_router, build_langfuse_datasets_router
from octavo_server.evals.service.datasets import Datasets
from octavo_server.evals.service.harvest import Harvest
from octavo_server.evals.service.langfuse import LangfuseDatasets
from octavo_server.gateway.app import Gateway
from octavo_server.gateway.messenger import Messenger
from octavo_server.gateway.providers.base import Provider
from octavo_server.gateway.providers.registry import PROVIDERS
from octavo_server.gateway.snapshot import SnapshotHolder
from octavo_server.gateway.upstream import Upstream
from octavo_server.governance.routes import build_router as governance_router
from octavo_server.governance.service import Governance
from octavo_server.http import health, langfuse
from octavo_server.http.app import build_app, describe, rules
from octavo_server.http.attempts import CountedAttempts
from octavo_server.http.auth import Gate
from octavo_server.http.front import Front
from octavo_server.http.health import Check, Health
from octavo_server.http.key_use import KeyUse
from octavo_server.http.live import Live
from octavo_server.http.local import LocalModel
from octavo_server.http.metrics import Metrics
from octavo_server.http.playground import build_router as playground_router
from octavo_server.http.prober import HttpProber
from octavo_server.http.recorder import SpoolRecorder
from octavo_server.http.snapshots import Snapshots
from octavo_server.http.supervisor import Supervisor, WorkerStatus
from octavo_server.prompts.routes import build_langfuse_prompts_router
from octavo_server.prompts.routes import build_router as prompts_router
from octavo_server.prompts.service import Prompts
from octavo_server.settings import Settings, child_environment
from octavo_server.stores.control import ControlStore
from octavo_server.stores.counters import Counters, LocalCounters
from octavo_server.stores.folder import control_url, media_folder
from octavo_server.stores.migrations import upgrade
from octavo_server.stores.objects import BlobStore
from octavo_server.stores.secrets import SecretBox
from octavo_server.stores.spool import Spool
from octavo_server.stores.telemetry import HttpTelemetry
from octavo_server.traces.routes import (
    build_alerts_router,
    build_insight_router,
    build_langfuse_experiments_router,
    build_langfuse_media_router,
    build_langfuse_missing_router,
    build_langfuse_router,
    build_media_router,
    build_otlp_router,
    build_scores_router,
    build_views_router,
)
from octavo_server.traces.routes import build_router as traces_router
from octavo_server.traces.service import Receiving, Traces
from octavo_server.traces.service.alerts import Alerts, Teller
from octavo_server.traces.service.experiments import Experiments
from octavo_server.traces.service.insight import Insight
from octavo_server.traces.service.langfuse import LangfuseApi
from octavo_server.traces.service.media import MediaFiles
from octavo_server.traces.service.scores import Scores
from octavo_server.traces.service.views import Views
from octavo_server.traces.store import SpanStore
from octavo_server.traces.store.experiments import ExperimentStore
from octavo_server.traces.store.failures import FailureStore
from octavo_server.traces.store.langfuse import ObservationStore
from octavo_server.traces.store.scores import ScoreStore

log = logging.getLogger("octavo")

_MIGRATE_AGAIN_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The services, on their stores."""

    control: ControlStore
    telemetry: HttpTelemetry
    spool: Spool
    counters: Counters
    governance: Governance
    costs: Costs
    traces: Traces
    scores: Scores
    langfuse: LangfuseApi
    media: MediaFiles
    insight: Insight
    alerts: Alerts
    views: Views
    prompts: Prompts
    datasets: Datasets
    langfuse_datasets: LangfuseDatasets
    experiments: Experiments


class Server:
    """Everything that runs in the main process."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.greetings: list[str] = []
        self._settings = settings
        self._local = LocalModel(settings)
        self._upstream = Upstream(public_only=not settings.upstream_private, own_url=self._local.url)
        self.rooms = rooms = _open_rooms(settings, clock, self._upstream, local_url=self._local.url)
        self._holder = SnapshotHolder()
        self._snapshots = Snapshots(
            self._holder,
            control=rooms.control,
            governance=rooms.governance,
            costs=rooms.costs,
            box=_box(settings),
            path=settings.data_dir / "snapshot.bin",
        )
        self._metrics = Metrics()
        self._key_use = KeyUse(rooms.governance, clock)
        self._supervisor = self._make_supervisor() if settings.worker else None
        self.live = Live(self._look)
        self._tasks: list[asyncio.Task[None]] = []
        self._migrated = True
        health = Health(
            version=version("octavo"),
            checks=self._checks(),
            worker=lambda: self._supervisor.status if self._supervisor else WorkerStatus(state="apart"),
            accounting=rooms.spool.accounting,
            metrics=self._metrics,
        )
        recorder = SpoolRecorder(rooms.spool, self._metrics, self._key_use.note, strict=settings.recording == "strict")
        self.gateway = Gateway(
            snapshots=self._holder,
            upstream=self._upstream,
            recorder=recorder,
            clock=clock,
            max_body_bytes=settings.max_body_mb << 20,
        )
        app = build_api(settings, rooms, self.gateway, health, self.live)
        self.front = Front(
            gateway=self.gateway,
            api=app,
            gate=Gate(
                rules(app),
                governance=rooms.governance,
                snapshots=self._holder,
                clock=clock,
                public_url=settings.public_url,
                note_use=self._key_use.note,
            ),
            metrics=self._metrics,
            max_body=settings.max_body_mb << 20,
            max_otlp_body=settings.max_otlp_mb << 20,
        )

    def open(self) -> None:
        """Brings the control store to the present schema and makes the first user. When the store does not answer,
        the gateway serves the last snapshot; without one this raises Unavailable."""
        try:
            self._prepare_control()
        except Unavailable:
            self._migrated = False
        self._snapshots.open()

    async def start(self) -> None:
        """Starts the worker and what follows the stores."""
        if self._supervisor is not None:
            self._supervisor.start()
        self._local.follow(self._holder)
        self._follow(self._follow_control())
        self._follow(self._key_use.follow())

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether the worker got ready in time."""
        return self._supervisor is None or await self._supervisor.wait_ready(timeout_s)

    async def stop(self, stop_listening: Callable[[], Awaitable[None]]) -> None:
        """Ends open streams, stops listening, commits the spool, and lets the worker finish what it has."""
        await self.live.close()
        await stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._key_use.flush()
        await to_thread.run_sync(self.rooms.spool.close)
        if self._supervisor is not None:
            await self._supervisor.stop()
        await self._local.stop()
        await self.rooms.telemetry.close()
        await self.rooms.counters.close()
        await self._upstream.close()
        self.rooms.control.close()

    def _prepare_control(self) -> None:
        settings = self._settings
        self.rooms.control.check()
        upgrade(control_url(settings))
        made_up = self.rooms.governance.create_first_user(email=settings.admin_email, password=settings.admin_password)
        if made_up is not None:
            self.greetings.append(f"First login: {settings.admin_email} with password {made_up} (shown this once)")

    async def _follow_control(self) -> None:
        await self._migrate_later()
        await self._snapshots.follow()

    async def _migrate_later(self) -> None:
        while not self._migrated:
            await asyncio.sleep(_MIGRATE_AGAIN_S)
            try:
                await to_thread.run_sync(self._prepare_control)
            except OctavoError as error:
                log.warning("the control store is still away: %s", error.message)
            else:
                self._migrated = True
                for line in self.greetings:
                    log.warning("%s", line)

    def _make_supervisor(self) -> Supervisor:
        return Supervisor(
            [sys.executable, "-m", "octavo_server.main", "worker", "--embedded"],
            child_environment(self._settings),
            on_ready=self._worker_ready,
            on_change=lambda: self.live.publish("health"),
        )

    def _worker_ready(self, url: str, token: str) -> None:
        if not self._settings.clickhouse_url:
            self.rooms.telemetry.point_to(url, password=token)

    def _checks(self) -> dict[str, Check]:
        async def control() -> None:
            await to_thread.run_sync(self.rooms.control.check)

        async def telemetry() -> None:
            await self.rooms.telemetry.query("SELECT 1 AS one")

        async def spool() -> None:
            await to_thread.run_sync(self.rooms.spool.accounting)

        return {"control": control, "telemetry": telemetry, "spool": spool}

    def _look(self) -> tuple[int, ...]:
        now = self.rooms.spool.accounting()
        return now.accepted, now.stored, now.rejected, now.dropped

    def _follow(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def build_api(settings: Settings, rooms: Rooms, gateway: Gateway, health_: Health, live: Live) -> FastAPI:
    """The control API over the rooms. Every room that has routes is listed here."""
    api: list[APIRouter] = [
        governance_router(
            rooms.governance,
            secure_cookies=settings.public_url.startswith("https://"),
            session_hours=settings.session_hours,
        ),
        costs_router(rooms.costs),
        traces_router(rooms.traces, rooms.scores),
        build_scores_router(rooms.scores),
        build_insight_router(rooms.insight),
        build_alerts_router(rooms.alerts),
        build_views_router(rooms.views),
        build_media_router(rooms.media),
        prompts_router(rooms.prompts),
        build_datasets_router(rooms.datasets, Harvest(rooms.datasets, rooms.traces, rooms.scores)),
        playground_router(gateway),
        health.build_api_router(health_, live),
    ]
    root = [
        health.build_router(health_, metrics_public=settings.metrics_public),
        langfuse.build_router(rooms.governance, version=version("octavo")),
        build_langfuse_router(rooms.langfuse),
        build_langfuse_media_router(rooms.media, public_url=settings.public_url),
        build_otlp_router(Receiving(rooms.spool, max_bytes=settings.max_otlp_mb << 20)),
        build_langfuse_prompts_router(rooms.prompts),
        build_langfuse_datasets_router(rooms.langfuse_datasets, rooms.media, public_url=settings.public_url),
        build_langfuse_experiments_router(rooms.experiments),
        build_langfuse_missing_router(),
    ]
    return build_app(api, root, version=version("octavo"))


def openapi_text() -> str:
    """The description of the API, the same for every install: what `openapi.json` holds."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        rooms = _open_rooms(settings, SystemClock(), Upstream())
        try:
            metrics = Metrics()
            nothing = Health(
                version="",
                checks={},
                worker=lambda: WorkerStatus(state="apart"),
                accounting=rooms.spool.accounting,
                metrics=metrics,
            )
            gateway = Gateway(
                snapshots=SnapshotHolder(),
                upstream=Upstream(),
                recorder=SpoolRecorder(rooms.spool, metrics, lambda _: None, strict=False),
                clock=SystemClock(),
                max_body_bytes=settings.max_body_mb << 20,
            )
            document = describe(build_api(settings, rooms, gateway, nothing, Live(lambda: (0, 0))))
        finally:
            rooms.spool.close()
            rooms.control.close()
            asyncio.run(rooms.counters.close())
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def _open_rooms(settings: Settings, clock: Clock, upstream: Upstream, *, local_url: str = "") -> Rooms:
    control = ControlStore(control_url(settings))
    telemetry = HttpTelemetry.from_url(settings.clickhouse_url) if settings.clickhouse_url else HttpTelemetry()
    counters = _open_counters(settings)
    governance = Governance(control, clock, attempts=CountedAttempts(counters), session_hours=settings.session_hours)
    costs = Costs(
        control,
        secrets=_box(settings),
        clock=clock,
        providers=[_kind(provider) for provider in PROVIDERS.values()],
        prober=HttpProber(upstream, clock),
        private_allowed=settings.upstream_private,
        table=ShippedTable(),
        local_url=local_url,
    )
    traces = Traces(SpanStore(telemetry), clock.now)
    spool = Spool(settings.data_dir / "spool.db", settings.spool_max_mb << 20)
    scores = Scores(control, spool, ScoreStore(telemetry), clock)
    messenger = Messenger(upstream, smtp_url=settings.smtp_url, smtp_from=settings.smtp_from)
    box = _box(settings)
    blobs = BlobStore(media_folder(settings))
    media = MediaFiles(control, blobs, box, clock, max_bytes=settings.max_body_mb << 20)
    datasets = Datasets(control, clock)
    return Rooms(
        control=control,
        telemetry=telemetry,
        counters=counters,
        spool=spool,
        governance=governance,
        costs=costs,
        traces=traces,
        scores=scores,
        insight=Insight(traces, FailureStore(telemetry), clock),
        views=Views(control, clock),
        prompts=Prompts(control, clock),
        datasets=datasets,
        langfuse_datasets=LangfuseDatasets(control, datasets, clock),
        experiments=Experiments(ExperimentStore(telemetry), scores),
        alerts=Alerts(
            control,
            traces,
            clock,
            box=box,
            check_url=Addresses(private_allowed=settings.upstream_private, resolve=resolve_host).check_host_of,
            teller=Teller(box, messenger.post, messenger.mail, clock),
        ),
        langfuse=LangfuseApi(control, ObservationStore(telemetry), traces, scores, media, clock),
        media=media,
    )


def _open_counters(settings: Settings) -> Counters:
    if settings.valkey_url:
        # Its client takes an eighth of a second to import.
        from octavo_server.stores.counters_valkey import ValkeyCounters

        return ValkeyCounters(settings.valkey_url)
    return LocalCounters(settings.data_dir / "counters.journal")


def _box(settings: Settings) -> SecretBox:
    return SecretBox.open_or_create(settings.data_dir / "secret.key", given=settings.secret_key)


def _kind(provider: Provider) -> ProviderKind:
    """What costs has to know of a provider."""
    return ProviderKind(
        kind=provider.kind,
        title=provider.title,
        default_base_url=provider.default_base_url,
        needs_secret=provider.needs_secret,
        secret_help=provider.credential,
        models=provider.models,
        options=tuple(
            OptionField(
                name=option.name,
                title=option.title,
                help=option.help,
                kind=option.kind,
                choices=option.choices,
                default=option.default,
                required=option.required,
            )
            for option in provider.options
        ),
    )
