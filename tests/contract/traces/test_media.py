"""Files of traces on every control store: announced, uploaded, kept as long as something refers to them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes

import pytest

from octavo_server.core.errors import Forbidden, Invalid, NotFound, TooLarge
from octavo_server.edge.access import Principal
from octavo_server.stores.control import ControlStore
from octavo_server.stores.objects import BlobStore
from octavo_server.stores.secrets import SecretBox
from octavo_server.traces.media import Media, Subject
from octavo_server.traces.service.media import DOWNLOAD, UPLOAD, MediaFiles, forget_expired

START = datetime(2026, 6, 1, tzinfo=UTC)
KEY = Principal(kind="api_key", id="key_1", name="sdk", project_id="prj_1", environment=None)
OTHER = Principal(kind="api_key", id="key_2", name="sdk", project_id="prj_2", environment=None)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def now_ns(self) -> int:
        return int(self.at.timestamp() * 1e9)


class Shelf:
    """The files on a store, and what a client does with them."""

    def __init__(self, control: ControlStore, folder: Path) -> None:
        self.clock = Hand()
        self.control = control
        self.blobs = BlobStore(folder)
        self.files = MediaFiles(control, self.blobs, SecretBox(token_bytes(32)), self.clock, max_bytes=1000)

    def announce(self, data: bytes, *subjects: Subject, by: Principal = KEY, kind: str = "image/png") -> Media:
        sha256 = b64encode(hashlib.sha256(data).digest()).decode()
        return self.files.announce(by, content_type=kind, size=len(data), sha256=sha256, subjects=subjects)

    def put(self, data: bytes, *subjects: Subject, by: Principal = KEY) -> Media:
        media = self.announce(data, *subjects, by=by)
        if media.uploaded_at is None:
            self.files.upload(self.files.pass_for(media, UPLOAD).token, media.id, data)
        return self.files.read(by.project, media.id)

    def is_there(self, media: Media) -> bool:
        try:
            self.files.read(media.project_id, media.id)
        except NotFound:
            with pytest.raises(NotFound):
                self.blobs.get(media.project_id, media.digest)
            return False
        return self.blobs.get(media.project_id, media.digest) != b""


@pytest.fixture
def shelf(control_store: ControlStore, tmp_path: Path) -> Shelf:
    return Shelf(control_store, tmp_path / "media")


def trace(name: str) -> Subject:
    return Subject("trace", name)


def test_a_file_is_uploaded_once_for_each_project(shelf: Shelf) -> None:
    first = shelf.put(b"one", trace("a"))
    assert shelf.announce(b"one", trace("b")).uploaded_at == first.uploaded_at == START
    assert shelf.announce(b"one", trace("a"), by=OTHER).uploaded_at is None
    with pytest.raises(NotFound):
        shelf.files.read(OTHER.project, first.id)
    assert shelf.files.path(first).read_bytes() == b"one"


def test_a_pass_is_for_one_file_one_purpose_and_an_hour(shelf: Shelf) -> None:
    one, two = shelf.put(b"one", trace("a")), shelf.announce(b"two", trace("a"))
    given = shelf.files.pass_for(one, DOWNLOAD)
    assert shelf.files.read_granted(given.token, one.id) == one
    with pytest.raises(Forbidden):
        shelf.files.read_granted(given.token, two.id)
    with pytest.raises(Forbidden):
        shelf.files.upload(given.token, one.id, b"one")
    for rubbish in ("", "x", "é", given.token[:-8], given.token.lower()):
        with pytest.raises(Forbidden):
            shelf.files.read_granted(rubbish, one.id)
    shelf.clock.at += timedelta(minutes=61)
    with pytest.raises(Forbidden):
        shelf.files.read_granted(given.token, one.id)


def test_what_is_not_as_announced_is_refused(shelf: Shelf) -> None:
    media = shelf.announce(b"one", trace("a"))
    token = shelf.files.pass_for(media, UPLOAD).token
    for wrong in (b"", b"two", b"one and more"):
        with pytest.raises(Invalid):
            shelf.files.upload(token, media.id, wrong)
    with pytest.raises(NotFound):
        shelf.files.read(KEY.project, media.id)
    with pytest.raises(TooLarge):
        shelf.announce(b"x" * 1001, trace("a"))
    for kind in ("", "html", "text/html\r\nx: y", "a/b" * 100):
        with pytest.raises(Invalid):
            shelf.announce(b"one", trace("a"), kind=kind)


def test_a_file_goes_with_the_last_that_refers_to_it(shelf: Shelf) -> None:
    shared = shelf.put(b"shared", trace("a"), trace("b"))
    elsewhere = shelf.put(b"shared", trace("a"), by=OTHER)
    in_a_dataset = shelf.put(b"kept", trace("a"), Subject("dataset_item", "i"))
    shelf.files.forget_traces(KEY.project, ["a"])
    assert shelf.is_there(shared)
    shelf.files.forget_traces(KEY.project, ["b", "none"])
    assert not shelf.is_there(shared)
    assert shelf.is_there(elsewhere)
    assert shelf.is_there(in_a_dataset)
    assert shelf.is_there(shelf.put(b"shared", trace("c")))


def test_files_outlive_no_trace_that_is_kept(shelf: Shelf) -> None:
    old, fresh = shelf.put(b"old", trace("a")), shelf.put(b"seen again", trace("a"))
    in_a_dataset = shelf.put(b"kept", Subject("dataset_item", "i"))
    elsewhere = shelf.put(b"old", trace("a"), by=OTHER)

    def forget() -> int:
        return forget_expired(shelf.control, shelf.blobs, shelf.clock, {"prj_1": 30, "prj_2": 90})

    shelf.clock.at += timedelta(days=20)
    shelf.put(b"seen again", trace("later"))
    assert forget() == 0
    shelf.clock.at += timedelta(days=11)
    assert forget() == 1
    assert not shelf.is_there(old)
    assert all(shelf.is_there(one) for one in (fresh, in_a_dataset, elsewhere))
    assert forget() == 0
