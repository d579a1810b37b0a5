"""Identifiers: sortable by time of making, with a prefix that says of what (`key_01J…`)."""

from __future__ import annotations

import secrets
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """`<prefix>_<26 characters>`: a ULID, 48 bits of milliseconds and 80 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return f"{prefix}_" + "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def new_trace_id() -> str:
    """32 hex characters, as W3C trace context has them."""
    return secrets.token_hex(16)


def new_span_id() -> str:
    """16 hex characters."""
    return secrets.token_hex(8)
