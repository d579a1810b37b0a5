"""Langfuse's API of prompts, as its SDKs call it. What a prompt includes is what it was frozen with."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from octavo_server.core.errors import Invalid
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.langfuse import LangfuseRoute, langfuse_answer, langfuse_page
from octavo_server.prompts.formats import config_of, to_langfuse
from octavo_server.prompts.model import LATEST, Body, Reference, body_of, check_label, check_name
from octavo_server.prompts.routes.shapes import Label, Labels, Messages, Name, Note, Tags, Text
from octavo_server.prompts.service import Found, Prompts, Search

_Page = Annotated[int, Query(ge=1, le=100_000)]
_Limit = Annotated[int, Query(ge=1, le=1000)]
_Word = Annotated[str, Query(max_length=255)]
_Label = Annotated[str | None, Query(max_length=36)]
_Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


class LangfusePrompt(BaseModel):
    """What `create_prompt` sends."""

    name: Name
    prompt: Text | Messages
    type: Annotated[str, Field(pattern="^(text|chat)$")] | None = None
    config: Any = None
    labels: Labels | None = None
    tags: Tags | None = None
    commit_message: Annotated[Note | None, Field(alias="commitMessage")] = None

    def body(self) -> Body:
        """As the room knows it. Raises Invalid."""
        if (self.type or "text") != ("text" if isinstance(self.prompt, str) else "chat"):
            raise Invalid(
                "`prompt` is a text when `type` is text (the default), and a list of messages when it is chat."
            )
        return body_of({"template": self.prompt, "config": self.config})


class LangfuseLabels(BaseModel):
    """What `update_prompt` sends."""

    new_labels: Annotated[list[Label], Field(alias="newLabels", max_length=50)]


def build_langfuse_prompts_router(prompts: Prompts) -> APIRouter:
    """The routes, which are Langfuse's and therefore not in Octavo's description of its own."""
    router = APIRouter(
        prefix="/api/public/v2/prompts", tags=["langfuse"], include_in_schema=False, route_class=LangfuseRoute
    )

    @router.get("", **allows(Permission.PROMPTS_READ))
    def langfuse_prompts(
        caller: Caller,
        name: _Word = "",
        label: _Word = "",
        tag: _Word = "",
        page: _Page = 1,
        limit: _Limit = 50,
        since: Annotated[AwareDatetime | None, Query(alias="fromUpdatedAt")] = None,
        until: Annotated[AwareDatetime | None, Query(alias="toUpdatedAt")] = None,
        filter: Annotated[str, Query(max_length=20_000)] = "",
    ) -> Response:
        """Prompts by name, with their versions and labels."""
        if filter:
            raise Invalid(
                "`filter` is not served; use name, label, tag, fromUpdatedAt and toUpdatedAt.", param="filter"
            )
        wanted = Search(name=name, label=label, tags=(tag,) if tag else (), updated_from=since, updated_to=until)
        found, total = prompts.find(caller, wanted, limit=limit, skip=(page - 1) * limit)
        data = [
            {
                "name": one.prompt.name,
                "type": one.prompt.kind,
                "versions": one.numbers,
                "labels": list(one.labels),
                "tags": list(one.prompt.tags),
                "lastUpdatedAt": one.prompt.updated_at,
                "lastConfig": config_of(prompts.get(caller, Reference(one.prompt.name, label=LATEST)).body),
            }
            for one in found
        ]
        return langfuse_answer({"data": data, "meta": langfuse_page(page, limit, total)})

    @router.post("", **allows(Permission.PROMPTS_WRITE))
    def langfuse_create_prompt(caller: Caller, body: LangfusePrompt) -> Response:
        """Freezes the next version of a prompt."""
        made = prompts.create(
            caller,
            body.name,
            body.body(),
            message=body.commit_message or "",
            labels=body.labels or (),
            tags=body.tags,
        )
        return _told(made, caller.project, resolve=True)

    @router.patch("/{name:path}/versions/{number}", **allows(Permission.PROMPTS_WRITE))
    def langfuse_label_prompt(caller: Caller, name: str, number: int, body: LangfuseLabels) -> Response:
        """Points labels at a version."""
        return _told(prompts.label(caller, name, number, body.new_labels), caller.project, resolve=True)

    @router.get("/{name:path}", **allows(Permission.PROMPTS_READ))
    def langfuse_prompt(
        caller: Caller, name: str, version: _Version = None, label: _Label = None, resolve: bool = True
    ) -> Response:
        """A version by number or label; by `production` when neither is given."""
        return _told(prompts.get(caller, _reference(name, version, label)), caller.project, resolve=resolve)

    @router.delete("/{name:path}", **allows(Permission.PROMPTS_WRITE))
    def langfuse_delete_prompt(caller: Caller, name: str, version: _Version = None, label: _Label = None) -> Response:
        """Deletes a version, or all of a prompt."""
        prompts.delete(caller, check_name(name), number=version, label=label)
        return Response(status_code=204)

    return router


def _reference(name: str, version: int | None, label: str | None) -> Reference:
    check_name(name)
    if version is not None:
        return Reference(name, number=version)
    return Reference(name, label=check_label(label or "production"))


def _told(found: Found, project_id: str, *, resolve: bool) -> Response:
    version, body = found.version, found.expanded if resolve else found.body
    return langfuse_answer(
        {
            "id": f"{version.name}@{version.digest}",
            "projectId": project_id,
            **to_langfuse(version, body),
            "createdBy": version.author.name,
            "createdAt": version.created_at,
            "updatedAt": version.created_at,
            "resolutionGraph": None,
        }
    )
