"""Whether the server works: liveness, readiness, Prometheus metrics, what the console shows of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from anyio import to_thread
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from octavo_server.core.errors import OctavoError
from octavo_server.edge.access import Permission, allows
from octavo_server.http.live import Live
from octavo_server.http.metrics import CONTENT_TYPE, Metrics
from octavo_server.http.supervisor import WorkerStatus
from octavo_server.stores.spool import Accounting

Check = Callable[[], Awaitable[None]]
"""Returns when a part works, raises an OctavoError when it does not."""

_CHECK_S = 2.0


class AccountingView(BaseModel):
    """What became of the records. accepted = stored + rejected + pending; dropped ones were never accepted."""

    accepted: int
    stored: int
    rejected: int
    dropped: int
    pending: int
    pending_bytes: int
    oldest_pending_s: float


class WorkerView(BaseModel):
    """The worker process: starting, ready, down, stopped, or apart."""

    state: str
    pid: int | None
    restarts: int
    message: str


class ServerView(BaseModel):
    """The server's parts; each is `ok` or what is wrong with it."""

    version: str
    uptime_s: float
    ready: bool
    stores: dict[str, str]
    worker: WorkerView
    accounting: AccountingView | None


class Readiness(BaseModel):
    """Whether traffic may come, and the state of each part."""

    ready: bool
    parts: dict[str, str]


class Health:
    """Asks the parts."""

    def __init__(
        self,
        *,
        version: str,
        checks: Mapping[str, Check],
        worker: Callable[[], WorkerStatus],
        accounting: Callable[[], Accounting],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._version = version
        self._checks = checks
        self._worker = worker
        self._accounting = accounting
        self._metrics = metrics
        self._clock = clock
        self._started = clock()

    async def parts(self) -> dict[str, str]:
        """`ok` or the trouble of each part."""
        names = list(self._checks)
        results = await asyncio.gather(*(_state(self._checks[name]) for name in names))
        parts = dict(zip(names, results, strict=True))
        worker = self._worker()
        parts["worker"] = "ok" if worker.state in ("ready", "apart") else worker.state
        return parts

    async def server(self) -> ServerView:
        """All there is to say of the server."""
        parts = await self.parts()
        ready = all(state == "ok" for state in parts.values())
        parts.pop("worker")
        worker = self._worker()
        return ServerView(
            version=self._version,
            uptime_s=round(self._clock() - self._started, 1),
            ready=ready,
            stores=parts,
            worker=WorkerView(state=worker.state, pid=worker.pid, restarts=worker.restarts, message=worker.message),
            accounting=view_of(await to_thread.run_sync(self._accounting)),
        )

    async def accounting(self) -> AccountingView:
        """What became of all records."""
        return view_of(await to_thread.run_sync(self._accounting))

    async def metrics(self) -> str:
        """Prometheus' text."""
        accounting = await to_thread.run_sync(self._accounting)
        worker = self._worker()
        gauges: dict[str, tuple[str, float]] = {
            "octavo_records_accepted_total": ("Records taken by the spool.", accounting.accepted),
            "octavo_records_stored_total": ("Records stored as telemetry.", accounting.stored),
            "octavo_records_rejected_total": ("Records that cannot be stored.", accounting.rejected),
            "octavo_records_dropped_total": ("Records lost before the spool had them.", accounting.dropped),
            "octavo_spool_pending": ("Records that wait in the spool.", accounting.pending),
            "octavo_spool_pending_bytes": ("Bytes that wait in the spool.", accounting.pending_bytes),
            "octavo_spool_oldest_seconds": ("Age of the oldest waiting record.", accounting.oldest_pending_s),
            "octavo_worker_up": ("1 when the worker is ready.", float(worker.state in ("ready", "apart"))),
            "octavo_worker_restarts_total": ("How often the worker was started again.", worker.restarts),
            "octavo_uptime_seconds": ("Seconds since the start.", self._clock() - self._started),
        }
        return self._metrics.render(gauges)


def build_api_router(health: Health, live: Live) -> APIRouter:
    """The routes under /api/v1."""
    router = APIRouter(tags=["server"])

    @router.get("/server", **allows(Permission.ANY))
    async def read_server() -> ServerView:
        """The server's version, the state of its stores and its worker, and what became of all records."""
        return await health.server()

    @router.get("/accounting", **allows(Permission.ANY))
    async def read_accounting() -> AccountingView:
        """What became of all records: accepted, stored, rejected, dropped, and how many wait."""
        return await health.accounting()

    @router.get(
        "/live",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "Events without end"}},
        **allows(Permission.ANY),
    )
    async def stream_live() -> StreamingResponse:
        """Server-sent events while something changes, about one a second: `{"kind": "traces"}` when traces came in,
        `"accounting"` when records moved, `"health"` when the worker did. Fetch what you show when one arrives."""
        return StreamingResponse(
            live.listen(),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        )

    return router


def build_router(health: Health, *, metrics_public: bool) -> APIRouter:
    """The routes outside /api/v1, for balancers and Prometheus."""
    router = APIRouter(tags=["server"])

    @router.get("/healthz", **allows(Permission.PUBLIC))
    async def read_liveness() -> dict[str, str]:
        """200 while the process runs, whatever its stores do."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"model": Readiness}}, **allows(Permission.PUBLIC))
    async def read_readiness() -> Readiness:
        """200 when every part works, 503 otherwise; the body says which does not."""
        parts = await health.parts()
        ready = all(state == "ok" for state in parts.values())
        readiness = Readiness(ready=ready, parts=parts)
        if ready:
            return readiness
        return JSONResponse(readiness.model_dump(), status_code=503)  # type: ignore[return-value]

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format"}},
        **allows(Permission.PUBLIC if metrics_public else Permission.SERVER_READ),
    )
    async def read_metrics() -> Response:
        """Counters for Prometheus. Needs a key with the scope server.read, or the setting OCTAVO_METRICS_PUBLIC."""
        return Response(await health.metrics(), media_type=CONTENT_TYPE)

    return router


def view_of(accounting: Accounting) -> AccountingView:
    return AccountingView(
        accepted=accounting.accepted,
        stored=accounting.stored,
        rejected=accounting.rejected,
        dropped=accounting.dropped,
        pending=accounting.pending,
        pending_bytes=accounting.pending_bytes,
        oldest_pending_s=round(accounting.oldest_pending_s, 1),
    )


async def _state(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), _CHECK_S)
    except OctavoError as error:
        return error.message
    except TimeoutError:
        return f"no answer within {_CHECK_S:g} s"
    return "ok"
