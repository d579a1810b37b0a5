"""Files in traces, as Langfuse's SDK uploads and fetches them, and how a browser gets them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx
import pytest
from langfuse import Langfuse
from langfuse.api import LangfuseAPI
from langfuse.api.commons.errors import AccessDeniedError, NotFoundError
from langfuse.api.core import ApiError
from langfuse.media import LangfuseMedia

from tests.e2e.langfuse.steps import soon
from tests.e2e.stack import Admin, Stack

pytestmark = pytest.mark.xdist_group("langfuse")

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def media_id(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()[:22]


def test_files_in_every_field_come_back(langfuse: Langfuse, admin: Admin, stack: Stack) -> None:
    sound = LangfuseMedia(content_bytes=b"ID3 a sound", content_type="audio/mpeg")
    page = LangfuseMedia(content_bytes=b"%PDF-1.7 a page", content_type="application/pdf")
    uri = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
    with langfuse.start_as_current_observation(name="look", input={"image_url": uri}) as root:
        root.update(output=[{"say": sound}], metadata={"source": page})
    langfuse.flush()

    def seen() -> Any:
        return langfuse.api.observations.get_many(trace_id=root.trace_id, fields="basic,io,metadata").data

    (one,) = soon(seen)
    assert f"@@@langfuseMedia:type=image/png|id={media_id(PIXEL)}|source=base64_data_uri@@@" in one.input
    assert media_id(b"ID3 a sound") in one.output
    assert media_id(b"%PDF-1.7 a page") in str(one.metadata["source"])

    image = langfuse.api.media.get(media_id(PIXEL))
    assert (image.content_type, image.content_length) == ("image/png", len(PIXEL))
    whole = langfuse.resolve_media_references(obj=one.input, resolve_with="base64_data_uri")
    assert uri in whole
    told = langfuse.api.media.get(media_id(b"%PDF-1.7 a page"))
    assert httpx.get(told.url).content == b"%PDF-1.7 a page"
    assert httpx.get(told.url.replace("token=", "token=x")).status_code == 403
    assert httpx.get(told.url.replace(told.media_id, image.media_id)).status_code == 403

    shown = admin.fetch(f"/media/{media_id(PIXEL)}")
    assert (shown.content, shown.headers["content-type"]) == (PIXEL, "image/png")
    assert shown.headers["content-disposition"].startswith("inline")
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"
    part = admin.fetch(f"/media/{media_id(b'ID3 a sound')}", {"range": "bytes=0-2"})
    assert (part.status_code, part.content) == (206, b"ID3")
    project = admin.call("GET", "/projects/langfuse")["id"]
    assert admin.fetch(f"/projects/{project}/media/{media_id(PIXEL)}").content == PIXEL


def announced(langfuse: Langfuse, data: bytes, kind: Any = "text/html", **about: Any) -> Any:
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return langfuse.api.media.get_upload_url(
        **{"content_type": kind, "content_length": len(data), "sha256hash": digest, "field": "input"}
        | (about or {"trace_id": "7" * 32})
    )


def test_only_what_was_announced_is_taken_and_once(langfuse: Langfuse, admin: Admin) -> None:
    data = b"<script>alert(1)</script>"
    first = announced(langfuse, data)
    assert first.media_id == media_id(data)
    with pytest.raises(NotFoundError):
        langfuse.api.media.get(first.media_id)
    assert httpx.put(first.upload_url, content=b"<script>alert(2)</script>").status_code == 400
    assert httpx.put(first.upload_url.replace("token=", "token=x"), content=data).status_code == 403
    assert httpx.put(first.upload_url, content=data, headers={"content-type": "text/html"}).status_code == 200
    assert announced(langfuse, data).upload_url is None

    html = admin.fetch(f"/media/{first.media_id}")
    assert html.headers["content-disposition"].startswith("attachment")
    assert httpx.put(langfuse.api.media.get(first.media_id).url, content=data).status_code == 403

    for wrong in ({"content_length": 1 << 40}, {"sha256hash": "x"}, {"content_type": "<>"}, {"trace_id": None}):
        with pytest.raises(ApiError) as told:
            announced(langfuse, data, **{"trace_id": "7" * 32, **wrong})
        assert told.value.status_code in (400, 413)
        assert told.value.body["message"]


def test_a_file_goes_with_the_last_trace_that_holds_it(langfuse: Langfuse, deleter: LangfuseAPI) -> None:
    def traced(name: str) -> str:
        with langfuse.start_as_current_observation(
            name=name, input=LangfuseMedia(content_bytes=b"shared by two", content_type="text/plain")
        ) as root:
            pass
        langfuse.flush()
        soon(lambda: langfuse.api.observations.get_many(trace_id=root.trace_id).data)
        return root.trace_id

    first, second = traced("first"), traced("second")
    shared = media_id(b"shared by two")
    with pytest.raises(AccessDeniedError):
        langfuse.api.trace.delete(first)
    deleter.trace.delete(first)
    assert langfuse.api.media.get(shared).content_type == "text/plain"
    deleter.trace.delete(second)
    with pytest.raises(NotFoundError):
        langfuse.api.media.get(shared)
