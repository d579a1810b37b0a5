"""Tables of projects, environments, users, memberships, sessions and API keys, and their queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from octavo_server.core.errors import Conflict, NotFound
from octavo_server.edge.access import Permission
from octavo_server.governance.model import ApiKey, Environment, KeyGrant, Project, Role, Session, User
from octavo_server.stores.control import Json, StoredEvent, UtcDateTime, events, metadata, stored_event
from octavo_server.traces.model import CaptureMode

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("capture", Text, nullable=False),
    Column("masks", Json, nullable=False),
    Column("retention_days", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("slug", name="uq_projects_slug"),
)

environments = Table(
    "environments",
    metadata,
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("email", name="uq_users_email"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("token_hash", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("environment", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("secret_hint", Text, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("allowed_apps", Json, nullable=False),
    Column("allowed_models", Json, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    UniqueConstraint("public_key", name="uq_api_keys_public_key"),
    UniqueConstraint("secret_hash", name="uq_api_keys_secret_hash"),
)


def list_projects(sql: Connection) -> list[Project]:
    """All projects, by name."""
    return [_project(row) for row in sql.execute(select(projects).order_by(projects.c.name, projects.c.id))]


def find_project(sql: Connection, id_or_slug: str) -> Project | None:
    """The project of this id or slug."""
    query = select(projects).where(or_(projects.c.id == id_or_slug, projects.c.slug == id_or_slug))
    row = sql.execute(query.order_by(projects.c.id != id_or_slug)).first()
    return None if row is None else _project(row)


def get_project(sql: Connection, id_or_slug: str) -> Project:
    """Raises NotFound."""
    found = find_project(sql, id_or_slug)
    if found is None:
        raise NotFound(f"No project {id_or_slug[:60]!r}.")
    return found


def insert_project(sql: Connection, project: Project) -> None:
    """Raises Conflict when the slug is taken."""
    try:
        sql.execute(insert(projects).values(_project_values(project)))
    except IntegrityError:
        raise Conflict(f"A project {project.slug!r} exists; choose another slug.", param="slug") from None


def update_project(sql: Connection, project: Project) -> None:
    sql.execute(update(projects).where(projects.c.id == project.id).values(_project_values(project)))


def _project_values(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "slug": project.slug,
        "capture": project.capture.value,
        "masks": list(project.masks),
        "retention_days": project.retention_days,
        "created_at": project.created_at,
    }


def _project(row: Row[Any]) -> Project:
    return Project(
        id=row.id,
        name=row.name,
        slug=row.slug,
        capture=CaptureMode(row.capture),
        masks=tuple(row.masks),
        retention_days=row.retention_days,
        created_at=row.created_at,
    )


def list_environments(sql: Connection, project_id: str) -> list[Environment]:
    """The project's environments, oldest first."""
    query = select(environments).where(environments.c.project_id == project_id)
    rows = sql.execute(query.order_by(environments.c.created_at, environments.c.name))
    return [Environment(project_id=row.project_id, name=row.name, created_at=row.created_at) for row in rows]


def insert_environment(sql: Connection, environment: Environment) -> None:
    """Raises Conflict when the project has it."""
    try:
        sql.execute(
            insert(environments).values(
                project_id=environment.project_id, name=environment.name, created_at=environment.created_at
            )
        )
    except IntegrityError:
        raise Conflict(f"This project has an environment {environment.name!r}.", param="name") from None


def list_users(sql: Connection) -> list[User]:
    """All users, by email."""
    return _with_memberships(sql, sql.execute(select(users).order_by(users.c.email)).all())


def get_user(sql: Connection, user_id: str) -> User:
    """Raises NotFound."""
    found = _with_memberships(sql, sql.execute(select(users).where(users.c.id == user_id)).all())
    if not found:
        raise NotFound(f"No user {user_id[:60]!r}.")
    return found[0]


@dataclass(frozen=True, slots=True)
class Login:
    """A user with what proves that it is them."""

    user_id: str
    password_hash: str
    disabled: bool


def find_login(sql: Connection, email: str) -> Login | None:
    """What is needed to check a password."""
    return _login(sql.execute(select(users).where(users.c.email == email)).one_or_none())


def get_login(sql: Connection, user_id: str) -> Login | None:
    """As `find_login`, by the user's id."""
    return _login(sql.execute(select(users).where(users.c.id == user_id)).one_or_none())


def _login(row: Row[Any] | None) -> Login | None:
    return None if row is None else Login(row.id, row.password_hash, row.disabled)


def has_users(sql: Connection) -> bool:
    return sql.execute(select(users.c.id).limit(1)).first() is not None


def count_active_owners(sql: Connection, *, besides: str) -> int:
    """How many enabled owners there are without the user `besides`."""
    query = (
        select(func.count())
        .select_from(users)
        .where(users.c.role == Role.OWNER.value, users.c.disabled.is_(False), users.c.id != besides)
    )
    return int(sql.execute(query).scalar_one())


def insert_user(sql: Connection, user: User, password_hash: str) -> None:
    """Raises Conflict when the email is taken."""
    try:
        sql.execute(insert(users).values({**_user_values(user), "password_hash": password_hash}))
    except IntegrityError:
        raise Conflict(f"A user {user.email!r} exists.", param="email") from None
    _set_memberships(sql, user)


def update_user(sql: Connection, user: User) -> None:
    sql.execute(update(users).where(users.c.id == user.id).values(_user_values(user)))
    sql.execute(delete(memberships).where(memberships.c.user_id == user.id))
    _set_memberships(sql, user)


def set_password(sql: Connection, user_id: str, password_hash: str) -> None:
    sql.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


def delete_user(sql: Connection, user_id: str) -> None:
    """The user with their sessions and memberships."""
    sql.execute(delete(users).where(users.c.id == user_id))


def _user_values(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "disabled": user.disabled,
        "created_at": user.created_at,
    }


def _set_memberships(sql: Connection, user: User) -> None:
    rows = [
        {"user_id": user.id, "project_id": project_id, "role": role.value}
        for project_id, role in user.memberships.items()
    ]
    if rows:
        try:
            sql.execute(insert(memberships), rows)
        except IntegrityError:
            raise NotFound("A membership names a project that does not exist.", param="memberships") from None


def _with_memberships(sql: Connection, rows: Iterable[Row[Any]]) -> list[User]:
    rows = list(rows)
    of_user: dict[str, dict[str, Role]] = {row.id: {} for row in rows}
    query = select(memberships).where(memberships.c.user_id.in_(list(of_user)))
    for membership in sql.execute(query):
        of_user[membership.user_id][membership.project_id] = Role(membership.role)
    return [
        User(
            id=row.id,
            email=row.email,
            name=row.name,
            role=Role(row.role),
            memberships=of_user[row.id],
            created_at=row.created_at,
            disabled=row.disabled,
        )
        for row in rows
    ]


def insert_session(sql: Connection, session: Session, token_hash: str) -> None:
    sql.execute(
        insert(sessions).values(
            id=session.id,
            token_hash=token_hash,
            user_id=session.user_id,
            created_at=session.created_at,
            expires_at=session.expires_at,
        )
    )


def find_session(sql: Connection, token_hash: str, now: datetime) -> Session | None:
    """The session of this token that has not expired."""
    query = select(sessions).where(sessions.c.token_hash == token_hash, sessions.c.expires_at > now)
    row = sql.execute(query).one_or_none()
    if row is None:
        return None
    return Session(id=row.id, user_id=row.user_id, created_at=row.created_at, expires_at=row.expires_at)


def delete_session(sql: Connection, session_id: str) -> bool:
    """Whether there was one."""
    return sql.execute(delete(sessions).where(sessions.c.id == session_id)).rowcount == 1


def delete_sessions_of(sql: Connection, user_id: str, *, besides: str | None = None) -> None:
    sql.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != (besides or "")))


def delete_expired_sessions(sql: Connection, now: datetime) -> int:
    """How many there were."""
    return sql.execute(delete(sessions).where(sessions.c.expires_at <= now)).rowcount


def list_keys(sql: Connection, project_id: str) -> list[ApiKey]:
    """The project's keys, newest first, revoked ones included."""
    query = select(api_keys).where(api_keys.c.project_id == project_id)
    return [_key(row) for row in sql.execute(query.order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc()))]


def list_grants(sql: Connection) -> list[KeyGrant]:
    """All keys of all projects, revoked and expired ones included, so that they can be told so."""
    return [_key(row).grant for row in sql.execute(select(api_keys))]


def get_key(sql: Connection, project_id: str, key_id: str) -> ApiKey:
    """Raises NotFound."""
    query = select(api_keys).where(api_keys.c.project_id == project_id, api_keys.c.id == key_id)
    row = sql.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"No API key {key_id[:60]!r} in this project.")
    return _key(row)


def insert_key(sql: Connection, key: ApiKey) -> None:
    grant = key.grant
    sql.execute(
        insert(api_keys).values(
            id=grant.key_id,
            project_id=grant.project_id,
            environment=grant.environment,
            name=grant.name,
            public_key=grant.public_key,
            secret_hash=grant.secret_hash,
            secret_hint=key.secret_hint,
            scopes=sorted(grant.scopes),
            allowed_apps=list(grant.allowed_apps),
            allowed_models=list(grant.allowed_models),
            expires_at=grant.expires_at,
            created_at=key.created_at,
            created_by=key.created_by,
        )
    )


def revoke_key(sql: Connection, key_id: str, at: datetime) -> None:
    sql.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=at))


def touch_keys(sql: Connection, used: Mapping[str, datetime]) -> None:
    """Notes when keys were last used; an older time than the known one changes nothing."""
    for key_id, at in used.items():
        older = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < at)
        sql.execute(update(api_keys).where(api_keys.c.id == key_id, older).values(last_used_at=at))


def _key(row: Row[Any]) -> ApiKey:
    known = {permission.value for permission in Permission}
    return ApiKey(
        grant=KeyGrant(
            key_id=row.id,
            public_key=row.public_key,
            secret_hash=row.secret_hash,
            name=row.name,
            project_id=row.project_id,
            environment=row.environment,
            scopes=frozenset(Permission(scope) for scope in row.scopes if scope in known),
            allowed_apps=tuple(row.allowed_apps),
            allowed_models=tuple(row.allowed_models),
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        ),
        secret_hint=row.secret_hint,
        created_at=row.created_at,
        created_by=row.created_by,
        last_used_at=row.last_used_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to read; empty fields match all."""

    project_id: str | None
    subject_kind: str = ""
    subject_id: str = ""
    actor: str = ""
    action: str = ""


def list_events(sql: Connection, wanted: EventFilter, *, before: int | None, limit: int) -> list[StoredEvent]:
    """Matching events, newest first, from before the sequence number `before`."""
    query = select(events).order_by(events.c.seq.desc()).limit(limit)
    if wanted.project_id is not None:
        query = query.where(events.c.project_id == wanted.project_id)
    if before is not None:
        query = query.where(events.c.seq < before)
    for column, value in (
        (events.c.subject_kind, wanted.subject_kind),
        (events.c.subject_id, wanted.subject_id),
        (events.c.actor_id, wanted.actor),
        (events.c.action, wanted.action),
    ):
        if value:
            query = query.where(column == value)
    return [stored_event(row) for row in sql.execute(query)]
