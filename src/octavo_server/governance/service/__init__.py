"""The verbs of governance: projects, users, logins, API keys, the record of changes. Every change is one transaction
with its event."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Forbidden
from octavo_server.edge.access import Permission, Principal
from octavo_server.edge.pagination import decode_cursor, encode_cursor
from octavo_server.governance import store
from octavo_server.governance.model import KeyGrant, Project
from octavo_server.governance.service.changes import SYSTEM_PRINCIPAL
from octavo_server.governance.service.keys import Keys
from octavo_server.governance.service.passwords import Passwords
from octavo_server.governance.service.projects import Projects
from octavo_server.governance.service.sessions import AttemptCounter, Sessions
from octavo_server.governance.service.users import Users
from octavo_server.governance.store import EventFilter
from octavo_server.stores.control import ControlStore, StoredEvent
from octavo_server.traces.model import ProjectRules


class SnapshotParts(NamedTuple):
    """This room's share of the gateway's snapshot, under the same names."""

    keys: Mapping[str, KeyGrant]  # by secret hash
    projects: Mapping[str, Project]  # by id


class EventPage(NamedTuple):
    """Events, newest first, and the cursor of the next page."""

    data: list[StoredEvent]
    next_cursor: str | None


class Governance:
    """The room's service, one part for each noun: `projects`, `users`, `sessions`, `keys`."""

    def __init__(
        self,
        control: ControlStore,
        clock: Clock,
        *,
        attempts: AttemptCounter,
        session_hours: int = 168,
    ) -> None:
        self._control = control
        passwords = Passwords()
        self.projects = Projects(control, clock)
        self.users = Users(control, clock, passwords)
        self.sessions = Sessions(control, clock, passwords, attempts, session_hours)
        self.keys = Keys(control, clock)

    def create_first_user(self, *, email: str, password: str) -> str | None:
        """On a fresh store, the first owner; returns the password when it had to be made up, to be shown once. With
        users present nothing happens."""
        with self._control.read() as sql:
            if store.has_users(sql):
                return None
        made_up = secrets.token_urlsafe(12)
        created = self.users.create_first(SYSTEM_PRINCIPAL, email=email, password=password or made_up)
        return made_up if created is not None and not password else None

    def events(
        self, by: Principal, wanted: EventFilter, *, everywhere: bool, cursor: str | None, limit: int
    ) -> EventPage:
        """Events, newest first: of the caller's project, or of the whole server for who administers users."""
        if everywhere and not by.may(Permission.USERS_READ):
            raise Forbidden("Events of the whole server need the permission users.read.")
        before = None
        if cursor is not None:
            position = decode_cursor(cursor)
            before = position if isinstance(position, int) and not isinstance(position, bool) else 0
        with self._control.read() as sql:
            found = store.list_events(sql, wanted, before=before, limit=limit + 1)
        more = len(found) > limit
        return EventPage(found[:limit], encode_cursor(found[limit - 1].seq) if more else None)

    def snapshot_parts(self) -> SnapshotParts:
        """What the gateway needs of this room."""
        with self._control.read() as sql:
            grants = store.list_grants(sql)
            projects = store.list_projects(sql)
        return SnapshotParts(
            keys={grant.secret_hash: grant for grant in grants}, projects={project.id: project for project in projects}
        )


def project_rules(control: ControlStore) -> dict[str, ProjectRules]:
    """What each project wants kept of the spans sent to it, by project id."""
    with control.read() as sql:
        return {
            project.id: ProjectRules(
                capture=project.capture, masks=project.masks, retention_days=project.retention_days
            )
            for project in store.list_projects(sql)
        }


def retention_days(control: ControlStore) -> dict[str, int]:
    """How long each project keeps its telemetry, by project id."""
    with control.read() as sql:
        return {project.id: project.retention_days for project in store.list_projects(sql)}


__all__ = ["Governance", "SnapshotParts", "project_rules", "retention_days"]
