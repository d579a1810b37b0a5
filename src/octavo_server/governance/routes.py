"""Routes of governance: login, projects, environments, users, API keys, events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Unauthenticated
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import Page
from octavo_server.governance.model import DEFAULT_SCOPES, ApiKey, Environment, KeySpec, Project, Role, User
from octavo_server.governance.service import Governance
from octavo_server.governance.service.projects import ProjectChange
from octavo_server.governance.service.sessions import csrf_token
from octavo_server.governance.service.users import UserChange, UserSpec
from octavo_server.governance.store import EventFilter
from octavo_server.stores.control import StoredEvent
from octavo_server.traces.model import CaptureMode

SESSION_COOKIE = "octavo_session"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LoginBody(_Body):
    email: str = Field(max_length=320)
    password: str = Field(max_length=1024)


class PasswordBody(_Body):
    old_password: str = Field(max_length=1024)
    new_password: str = Field(max_length=1024)


class UserView(BaseModel):
    id: str
    email: str
    name: str
    role: Role
    memberships: dict[str, Role]
    disabled: bool
    created_at: datetime


class SessionView(BaseModel):
    """Who is logged in. `csrf_token` goes into the header X-Octavo-CSRF of every request that changes something."""

    user: UserView
    permissions: list[str]
    csrf_token: str


class ProjectBody(_Body):
    name: str
    slug: str | None = Field(None, description="Name in URLs and headers; default: made of `name`.")


class ProjectPatch(_Body):
    name: str | None = None
    capture: CaptureMode | None = Field(None, description="How much of each call is kept.")
    masks: list[str] | None = Field(
        None, max_length=100, description="Regular expressions; what matches is stored as [MASKED]."
    )
    retention_days: int | None = Field(None, description="Days until traces are deleted, 1 to 3650.")


class ProjectView(BaseModel):
    id: str
    name: str
    slug: str
    capture: CaptureMode
    masks: list[str]
    retention_days: int
    created_at: datetime


class EnvironmentBody(_Body):
    name: str


class EnvironmentView(BaseModel):
    project_id: str
    name: str
    created_at: datetime


class UserBody(_Body):
    email: str
    password: str
    name: str = ""
    role: Role = Field(Role.MEMBER, description="Role in every project; a member has only `memberships`.")
    memberships: dict[str, Role] = Field({}, description="Role by project id.")


class UserPatch(_Body):
    name: str | None = None
    role: Role | None = None
    memberships: dict[str, Role] | None = None
    disabled: bool | None = None
    password: str | None = None


class KeyBody(_Body):
    name: str
    environment: str = "development"
    scopes: list[Permission] | None = Field(
        None, description="Permissions of the key; default: what an application needs to call models and write traces."
    )
    allowed_apps: list[str] = Field([], description="Apps it may call; empty: all.")
    allowed_models: list[str] = Field([], description="Names or globs of models it may call; empty: all.")
    expires_at: AwareDatetime | None = None


class KeyView(BaseModel):
    id: str
    name: str
    project_id: str
    environment: str
    public_key: str
    secret_hint: str
    scopes: list[str]
    allowed_apps: list[str]
    allowed_models: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKeyView(KeyView):
    """A key just made. `secret_key` is shown this once and stored nowhere."""

    secret_key: str


class ActorView(BaseModel):
    kind: str
    id: str
    name: str


class EventView(BaseModel):
    """Who changed what, when. The digests are of the subject's canonical JSON before and after."""

    seq: int
    id: str
    at: datetime
    actor: ActorView
    action: str
    subject_kind: str
    subject_id: str
    project_id: str | None
    before_digest: str | None
    after_digest: str | None
    reason: str | None
    details: Mapping[str, object]
    request_id: str | None


def build_router(governance: Governance, *, secure_cookies: bool, session_hours: int) -> APIRouter:
    """The routes, mounted under /api/v1."""
    router = APIRouter(tags=["governance"])

    @router.post("/session", **allows(Permission.PUBLIC))
    def log_in(body: LoginBody, request: Request, response: Response) -> SessionView:
        """Logs in to the console and sets the session cookie. Repeated failures are answered 429."""
        address = request.client.host if request.client else "unknown"
        made = governance.sessions.log_in(
            email=body.email, password=body.password, address=address, request_id=request.state.request_id
        )
        response.set_cookie(
            SESSION_COOKIE,
            made.token,
            max_age=session_hours * 3600,
            httponly=True,
            secure=secure_cookies,
            samesite="lax",
        )
        principal = governance.sessions.authenticate(made.token, None)
        return SessionView(
            user=_user(made.user), permissions=sorted(principal.permissions), csrf_token=csrf_token(made.token)
        )

    @router.get("/session", **allows(Permission.ANY))
    def read_session(caller: Caller, request: Request) -> SessionView:
        """Who is logged in, what they may do in the chosen project, and the CSRF token. 401 when nobody is."""
        token = request.cookies.get(SESSION_COOKIE)
        if caller.session_id is None or token is None:
            raise Unauthenticated("This is a console session's route; an API key has no session.", code="no_session")
        return SessionView(
            user=_user(governance.users.get(caller.id)),
            permissions=sorted(caller.permissions),
            csrf_token=csrf_token(token),
        )

    @router.delete("/session", status_code=status.HTTP_204_NO_CONTENT, **allows(Permission.ANY))
    def log_out(caller: Caller, response: Response) -> None:
        """Ends the session and deletes its cookie."""
        governance.sessions.log_out(caller)
        response.delete_cookie(SESSION_COOKIE, httponly=True, secure=secure_cookies, samesite="lax")

    @router.post("/session/password", status_code=status.HTTP_204_NO_CONTENT, **allows(Permission.ANY))
    def change_password(body: PasswordBody, caller: Caller) -> None:
        """Changes your own password and ends your other sessions."""
        governance.sessions.change_password(caller, old=body.old_password, new=body.new_password)

    @router.get("/projects", **allows(Permission.ANY))
    def list_projects(caller: Caller) -> Page[ProjectView]:
        """The projects you may see, by name."""
        return Page(data=[_project(project) for project in governance.projects.visible(caller)])

    @router.post("/projects", status_code=status.HTTP_201_CREATED, **allows(Permission.PROJECTS_CREATE))
    def create_project(body: ProjectBody, caller: Caller) -> ProjectView:
        """Makes a project with the environments development, staging and production."""
        return _project(governance.projects.create(caller, name=body.name, slug=body.slug))

    @router.get("/projects/{project_id}", **allows(Permission.PROJECTS_READ))
    def get_project(project_id: str, caller: Caller) -> ProjectView:
        """One project, by id or slug."""
        return _project(governance.projects.get(caller))

    @router.patch("/projects/{project_id}", **allows(Permission.PROJECTS_WRITE))
    def change_project(project_id: str, body: ProjectPatch, caller: Caller) -> ProjectView:
        """Changes a project's name, what it captures, its masks or its retention. What is not given stays."""
        change = ProjectChange(
            name=body.name,
            capture=body.capture,
            masks=None if body.masks is None else tuple(body.masks),
            retention_days=body.retention_days,
        )
        return _project(governance.projects.change(caller, change))

    @router.get("/environments", **allows(Permission.PROJECTS_READ))
    def list_environments(caller: Caller) -> Page[EnvironmentView]:
        """The project's environments, oldest first."""
        return Page(data=[_environment(one) for one in governance.projects.environments(caller)])

    @router.post("/environments", status_code=status.HTTP_201_CREATED, **allows(Permission.PROJECTS_WRITE))
    def create_environment(body: EnvironmentBody, caller: Caller) -> EnvironmentView:
        """Adds an environment: 1 to 40 of a-z, 0-9, '-' and '_', not starting with 'langfuse'."""
        return _environment(governance.projects.add_environment(caller, body.name))

    @router.get("/users", **allows(Permission.USERS_READ))
    def list_users() -> Page[UserView]:
        """Everybody who can log in, by email."""
        return Page(data=[_user(user) for user in governance.users.everybody()])

    @router.post("/users", status_code=status.HTTP_201_CREATED, **allows(Permission.USERS_WRITE))
    def create_user(body: UserBody, caller: Caller) -> UserView:
        """Adds a user, whose rank is at most your own."""
        spec = UserSpec(
            email=body.email, password=body.password, name=body.name, role=body.role, memberships=body.memberships
        )
        return _user(governance.users.create(caller, spec))

    @router.patch("/users/{user_id}", **allows(Permission.USERS_WRITE))
    def change_user(user_id: str, body: UserPatch, caller: Caller) -> UserView:
        """Changes a user. A new password or a disabling ends their sessions. The last owner stays one."""
        change = UserChange(
            name=body.name,
            role=body.role,
            memberships=body.memberships,
            disabled=body.disabled,
            password=body.password,
        )
        return _user(governance.users.change(caller, user_id, change))

    @router.delete("/users/{user_id}", status_code=status.HTTP_204_NO_CONTENT, **allows(Permission.USERS_WRITE))
    def delete_user(user_id: str, caller: Caller) -> None:
        """Deletes a user with their sessions. What they did stays in the events."""
        governance.users.remove(caller, user_id)

    @router.get("/api-keys", **allows(Permission.KEYS_READ))
    def list_keys(caller: Caller) -> Page[KeyView]:
        """The project's API keys, newest first, revoked ones included; never their secrets."""
        return Page(data=[KeyView.model_validate(_key(key)) for key in governance.keys.of_project(caller)])

    @router.post("/api-keys", status_code=status.HTTP_201_CREATED, **allows(Permission.KEYS_WRITE))
    def create_key(body: KeyBody, caller: Caller) -> NewKeyView:
        """Makes an API key. The answer holds `secret_key`, which is shown this once. The secret alone is an OpenAI
        bearer key; public and secret together are Basic credentials."""
        spec = KeySpec(
            name=body.name,
            environment=body.environment,
            scopes=DEFAULT_SCOPES & caller.permissions if body.scopes is None else frozenset(body.scopes),
            allowed_apps=tuple(body.allowed_apps),
            allowed_models=tuple(body.allowed_models),
            expires_at=body.expires_at,
        )
        made = governance.keys.create(caller, spec)
        return NewKeyView.model_validate({**_key(made.key), "secret_key": made.secret})

    @router.delete("/api-keys/{key_id}", **allows(Permission.KEYS_WRITE))
    def revoke_key(key_id: str, caller: Caller) -> KeyView:
        """Revokes an API key for good. It stays in the list, marked."""
        return KeyView.model_validate(_key(governance.keys.revoke(caller, key_id)))

    @router.get("/events", **allows(Permission.EVENTS_READ))
    def list_events(
        caller: Caller,
        subject_kind: str = "",
        subject_id: str = "",
        actor: Annotated[str, Query(description="Id of the user or API key that did it.")] = "",
        action: Annotated[str, Query(description="As `api_key.created`.")] = "",
        scope: Annotated[
            Literal["project", "server"], Query(description="`server` reads all, for who administers users.")
        ] = "project",
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Page[EventView]:
        """Who changed what, newest first."""
        everywhere = scope == "server"
        wanted = EventFilter(
            project_id=None if everywhere else caller.project,
            subject_kind=subject_kind,
            subject_id=subject_id,
            actor=actor,
            action=action,
        )
        found = governance.events(caller, wanted, everywhere=everywhere, cursor=cursor, limit=limit)
        return Page(data=[_event(one) for one in found.data], next_cursor=found.next_cursor)

    return router


def _user(user: User) -> UserView:
    return UserView(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        memberships=user.memberships,
        disabled=user.disabled,
        created_at=user.created_at,
    )


def _project(project: Project) -> ProjectView:
    return ProjectView(
        id=project.id,
        name=project.name,
        slug=project.slug,
        capture=project.capture,
        masks=list(project.masks),
        retention_days=project.retention_days,
        created_at=project.created_at,
    )


def _environment(environment: Environment) -> EnvironmentView:
    return EnvironmentView(project_id=environment.project_id, name=environment.name, created_at=environment.created_at)


def _key(key: ApiKey) -> dict[str, JSON]:
    return {**key.view(), "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None}


def _event(stored: StoredEvent) -> EventView:
    event = stored.event
    return EventView(
        seq=stored.seq,
        id=event.id,
        at=event.at,
        actor=ActorView(kind=event.actor.kind, id=event.actor.id, name=event.actor.name),
        action=event.action,
        subject_kind=event.subject_kind,
        subject_id=event.subject_id,
        project_id=event.project_id,
        before_digest=event.before_digest,
        after_digest=event.after_digest,
        reason=event.reason,
        details=event.details,
        request_id=event.request_id,
    )
