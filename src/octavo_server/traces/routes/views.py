"""Saved views, over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import Page
from octavo_server.traces.model import SavedView
from octavo_server.traces.service.views import Views

ViewPage = Literal["traces", "sessions", "end-users", "metrics", "failures"]
_Name = Annotated[str, Field(min_length=1, max_length=100)]
_Query = Annotated[str, Field(max_length=4000)]


class ViewIn(BaseModel):
    """A page of the console with its filters; `query` is the search part of its address."""

    name: _Name
    page: ViewPage
    query: _Query = ""
    shared: bool = False


class ViewChange(BaseModel):
    """What is to be another; the rest stays."""

    name: _Name | None = None
    query: _Query | None = None
    shared: bool | None = None


class ViewOut(ViewIn):
    """A saved view. `mine`: the caller may change it."""

    id: str
    mine: bool


def build_views_router(views: Views) -> APIRouter:
    """Routes of saved views."""
    router = APIRouter(tags=["views"])

    @router.get("/views", **allows(Permission.TRACES_READ))
    def list_views(caller: Caller, page: Annotated[ViewPage | None, Query()] = None) -> Page[ViewOut]:
        """The caller's own views and those that others share, by name."""
        return Page(data=[_out(view, caller.id) for view in views.find(caller, page or "")])

    @router.post("/views", status_code=201, **allows(Permission.TRACES_READ))
    def create_view(caller: Caller, body: ViewIn) -> ViewOut:
        """Saves a view."""
        return _out(views.create(caller, **body.model_dump()), caller.id)

    @router.patch("/views/{view_id}", **allows(Permission.TRACES_READ))
    def change_view(caller: Caller, view_id: str, body: ViewChange) -> ViewOut:
        """Changes a view of one's own."""
        return _out(views.change(caller, view_id, body.model_dump(exclude_none=True)), caller.id)

    @router.delete("/views/{view_id}", status_code=204, **allows(Permission.TRACES_READ))
    def delete_view(caller: Caller, view_id: str) -> None:
        """Forgets a view of one's own."""
        views.delete(caller, view_id)

    return router


def _out(view: SavedView, caller_id: str) -> ViewOut:
    shown = {name: getattr(view, name) for name in ("id", "name", "page", "query", "shared")}
    return ViewOut(**shown, mine=view.owner == caller_id)
