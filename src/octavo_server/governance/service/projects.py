"""Projects and their environments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.governance import store
from octavo_server.governance.model import (
    DEFAULT_ENVIRONMENTS,
    Environment,
    Project,
    check_environment,
    check_masks,
    check_slug,
    permissions_in_project,
    slug_of,
)
from octavo_server.governance.service.changes import event_of
from octavo_server.stores.control import ControlStore
from octavo_server.traces.model import CaptureMode


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectChange:
    """The fields of a project to change; None leaves one as it is."""

    name: str | None = None
    capture: CaptureMode | None = None
    masks: tuple[str, ...] | None = None
    retention_days: int | None = None


class Projects:
    """The verbs of projects and environments."""

    def __init__(self, control: ControlStore, clock: Clock) -> None:
        self._control = control
        self._clock = clock

    def visible(self, by: Principal) -> list[Project]:
        """The projects that the caller may see, by name."""
        with self._control.read() as sql:
            every = store.list_projects(sql)
            if by.kind != "user":
                return [project for project in every if project.id == by.project_id]
            user = store.get_user(sql, by.id)
        return [project for project in every if permissions_in_project(user.role, user.memberships.get(project.id))]

    def get(self, by: Principal) -> Project:
        """The project of the request."""
        with self._control.read() as sql:
            return store.get_project(sql, by.project)

    def create(self, by: Principal, *, name: str, slug: str | None = None) -> Project:
        """A new project with the usual environments. Raises Conflict when the slug is taken."""
        now = self._clock.now()
        project = Project(
            id=new_id("prj"),
            name=_name(name),
            slug=check_slug(slug if slug is not None else slug_of(name)),
            created_at=now,
        )
        with self._control.transaction() as transaction:
            sql = transaction.connection
            store.insert_project(sql, project)
            for environment in DEFAULT_ENVIRONMENTS:
                store.insert_environment(sql, Environment(project_id=project.id, name=environment, created_at=now))
            environments: list[JSON] = list(DEFAULT_ENVIRONMENTS)
            transaction.record(
                event_of(
                    by,
                    "project.created",
                    project.id,
                    now,
                    project_id=project.id,
                    before=None,
                    after=project.view(),
                    details={"environments": environments},
                )
            )
        return project

    def change(self, by: Principal, change: ProjectChange) -> Project:
        """Changes the project of the request; without a difference nothing happens."""
        with self._control.transaction() as transaction:
            before = store.get_project(transaction.connection, by.project)
            after = replace(
                before,
                name=before.name if change.name is None else _name(change.name),
                capture=before.capture if change.capture is None else change.capture,
                masks=before.masks if change.masks is None else check_masks(change.masks),
                retention_days=before.retention_days if change.retention_days is None else _days(change.retention_days),
            )
            if after != before:
                store.update_project(transaction.connection, after)
                transaction.record(
                    event_of(
                        by,
                        "project.changed",
                        after.id,
                        self._clock.now(),
                        project_id=after.id,
                        before=before.view(),
                        after=after.view(),
                    )
                )
        return after

    def environments(self, by: Principal) -> list[Environment]:
        """The environments of the project of the request."""
        with self._control.read() as sql:
            return store.list_environments(sql, by.project)

    def add_environment(self, by: Principal, name: str) -> Environment:
        """One more environment. Raises Conflict when the project has it."""
        environment = Environment(project_id=by.project, name=check_environment(name), created_at=self._clock.now())
        with self._control.transaction() as transaction:
            store.insert_environment(transaction.connection, environment)
            transaction.record(
                event_of(
                    by,
                    "environment.created",
                    environment.name,
                    environment.created_at,
                    project_id=environment.project_id,
                    before=None,
                    after=environment.view(),
                )
            )
        return environment


def _name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise Invalid("name: expected 1 to 80 printable characters", param="name")
    return name


def _days(days: int) -> int:
    if not 1 <= days <= 3650:
        raise Invalid(f"retention_days {days}: expected 1 to 3650", param="retention_days")
    return days
