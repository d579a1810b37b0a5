"""The record of a change of state. Every room writes one in the same transaction as the change itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from octavo_server.core.digest import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it. `kind` is user, api_key or system."""

    kind: str
    id: str
    name: str


SYSTEM = Actor(kind="system", id="system", name="Octavo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Who changed what, when, from which content to which. Digests are of the canonical JSON of the public view
    of the subject (secrets excluded); None before a creation and after a deletion."""

    id: str
    at: datetime
    actor: Actor
    action: str  # "<subject>.<verb in the past>": "api_key.created"
    subject_kind: str
    subject_id: str
    project_id: str | None
    before_digest: str | None
    after_digest: str | None
    reason: str | None = None
    details: dict[str, JSON] = field(default_factory=dict)
    request_id: str | None = None
