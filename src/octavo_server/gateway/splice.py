"""Changing one member of a JSON object and no other byte of it: numbers keep their digits, unknown fields their order.
The texts given have been parsed before, so they are known to be whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import orjson

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]', re.DOTALL)


class _Member(NamedTuple):
    start: int  # of its name
    value: int
    end: int  # of its value, blanks after it included


def replaced(raw: bytes, name: str, value: object) -> bytes:
    """The object with `name` set to `value`: in its place, or at the end when it was not there."""
    new = orjson.dumps(value)
    members = list(_members(raw, name))
    if not members:
        end = raw.rindex(b"}")
        comma = b"" if raw[:end].rstrip().endswith(b"{") else b","
        return b"".join((raw[:end], comma, orjson.dumps(name), b":", new, raw[end:]))
    for member in reversed(members):  # a name that stands twice means its last value to some, its first to others
        raw = raw[: member.value] + new + raw[member.end :]
    return raw


def without(raw: bytes, name: str) -> bytes:
    """The object without the member `name`."""
    for member in reversed(list(_members(raw, name))):
        before, after = raw[: member.start].rstrip(), raw[member.end :]
        if before.endswith(b","):
            before = before[:-1]
        elif after.startswith(b","):
            after = after[1:]
        raw = before + after
    return raw


def _members(raw: bytes, name: str) -> Iterator[_Member]:
    """The members of that name of the outermost object."""
    quoted = b'"' + name.encode() + b'"'
    depth = 0
    key: re.Match[bytes] | None = None
    wanted = False
    at_key = False
    for token in _TOKEN.finditer(raw):
        first = token[0][:1]
        if first == b'"':
            if at_key:
                key, at_key = token, False
                wanted = token[0] == quoted or (b"\\" in token[0] and orjson.loads(token[0]) == name)
        elif first in b"{[":
            depth += 1
            at_key = depth == 1
        else:
            if depth == 1 and key is not None:
                if wanted:
                    yield _Member(key.start(), raw.index(b":", key.end()) + 1, token.start())
                key = None
            if first == b",":
                at_key = depth == 1
            else:
                depth -= 1
