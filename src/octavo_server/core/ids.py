"""Identifiers: sortable by time of making, with a prefix that says of what (`key_01J…`)."""

from __future__ import annotations

import random
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]


def new_id(prefix: str) -> str:
    """`<prefix>_<26 characters>`: a ULID, 48 bits of milliseconds and 80 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | random.getrandbits(80)
    return f"{prefix}_" + "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def new_request_id() -> str:
    """`req_<32 hex characters>`: made for every request, so it is no ULID, which takes five times as long."""
    return f"req_{random.getrandbits(128):032x}"


def new_trace_id() -> str:
    """32 hex characters, as W3C trace context has them."""
    return f"{random.getrandbits(128):032x}"


def new_span_id() -> str:
    """16 hex characters."""
    return f"{random.getrandbits(64):016x}"
