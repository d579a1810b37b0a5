"""The event of a change, made the same way for each noun of every room."""

from __future__ import annotations

from datetime import datetime

from octavo_server.core.digest import JSON, digest
from octavo_server.core.events import Event
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal


def event_of(
    by: Principal,
    action: str,
    subject_id: str,
    at: datetime,
    *,
    before: dict[str, JSON] | None,
    after: dict[str, JSON] | None,
    details: dict[str, JSON] | None = None,
) -> Event:
    """The event of a change from one public view of its subject to another; `action` is `<subject kind>.<past verb>`.
    Its details name the subject and the fields that changed."""
    view = after or before or {}
    told: dict[str, JSON] = {key: view[key] for key in ("name", "pattern", "model") if key in view}
    if before is not None and after is not None:
        told["changed"] = [key for key in after if before.get(key) != after[key]]
    return Event(
        id=new_id("evt"),
        at=at,
        actor=by.actor,
        action=action,
        subject_kind=action.partition(".")[0],
        subject_id=subject_id,
        project_id=by.project,
        before_digest=None if before is None else digest(before),
        after_digest=None if after is None else digest(after),
        details=told | (details or {}),
        request_id=by.request_id,
    )
