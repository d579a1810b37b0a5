"""The room on a SQLite file, with a clock and an attempt counter of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from governance_room import OWNER_PASSWORD, Attempts, HandClock

from octavo_server.edge.access import Principal
from octavo_server.governance.model import Project
from octavo_server.governance.service import Governance
from octavo_server.stores.control import ControlStore, metadata, sqlite_url


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlStore]:
    store = ControlStore(sqlite_url(tmp_path / "control.db"))
    metadata.create_all(store.engine)
    yield store
    store.close()


@pytest.fixture
def governance(control: ControlStore, clock: HandClock) -> Governance:
    return Governance(control, clock, attempts=Attempts(), session_hours=24)


@pytest.fixture
def owner(governance: Governance) -> Principal:
    """The first user, logged in, without a project chosen."""
    governance.create_first_user(email="ada@example.com", password=OWNER_PASSWORD)
    login = governance.sessions.log_in(email="ada@example.com", password=OWNER_PASSWORD, address="192.0.2.1")
    return governance.sessions.authenticate(login.token, None)


@pytest.fixture
def project(governance: Governance, owner: Principal) -> Project:
    return governance.projects.create(owner, name="Support Bot")


@pytest.fixture
def ada(owner: Principal, project: Project) -> Principal:
    """The owner, working in the project."""
    return replace(owner, project_id=project.id)
