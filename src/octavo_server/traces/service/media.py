"""Images, sounds and files of traces: announced, uploaded to a signed URL, read back, and deleted with their traces."""

from __future__ import annotations

import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from octavo_server.core.clock import Clock
from octavo_server.core.digest import digest_bytes
from octavo_server.core.errors import Forbidden, Invalid, NotFound, TooLarge
from octavo_server.edge.access import Principal
from octavo_server.stores.control import ControlStore
from octavo_server.stores.objects import BlobStore
from octavo_server.stores.secrets import SecretBox, SecretUnreadable
from octavo_server.traces.media import Media, Subject, content_type_of, names_of
from octavo_server.traces.store import media as store

log = logging.getLogger("octavo.traces")

_URL_LASTS = timedelta(hours=1)
_UNLINKED_LASTS = timedelta(days=1)
"""How long a file stays that nothing refers to: its dataset item may come a moment later."""

UPLOAD, DOWNLOAD = "media.upload", "media.download"


class Pass(NamedTuple):
    """What a URL carries so that it needs no key, and until when it does."""

    token: str
    until: datetime


class _Grant(msgspec.Struct, array_like=True):
    project_id: str
    media_id: str
    until: float


class MediaFiles:
    """The verbs. Every verb is about one project."""

    def __init__(
        self, control: ControlStore, blobs: BlobStore, box: SecretBox, clock: Clock, *, max_bytes: int
    ) -> None:
        self._control = control
        self._blobs = blobs
        self._box = box
        self._clock = clock
        self._max_bytes = max_bytes

    def announce(
        self, by: Principal, *, content_type: str, size: int, sha256: str, subjects: Sequence[Subject]
    ) -> Media:
        """Notes a file and what refers to it. It has yet to be uploaded when `uploaded_at` is None. Raises Invalid."""
        media_id, digest = names_of(sha256)
        kind = content_type_of(content_type)
        if not 0 < size <= self._max_bytes:
            raise TooLarge(f"`contentLength` is {size}; expected 1 to {self._max_bytes} bytes.", param="contentLength")
        now = self._clock.now()
        with self._control.transaction() as tx:
            found = store.find_media(tx.connection, by.project, media_id)
            if found is None:
                found = Media(
                    project_id=by.project,
                    id=media_id,
                    digest=digest,
                    content_type=kind,
                    size=size,
                    created_at=now,
                )
                store.insert_media(tx.connection, found)
            for subject in subjects:
                store.link(tx.connection, found, subject, now)
        return found

    def pass_for(self, media: Media, purpose: str) -> Pass:
        """Lets whoever has it upload or read this one file, for an hour."""
        until = self._clock.now() + _URL_LASTS
        grant = msgspec.json.encode(_Grant(media.project_id, media.id, until.timestamp()))
        return Pass(urlsafe_b64encode(self._box.seal(grant, purpose)).decode(), until)

    def upload(self, token: str, media_id: str, data: bytes) -> None:
        """Takes the bytes of an announced file. Raises Forbidden, Invalid."""
        one = self._granted(token, media_id, UPLOAD)
        if len(data) != one.size or digest_bytes(data) != one.digest:
            raise Invalid(
                f"The body has {len(data)} bytes and the SHA-256 {digest_bytes(data)}; announced were {one.size} bytes "
                f"with {one.digest}."
            )
        self._blobs.put(one.project_id, data)
        with self._control.transaction() as tx:
            store.mark_uploaded(tx.connection, one.project_id, one.id, self._clock.now())

    def note_upload(self, by: Principal, media_id: str, status: int, error: str) -> None:
        """Logs an upload that failed at the client. Raises NotFound."""
        with self._control.read() as sql:
            store.get_media(sql, by.project, media_id)
        if status >= 300:
            log.warning("the upload of media %s failed at the client with %d: %s", media_id, status, error[:300])

    def read(self, project_id: str, media_id: str) -> Media:
        """A file that is uploaded. Raises NotFound."""
        with self._control.read() as sql:
            found = store.get_media(sql, project_id, media_id)
        if found.uploaded_at is None:
            raise NotFound(f"The media {media_id[:80]!r} is not uploaded yet.", code="media_not_uploaded")
        return found

    def read_granted(self, token: str, media_id: str) -> Media:
        """The file that a URL lets its holder read. Raises Forbidden, NotFound."""
        found = self._granted(token, media_id, DOWNLOAD)
        return self.read(found.project_id, found.id)

    def path(self, media: Media) -> Path:
        """Where the bytes are. Raises NotFound."""
        return self._blobs.path(media.project_id, media.digest)

    def forget_traces(self, project_id: str, trace_ids: Sequence[str]) -> None:
        """Deletes the files that only these traces refer to."""
        with self._control.transaction() as tx:
            touched = store.unlink(tx.connection, project_id, "trace", trace_ids)
            _delete(self._blobs, store.take_unlinked(tx.connection, project_id, among=touched))

    def _granted(self, token: str, media_id: str, purpose: str) -> Media:
        try:
            grant = msgspec.json.decode(self._box.open(urlsafe_b64decode(token), purpose), type=_Grant)
        except (ValueError, SecretUnreadable):
            raise Forbidden("This URL is not one that the server gave.", code="invalid_url") from None
        if grant.media_id != media_id or grant.until < self._clock.now().timestamp():
            raise Forbidden("This URL is for another file, or has expired; ask for a new one.", code="url_expired")
        with self._control.read() as sql:
            return store.get_media(sql, grant.project_id, media_id)


def forget_expired(control: ControlStore, blobs: BlobStore, clock: Clock, days: Mapping[str, int]) -> int:
    """Deletes the files that no trace refers to which a project still keeps, and says how many. A trace refers to its
    files from when the client told of them, which is when it was traced."""
    now = clock.now()
    count = 0
    for project_id, kept in days.items():
        with control.transaction() as tx:
            store.unlink_older(tx.connection, project_id, "trace", now - timedelta(days=kept))
            gone = store.take_unlinked(tx.connection, project_id, before=now - _UNLINKED_LASTS)
            _delete(blobs, gone)
        count += len(gone)
    return count


def _delete(blobs: BlobStore, gone: Sequence[Media]) -> None:
    """Within the transaction that takes them out: a client that announces one of them again waits, and then is asked
    for the bytes."""
    for one in gone:
        blobs.delete(one.project_id, one.digest)
