"""Content addressing: the SHA-256 of a value's RFC 8785 canonical JSON."""

from __future__ import annotations

import hashlib

import rfc8785

PREFIX = "sha256:"

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


def canonical_json(value: JSON) -> bytes:
    """The one byte string that RFC 8785 gives a JSON value, whatever its key order or spacing was."""
    return rfc8785.dumps(value)


def digest(value: JSON) -> str:
    """`sha256:<64 hex>` of the canonical JSON of `value`."""
    return digest_bytes(canonical_json(value))


def digest_bytes(data: bytes) -> str:
    """`sha256:<64 hex>` of raw bytes, for blobs."""
    return PREFIX + hashlib.sha256(data).hexdigest()
