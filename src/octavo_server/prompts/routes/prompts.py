"""Octavo's own API of prompts. Names may have `/` in them, so they are in the query and the body, never in the path."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse

from octavo_server.core.digest import digest
from octavo_server.core.errors import Invalid
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import Page, encode_cursor, position_of
from octavo_server.prompts import formats
from octavo_server.prompts.formats import Format
from octavo_server.prompts.model import parse_reference
from octavo_server.prompts.routes.shapes import (
    ForkIn,
    ImportIn,
    LabelIn,
    LabelMove,
    MergeIn,
    Prompt,
    PromptChange,
    PromptIn,
    PromptSummary,
    PromptVersion,
    ProtectedLabels,
    Rendered,
    RenderIn,
    TagsIn,
    change_out,
    move_out,
    prompt_out,
    summary_out,
    version_out,
)
from octavo_server.prompts.service import Prompts, Search

_Limit = Annotated[int, Query(ge=1, le=1000)]
_Cursor = Annotated[str, Query(max_length=1000)]
_Name = Annotated[str, Query(min_length=1, max_length=255)]
_Text = Annotated[str, Query(max_length=400)]
_Reference = Annotated[str, Query(min_length=1, max_length=400)]
_Tags = Annotated[list[Annotated[str, Query(max_length=100)]] | None, Query(max_length=20)]
_Number = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


def build_router(prompts: Prompts) -> APIRouter:
    """The routes under `/prompts`."""
    router = APIRouter(prefix="/prompts", tags=["prompts"])
    _reading(router, prompts)
    _writing(router, prompts)
    _labels(router, prompts)
    return router


def _reading(router: APIRouter, prompts: Prompts) -> None:
    @router.get("", **allows(Permission.PROMPTS_READ))
    def list_prompts(
        caller: Caller,
        search: _Text = "",
        tag: _Tags = None,
        label: _Text = "",
        limit: _Limit = 100,
        cursor: _Cursor = "",
    ) -> Page[PromptSummary]:
        """Prompts by name: those with `search` in their name or tags, with every `tag`, with this `label`."""
        wanted = Search(search=search, tags=tuple(tag or ()), label=label)
        found, _ = prompts.find(caller, wanted, limit=limit + 1, after=position_of(cursor, str, ""))
        shown = found[:limit]
        more = encode_cursor(shown[-1].prompt.name) if len(found) > limit else None
        return Page(data=[summary_out(one) for one in shown], next_cursor=more)

    @router.get("/resolve", response_model=Prompt, **allows(Permission.PROMPTS_READ))
    def resolve_prompt(caller: Caller, request: Request, reference: _Reference) -> Response:
        """The version that `name`, `name@label`, `name@12` or `name@sha256:…` means now. A name alone means its label
        `production`; a label that is not there is a 404. Answers 304 to the ETag of the same content."""
        found = prompt_out(prompts.get(caller, parse_reference(reference)))
        tag = f'"{digest(found.model_dump(mode="json"))[7:39]}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(found.model_dump_json(), media_type="application/json", headers=headers)

    @router.get("/versions", **allows(Permission.PROMPTS_READ))
    def list_prompt_versions(
        caller: Caller, name: _Name, limit: _Limit = 100, cursor: _Cursor = ""
    ) -> Page[PromptVersion]:
        """Versions of a prompt, the newest first."""
        found = prompts.versions(caller, name, limit=limit + 1, below=position_of(cursor, int, 2**31 - 1))
        shown = found[:limit]
        more = encode_cursor(shown[-1].number) if len(found) > limit else None
        return Page(data=[version_out(one) for one in shown], next_cursor=more)

    @router.get("/diff", **allows(Permission.PROMPTS_READ))
    def compare_prompts(caller: Caller, before: _Reference, after: _Reference) -> list[PromptChange]:
        """The parts in which two versions differ: template, each parameter and variable, tools, schema."""
        return [change_out(one) for one in prompts.compare(caller, parse_reference(before), parse_reference(after))]

    @router.get("/export", response_class=PlainTextResponse, **allows(Permission.PROMPTS_READ))
    def export_prompt(caller: Caller, reference: _Reference, format: Format) -> Response:
        """A version as a file of Langfuse, MLflow, promptfoo, Dotprompt or Prompty, with what it includes."""
        found = prompts.get(caller, parse_reference(reference))
        text, media_type = formats.write(format, found.version, found.expanded)
        return Response(text, media_type=media_type)

    @router.post("/render", **allows(Permission.PROMPTS_READ))
    def render_prompt(caller: Caller, body: RenderIn) -> Rendered:
        """Fills a prompt: its variables are checked, its placeholders take lists of messages. Nothing is kept."""
        if (body.reference is None) == (body.body is None):
            raise Invalid("Give either `reference` or `body`.", param="reference")
        wanted = body.body.body() if body.body else parse_reference(body.reference or "")
        filled = prompts.render(caller, wanted, body.variables, body.placeholders)
        return Rendered(text=filled.text, messages=filled.messages)


def _writing(router: APIRouter, prompts: Prompts) -> None:
    @router.post("", status_code=201, **allows(Permission.PROMPTS_WRITE))
    def create_prompt(caller: Caller, body: PromptIn) -> Prompt:
        """Freezes the next version of a prompt. `{{> name@label}}` in a text includes another text prompt, as it is
        now."""
        made = prompts.create(
            caller,
            body.name,
            body.body(),
            message=body.message,
            labels=body.labels,
            tags=body.tags,
            expected=body.expected,
        )
        return prompt_out(made)

    @router.post("/import", status_code=201, **allows(Permission.PROMPTS_WRITE))
    def import_prompts(caller: Caller, body: ImportIn) -> list[Prompt]:
        """Freezes the versions that a file of Langfuse, MLflow, promptfoo, Dotprompt or Prompty holds: all of them, or
        none."""
        drafts = formats.read(body.format, body.content, name=body.name)
        return [prompt_out(one) for one in prompts.create_all(caller, drafts)]

    @router.delete("", status_code=204, **allows(Permission.PROMPTS_WRITE))
    def delete_prompt(caller: Caller, name: _Name, number: _Number = None) -> None:
        """Deletes one version, or all of a prompt. Prompts that include it keep what they were frozen with."""
        prompts.delete(caller, name, number=number)

    @router.put("/tags", **allows(Permission.PROMPTS_WRITE))
    def tag_prompt(caller: Caller, body: TagsIn) -> TagsIn:
        """Changes the tags of a prompt, which are those of all its versions."""
        return TagsIn(name=body.name, tags=list(prompts.tag(caller, body.name, body.tags).tags))

    @router.post("/fork", status_code=201, **allows(Permission.PROMPTS_WRITE))
    def fork_prompt(caller: Caller, body: ForkIn) -> Prompt:
        """Begins another prompt with a version of one."""
        return prompt_out(prompts.fork(caller, parse_reference(body.reference), body.name, message=body.message))

    @router.post("/merge", status_code=201, **allows(Permission.PROMPTS_WRITE))
    def merge_prompt(caller: Caller, body: MergeIn) -> Prompt:
        """Brings a fork's changes into the newest version of the prompt it began with, as that one's next version. Parts
        that both changed differently are a conflict (409), and nothing is written."""
        return prompt_out(prompts.merge(caller, parse_reference(body.reference), message=body.message))


def _labels(router: APIRouter, prompts: Prompts) -> None:
    @router.put("/labels", **allows(Permission.PROMPTS_WRITE))
    def move_prompt_label(caller: Caller, body: LabelIn) -> dict[str, int]:
        """Points a label at a version, or nowhere; tells where all labels of the prompt point then. With `expected`, a
        label that somebody else moved first is a conflict (409)."""
        given: dict[str, Any] = {"expected": body.expected} if "expected" in body.model_fields_set else {}
        return prompts.move(caller, body.name, body.label, body.number, reason=body.reason, **given)

    @router.get("/labels/history", **allows(Permission.PROMPTS_READ))
    def list_prompt_label_moves(caller: Caller, name: _Name, label: _Text = "", limit: _Limit = 100) -> list[LabelMove]:
        """Who moved which label of a prompt, when, from where to where, and why; the newest first."""
        return [move_out(one) for one in prompts.history(caller, name, label=label, limit=limit)]

    @router.get("/labels/protected", **allows(Permission.PROMPTS_READ))
    def list_protected_prompt_labels(caller: Caller) -> ProtectedLabels:
        """The labels that only who has `prompts.protect` may move."""
        return ProtectedLabels(labels=prompts.protected(caller))

    @router.put("/labels/protected", **allows(Permission.PROMPTS_PROTECT))
    def protect_prompt_labels(caller: Caller, body: ProtectedLabels) -> ProtectedLabels:
        """Says which labels are protected, in all prompts of the project."""
        return ProtectedLabels(labels=prompts.protect(caller, body.labels))
