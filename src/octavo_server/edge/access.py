"""Who may call a route: each route declares one permission; the HTTP layer enforces the declaration.

    @router.get("/traces", **allows(Permission.TRACES_READ))
    async def list_traces(caller: Caller, …) -> …

A route without a declaration refuses to start (`http/app.py`), so forgetting is an error, not an open door. The check
happens before the body is read. A route whose path has `{project_id}` is about that project; any other is about the
project of the API key, or of the header `X-Octavo-Project`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Request

from octavo_server.core.errors import Forbidden, Unauthenticated
from octavo_server.core.events import Actor

PERMISSION_KEY = "x-octavo-permission"


class Permission(StrEnum):
    """What a route asks of its caller. PUBLIC asks nothing; ANY asks only for valid credentials."""

    PUBLIC = "public"
    ANY = "any"
    GATEWAY_CALL = "gateway.call"
    TRACES_READ = "traces.read"
    TRACES_WRITE = "traces.write"
    TRACES_DELETE = "traces.delete"
    SCORES_WRITE = "scores.write"
    COSTS_READ = "costs.read"
    COSTS_WRITE = "costs.write"
    KEYS_READ = "keys.read"
    KEYS_WRITE = "keys.write"
    PROJECTS_READ = "projects.read"
    PROJECTS_WRITE = "projects.write"
    EVENTS_READ = "events.read"
    PROMPTS_READ = "prompts.read"
    PROMPTS_WRITE = "prompts.write"
    PROMPTS_PROTECT = "prompts.protect"  # to move labels that are protected, and to say which are
    RELEASES_READ = "releases.read"
    RELEASES_WRITE = "releases.write"
    RELEASES_PROMOTE = "releases.promote"
    EVALS_READ = "evals.read"
    EVALS_WRITE = "evals.write"
    # About the whole server, whichever project is chosen:
    PROJECTS_CREATE = "projects.create"
    USERS_READ = "users.read"
    USERS_WRITE = "users.write"
    SERVER_READ = "server.read"


SERVER_PERMISSIONS = frozenset(
    {Permission.PROJECTS_CREATE, Permission.USERS_READ, Permission.USERS_WRITE, Permission.SERVER_READ}
)
"""Permissions that are not about one project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The authenticated caller of a control-API request, bound to one project."""

    kind: str  # "user" | "api_key"
    id: str
    name: str
    project_id: str | None
    environment: str | None  # set for API keys bound to one environment
    permissions: frozenset[Permission] = field(default_factory=frozenset)
    request_id: str | None = None
    session_id: str | None = None  # set for a console session

    @property
    def actor(self) -> Actor:
        """This caller as the actor of an event."""
        return Actor(kind=self.kind, id=self.id, name=self.name)

    @property
    def project(self) -> str:
        """The project the request is about; raises when the caller chose none."""
        if self.project_id is None:
            raise Forbidden(
                "No project is chosen: send the header X-Octavo-Project or use a project's API key.", code="no_project"
            )
        return self.project_id

    def may(self, permission: Permission) -> bool:
        """Whether the caller holds `permission` in the project of the request."""
        return permission in (Permission.PUBLIC, Permission.ANY) or permission in self.permissions


def allows(permission: Permission) -> dict[str, Any]:
    """Keyword arguments for a route decorator that declare who may call it; shown in openapi.json."""
    return {"openapi_extra": {PERMISSION_KEY: permission.value}}


def _principal(request: Request) -> Principal:
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        raise Unauthenticated("This route needs credentials: log in, or send an API key.")
    return principal


Caller = Annotated[Principal, Depends(_principal)]
