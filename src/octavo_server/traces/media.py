"""Images, sounds and files that spans refer to. Pure.

A span holds a reference, `@@@langfuseMedia:type=image/png|id=…|source=bytes@@@`; the file is kept beside, once for each
project, under an id that is the beginning of its SHA-256.
"""

from __future__ import annotations

import mimetypes
import re
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime

import msgspec

from octavo_server.core.digest import PREFIX
from octavo_server.core.errors import Invalid

_ID_LENGTH = 22
_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")
_SHOWN = ("image/", "audio/", "video/", "application/pdf")


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a project. `uploaded_at` is None until its bytes are here."""

    project_id: str
    id: str
    digest: str
    content_type: str
    size: int
    created_at: datetime
    uploaded_at: datetime | None = None

    @property
    def file_name(self) -> str:
        """What the file is called when it is saved."""
        return self.id + (mimetypes.guess_extension(self.content_type) or ".bin")

    @property
    def is_shown(self) -> bool:
        """Whether a browser may show it in place: what can hold a script is saved instead."""
        return self.content_type.startswith(_SHOWN) and "xml" not in self.content_type


class Subject(msgspec.Struct, frozen=True):
    """What refers to a file: a trace, a dataset or an item of one."""

    kind: str  # trace | dataset | dataset_item
    id: str


def names_of(sha256: str) -> tuple[str, str]:
    """The id and the digest of a file, from its SHA-256 in base64. Raises Invalid."""
    try:
        raw = b64decode(sha256, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise Invalid(f"`sha256Hash` is {sha256[:60]!r}; expected the 32 bytes in base64.", param="sha256Hash")
    return urlsafe_b64encode(raw).decode()[:_ID_LENGTH], PREFIX + raw.hex()


def content_type_of(given: str) -> str:
    """A content type without its parameters. Raises Invalid."""
    kind = given.partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(kind):
        raise Invalid(f"`contentType` is {given[:60]!r}; expected one such as image/png.", param="contentType")
    return kind
