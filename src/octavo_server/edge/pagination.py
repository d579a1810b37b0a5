"""Cursor pages: `{"data": [...], "next_cursor": "…" | null}`. A cursor is opaque to the client."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid

T = TypeVar("T")

MAX_LIMIT = 1000


class Page(BaseModel, Generic[T]):
    """One page of results, and the cursor of the next or null on the last."""

    data: list[T]
    next_cursor: str | None = None


def encode_cursor(position: JSON) -> str:
    """An opaque text for a position in an ordering."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode_cursor(cursor: str) -> JSON:
    """The position behind a cursor. Raises Invalid for a text this server did not make."""
    try:
        decoded: JSON = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise Invalid(f"cursor {cursor[:40]!r} is not one this server gave out; start again without it") from None
    return decoded


def position_of(cursor: str, kind: type, first: Any) -> Any:
    """The position behind a cursor, of this type; `first` where there is none. Raises Invalid for one of another list."""
    if not cursor:
        return first
    position = decode_cursor(cursor)
    if type(position) is not kind:
        raise Invalid(f"cursor {cursor[:40]!r} is not one of this list; start again without it.", param="cursor")
    return position
