"""The daily retention: what has outlived its keeping goes, of its own project only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from octavo_server.core.clock import SystemClock
from octavo_server.governance.service import Governance
from octavo_server.governance.service.changes import SYSTEM_PRINCIPAL
from octavo_server.governance.service.projects import ProjectChange
from octavo_server.governance.service.sessions import WINDOW_S
from octavo_server.stores.control import ControlStore, sqlite_url
from octavo_server.stores.migrations import upgrade
from octavo_server.stores.telemetry import migrate
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.traces.model import Span
from octavo_server.traces.store import MIGRATIONS, SpanWriter, draft_of
from octavo_server.worker import delete_expired


class NoAttempts:
    """Nobody logs in here."""

    def add(self, name: str, window_s: int) -> int:
        assert window_s == WINDOW_S
        return 1

    def clear(self, name: str) -> None:
        pass


def span_of(project_id: str, span_id: str, days_old: float) -> Span:
    start = datetime.now(UTC) - timedelta(days=days_old)
    start_ns = int(start.timestamp() * 1e9)
    return Span(
        project_id=project_id, trace_id="t" + span_id, span_id=span_id, name="x", start_ns=start_ns, end_ns=start_ns
    )


async def test_shortened_days_hold_for_what_is_there(tmp_path: Path, empty_chdb: EmbeddedTelemetry) -> None:
    url = sqlite_url(tmp_path / "control.db")
    upgrade(url)
    control = ControlStore(url)
    governance = Governance(control, SystemClock(), attempts=NoAttempts())
    shortened = governance.projects.create(SYSTEM_PRINCIPAL, name="Shortened")
    other = governance.projects.create(SYSTEM_PRINCIPAL, name="Other")
    await migrate(empty_chdb, MIGRATIONS)
    spans = SpanWriter(empty_chdb)
    kept = [
        draft_of(span_of(project.id, f"{project.slug}-{days}", days), 90)
        for project in (shortened, other)
        for days in (1, 8)
    ]
    await spans.write(kept, token="first")
    assert await delete_expired(control, spans) == 0
    by = replace(SYSTEM_PRINCIPAL, project_id=shortened.id)
    governance.projects.change(by, ProjectChange(retention_days=7))
    assert await delete_expired(control, spans) == 1
    left = await empty_chdb.query("SELECT span_id FROM spans ORDER BY span_id")
    assert [row["span_id"] for row in left] == ["other-1", "other-8", "shortened-1"]
    control.close()
