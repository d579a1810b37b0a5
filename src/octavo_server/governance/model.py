"""Principals and what they may do: projects, environments, users, roles, API keys. Pure rules, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.edge.access import SERVER_PERMISSIONS, Permission
from octavo_server.traces.model import CaptureMode

DEFAULT_ENVIRONMENTS = ("development", "staging", "production")

DEFAULT_SCOPES = frozenset(
    {
        Permission.GATEWAY_CALL,
        Permission.TRACES_READ,
        Permission.TRACES_WRITE,
        Permission.SCORES_WRITE,
        Permission.COSTS_READ,
        Permission.PROJECTS_READ,
        Permission.PROMPTS_READ,
        Permission.RELEASES_READ,
        Permission.EVALS_READ,
        Permission.EVALS_WRITE,
    }
)
"""What an application needs: call models, write traces and scores, read; no change of keys, users or settings."""

_ENVIRONMENT = re.compile(r"(?!langfuse)[a-z0-9-_]{1,40}")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_UNSAFE_MASK = re.compile(r"\\[1-9]|\(\?(?:[=!<(]|P=)|[+*}|][^()]*\)[+*{]")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")

MIN_PASSWORD = 8
MAX_PASSWORD = 256


class Role(StrEnum):
    """What a user may do. `member` holds nothing by itself, only what memberships give."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"
    MEMBER = "member"


_VIEWER = frozenset(
    {
        Permission.PROJECTS_READ,
        Permission.TRACES_READ,
        Permission.COSTS_READ,
        Permission.PROMPTS_READ,
        Permission.RELEASES_READ,
        Permission.EVALS_READ,
    }
)
_DEVELOPER = _VIEWER | {
    Permission.GATEWAY_CALL,
    Permission.TRACES_WRITE,
    Permission.SCORES_WRITE,
    Permission.KEYS_READ,
    Permission.KEYS_WRITE,
    Permission.EVENTS_READ,
    Permission.PROMPTS_WRITE,
    Permission.RELEASES_WRITE,
    Permission.EVALS_WRITE,
}
_ADMIN = frozenset(Permission) - {Permission.PUBLIC, Permission.ANY}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.MEMBER: frozenset(),
    Role.VIEWER: _VIEWER,
    Role.DEVELOPER: _DEVELOPER,
    Role.ADMIN: _ADMIN,
    Role.OWNER: _ADMIN,
}
_RANK = {role: rank for rank, role in enumerate(ROLE_PERMISSIONS)}


def permissions_in_project(server_role: Role, project_role: Role | None) -> frozenset[Permission]:
    """What a user with these roles may do in a project. Server-wide permissions come from the server role alone, so
    the administrator of one project administers no users."""
    everywhere = ROLE_PERMISSIONS[server_role]
    here = ROLE_PERMISSIONS[project_role] if project_role is not None else frozenset()
    return everywhere | (here - SERVER_PERMISSIONS)


def outranks(role: Role, other: Role) -> bool:
    """Whether `role` is strictly above `other`."""
    return _RANK[role] > _RANK[other]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The tenant. Its capture settings bound what the gateway and ingest may store."""

    id: str
    name: str
    slug: str
    capture: CaptureMode = CaptureMode.FULL
    masks: tuple[str, ...] = ()  # regular expressions (RE2-safe subset) replaced by [MASKED] before anything is stored
    retention_days: int = 90
    created_at: datetime

    def view(self) -> dict[str, JSON]:
        """What events digest and the API shows."""
        return {
            "id": self.id,
            "name": self.name,
            "slug": self.slug,
            "capture": self.capture.value,
            "masks": list(self.masks),
            "retention_days": self.retention_days,
            "created_at": self.created_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A named place of a project that keys, traces and releases belong to."""

    project_id: str
    name: str
    created_at: datetime

    def view(self) -> dict[str, JSON]:
        return {"project_id": self.project_id, "name": self.name, "created_at": self.created_at.isoformat()}


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who logs in to the console. `role` holds in every project; `memberships` add to it in theirs."""

    id: str
    email: str
    name: str
    role: Role
    memberships: dict[str, Role] = field(default_factory=dict)  # by project id
    created_at: datetime
    disabled: bool = False

    def view(self) -> dict[str, JSON]:
        return {
            "id": self.id,
            "email": self.email,
            "name": self.name,
            "role": self.role.value,
            "memberships": {project: role.value for project, role in sorted(self.memberships.items())},
            "created_at": self.created_at.isoformat(),
            "disabled": self.disabled,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGrant:
    """What an API key may do; all the gateway needs to know of it."""

    key_id: str
    public_key: str  # pk-oct-…
    secret_hash: str  # hex SHA-256 of sk-oct-… (256 random bits need no slow hash)
    name: str
    project_id: str
    environment: str
    scopes: frozenset[Permission] = field(default_factory=frozenset)
    allowed_apps: tuple[str, ...] = ()  # empty: all
    allowed_models: tuple[str, ...] = ()  # globs; empty: all
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key as people see it: the grant and its history, never the secret."""

    grant: KeyGrant
    secret_hint: str  # "sk-oct-…AbCd"
    created_at: datetime
    created_by: str
    last_used_at: datetime | None = None

    def view(self) -> dict[str, JSON]:
        """What events digest; without `last_used_at`, which changes without a decision of anybody."""
        grant = self.grant
        return {
            "id": grant.key_id,
            "name": grant.name,
            "project_id": grant.project_id,
            "environment": grant.environment,
            "public_key": grant.public_key,
            "secret_hint": self.secret_hint,
            "scopes": [scope.value for scope in sorted(grant.scopes)],
            "allowed_apps": list(grant.allowed_apps),
            "allowed_models": list(grant.allowed_models),
            "created_at": self.created_at.isoformat(),
            "created_by": self.created_by,
            "expires_at": grant.expires_at.isoformat() if grant.expires_at else None,
            "revoked_at": grant.revoked_at.isoformat() if grant.revoked_at else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySpec:
    """What a new API key shall be."""

    name: str
    environment: str
    scopes: frozenset[Permission] = DEFAULT_SCOPES
    allowed_apps: tuple[str, ...] = ()
    allowed_models: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A console login. The token itself is only in the browser's cookie."""

    id: str
    user_id: str
    created_at: datetime
    expires_at: datetime


def check_environment(name: str) -> str:
    """`name`, when it may name an environment. Raises Invalid."""
    if not _ENVIRONMENT.fullmatch(name):
        raise Invalid(
            f"environment {name[:60]!r}: expected 1 to 40 of a-z, 0-9, '-' and '_', not starting with 'langfuse'",
            param="environment",
        )
    return name


def check_slug(slug: str) -> str:
    """`slug`, when it may name a project in URLs and headers. Raises Invalid."""
    if not _SLUG.fullmatch(slug):
        raise Invalid(f"slug {slug[:60]!r}: expected 1 to 40 of a-z, 0-9 and inner '-'", param="slug")
    return slug


def slug_of(name: str) -> str:
    """A slug made of a project's name: 'My Bot!' → 'my-bot'."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return slug or "project"


def check_email(email: str) -> str:
    """`email` in lower case, when it looks like one. Raises Invalid."""
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise Invalid(f"email {email[:80]!r}: expected name@host", param="email")
    return email.lower()


def check_password(password: str) -> str:
    """`password`, when it is long enough. Raises Invalid, without showing it."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, this one has {len(password)}",
            param="password",
        )
    return password


def check_masks(masks: tuple[str, ...]) -> tuple[str, ...]:
    """`masks`, when each compiles and is of the subset that every regular-expression engine runs in linear time: no
    backreferences, no look-around, no quantified group that holds a quantifier. Raises Invalid."""
    for mask in masks:
        if len(mask) > 500:
            raise Invalid(f"mask of {len(mask)} characters: expected at most 500", param="masks")
        try:
            re.compile(mask)
        except re.error as error:
            raise Invalid(f"mask {mask[:80]!r} is no regular expression: {error}", param="masks") from None
        if _UNSAFE_MASK.search(mask):
            raise Invalid(
                f"mask {mask[:80]!r}: no backreferences, no look-around, no repeated group with a repetition or alternatives inside",
                param="masks",
            )
        if re.compile(mask).search("") is not None:
            raise Invalid(f"mask {mask[:80]!r} matches the empty text, so it would mask everything", param="masks")
    return masks
