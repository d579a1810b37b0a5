"""Images, sounds and files of traces: as Langfuse's SDKs upload and fetch them, and for the console to show."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from octavo_server.core.errors import Invalid
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.langfuse import LangfuseRoute, langfuse_answer
from octavo_server.traces.media import Media, Subject
from octavo_server.traces.service.media import DOWNLOAD, UPLOAD, MediaFiles

_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file, in its own content type."}
}
_ALONE = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""What the file says cannot run, nor load anything, under the console's own address."""

_Id = Annotated[str | None, Field(max_length=200)]
_Token = Annotated[str, Query(max_length=500)]


class _Theirs(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class Announced(_Theirs):
    """A file that is to be uploaded."""

    content_type: Annotated[str, Field(max_length=200)]
    content_length: Annotated[int, Field(ge=1)]
    sha256_hash: Annotated[str, Field(alias="sha256Hash", max_length=100)]
    trace_id: _Id = None
    dataset_id: _Id = None
    dataset_item_id: _Id = None


class Uploaded(_Theirs):
    """How an upload went."""

    upload_http_status: int
    upload_http_error: Annotated[str | None, Field(max_length=100_000)] = None


def build_media_router(files: MediaFiles) -> APIRouter:
    """Octavo's own routes, to read a file."""
    router = APIRouter(tags=["traces"])

    @router.get("/media/{media_id}", response_class=FileResponse, responses=_FILE, **allows(Permission.TRACES_READ))
    def read_media(caller: Caller, media_id: str) -> FileResponse:
        """The file that a span refers to with `@@@langfuseMedia:…|id=<media_id>|…@@@`. Images, sounds, films and PDF
        are shown in place, anything else is saved; a part of it can be asked for with `Range`."""
        return _file(files, files.read(caller.project, media_id))

    @router.get(
        "/projects/{project_id}/media/{media_id}",
        response_class=FileResponse,
        responses=_FILE,
        **allows(Permission.TRACES_READ),
    )
    def read_project_media(caller: Caller, project_id: str, media_id: str) -> FileResponse:
        """The same file under an address that names the project, for a browser's own requests, which send no headers."""
        return _file(files, files.read(caller.project, media_id))

    return router


def build_langfuse_media_router(files: MediaFiles, *, public_url: str) -> APIRouter:
    """Langfuse's routes. The two under `/content` ask for no key: their URL says what its holder may."""
    router = APIRouter(
        prefix="/api/public/media", tags=["langfuse"], include_in_schema=False, route_class=LangfuseRoute
    )

    def url_of(request: Request, media: Media, token: str) -> str:
        return content_url(request, media, token, public_url=public_url)

    @router.post("", **allows(Permission.TRACES_WRITE))
    def langfuse_announce_media(caller: Caller, body: Announced, request: Request) -> Response:
        """Where a file is to be uploaded; nowhere when it is here already."""
        given = (("trace", body.trace_id), ("dataset", body.dataset_id), ("dataset_item", body.dataset_item_id))
        subjects = [Subject(kind, name) for kind, name in given if name]
        if not subjects:
            raise Invalid("Say what refers to the file: `traceId`, `datasetId` or `datasetItemId`.", param="traceId")
        media = files.announce(
            caller,
            content_type=body.content_type,
            size=body.content_length,
            sha256=body.sha256_hash,
            subjects=subjects,
        )
        url = None
        if media.uploaded_at is None:
            url = url_of(request, media, files.pass_for(media, UPLOAD).token)
        return langfuse_answer({"mediaId": media.id, "uploadUrl": url}, 201)

    @router.put("/{media_id}/content", **allows(Permission.PUBLIC))
    async def langfuse_upload_media(media_id: str, request: Request, token: _Token) -> Response:
        """Takes the bytes of a file, which have to be those that were announced."""
        data = await request.body()
        await to_thread.run_sync(files.upload, token, media_id, data)
        return Response(status_code=200)

    @router.get("/{media_id}/content", **allows(Permission.PUBLIC))
    def langfuse_media_content(media_id: str, token: _Token) -> Response:
        """The file."""
        return _file(files, files.read_granted(token, media_id))

    @router.patch("/{media_id}", **allows(Permission.TRACES_WRITE))
    def langfuse_media_uploaded(caller: Caller, media_id: str, body: Uploaded) -> Response:
        """Takes note of how an upload went."""
        files.note_upload(caller, media_id, body.upload_http_status, body.upload_http_error or "")
        return langfuse_answer({})

    @router.get("/{media_id}", **allows(Permission.TRACES_READ))
    def langfuse_media(caller: Caller, media_id: str, request: Request) -> Response:
        """What a file is, and a URL from which it can be fetched for an hour."""
        media = files.read(caller.project, media_id)
        given = files.pass_for(media, DOWNLOAD)
        return langfuse_answer(
            {
                "mediaId": media.id,
                "contentType": media.content_type,
                "contentLength": media.size,
                "uploadedAt": media.uploaded_at,
                "url": url_of(request, media, given.token),
                "urlExpiry": given.until,
            }
        )

    return router


def _file(files: MediaFiles, media: Media) -> FileResponse:
    return FileResponse(
        files.path(media),
        media_type=media.content_type,
        filename=media.file_name,
        content_disposition_type="inline" if media.is_shown else "attachment",
        headers={"content-security-policy": _ALONE, "cache-control": "private, max-age=3600"},
    )


def content_url(request: Request, media: Media, token: str, *, public_url: str) -> str:
    """Where a file is fetched, or uploaded to, by whoever holds the token."""
    return f"{_base(request, public_url)}/api/public/media/{media.id}/content?token={token}"


def _base(request: Request, public_url: str) -> str:
    """The address under which the client reached this server: it may not reach the one that people use."""
    reached = str(request.base_url).rstrip("/")
    return public_url.rstrip("/") if urlsplit(public_url).netloc == urlsplit(reached).netloc else reached
