"""Principals and what they may do: projects, environments, users, roles, API keys. Pure rules, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from octavo_server.edge.access import Permission
from octavo_server.traces.model import CaptureMode


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
