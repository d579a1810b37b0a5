"""The room on each control store, with a clock and an attempt counter of the test's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from governance_room import OWNER_PASSWORD, Attempts, HandClock

from octavo_server.edge.access import Principal
from octavo_server.governance.model import Project
from octavo_server.governance.service import Governance
from octavo_server.stores.control import ControlStore


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def control(control_store: ControlStore) -> ControlStore:
    """On SQLite and on PostgreSQL."""
    return control_store


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
