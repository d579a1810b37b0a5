"""Saved views: pages of the console with their filters, under a name, for oneself or for all of a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid, NotFound
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.stores.control import ControlStore
from octavo_server.traces.model import VIEW_PAGES, SavedView
from octavo_server.traces.store import feedback

_MOST_VIEWS = 500


class Views:
    """The verbs. A view that is not shared is its owner's alone; only its owner changes or deletes a view."""

    def __init__(self, control: ControlStore, clock: Clock) -> None:
        self._control = control
        self._clock = clock

    def find(self, by: Principal, page: str) -> list[SavedView]:
        """The views that the caller sees, by name."""
        with self._control.read() as sql:
            return [view for view in feedback.list_views(sql, by.project, page) if view.shared or view.owner == by.id]

    def create(self, by: Principal, *, name: str, page: str, query: str, shared: bool) -> SavedView:
        """Saves a view. Raises Invalid."""
        if page not in VIEW_PAGES:
            raise Invalid(f"`page` is {page[:40]!r}; expected one of {', '.join(VIEW_PAGES)}.", param="page")
        now = self._clock.now()
        view = SavedView(
            id=new_id("viw"),
            project_id=by.project,
            owner=by.id,
            name=name,
            page=page,
            query=query,
            shared=shared,
            created_at=now,
            updated_at=now,
        )
        with self._control.transaction() as tx:
            if len(feedback.list_views(tx.connection, by.project, "")) >= _MOST_VIEWS:
                raise Invalid(f"This project has {_MOST_VIEWS} saved views, the most there may be; delete some.")
            feedback.insert_view(tx.connection, view)
            tx.record(event_of(by, "view.created", view.id, now, before=None, after=_view(view)))
        return view

    def change(self, by: Principal, view_id: str, changes: Mapping[str, Any]) -> SavedView:
        """Changes name, query or who sees it. Raises NotFound."""
        now = self._clock.now()
        with self._control.transaction() as tx:
            before = self._owned(tx.connection, by, view_id)
            after = msgspec.structs.replace(before, **{**changes, "updated_at": now})
            feedback.update_view(tx.connection, after)
            tx.record(event_of(by, "view.changed", view_id, now, before=_view(before), after=_view(after)))
        return after

    def delete(self, by: Principal, view_id: str) -> None:
        """Forgets a view. Raises NotFound."""
        with self._control.transaction() as tx:
            view = self._owned(tx.connection, by, view_id)
            feedback.delete_view(tx.connection, view_id)
            tx.record(event_of(by, "view.deleted", view_id, self._clock.now(), before=_view(view), after=None))

    def _owned(self, sql: Any, by: Principal, view_id: str) -> SavedView:
        view = feedback.get_view(sql, by.project, view_id)
        if view.owner != by.id:
            raise NotFound(f"There is no saved view {view_id[:80]!r} of yours in this project.")
        return view


def _view(view: SavedView) -> dict[str, JSON]:
    return {"name": view.name, "page": view.page, "query": view.query, "shared": view.shared}
