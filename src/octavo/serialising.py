"""Any value of an application as text for a span: JSON where it is data, never raising, never endless."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from types import MappingProxyType
from typing import Any
from uuid import UUID

from octavo.quietly import quietly

MOST_CHARACTERS = 200_000
"""Of one input, output or metadata."""

_DEEPEST = 32
_LONGEST_REPR = 1000
_SHOWN_BYTES = 3000


def text_of(value: Any, most: int = MOST_CHARACTERS) -> str:
    """A text as it is, anything else as JSON; cut, saying so, where it is longer than `most` characters."""
    if isinstance(value, str):
        return _sendable(_cut(str(value), most))
    plain = plain_of(value, most)
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError) as error:
        text = json.dumps(f"<not serialisable: {error}>")
    text = _sendable(text)
    return text if len(text) <= 2 * most else json.dumps(_cut(text, most), ensure_ascii=False)


def plain_of(value: Any, most: int = MOST_CHARACTERS) -> Any:
    """The value as dicts, lists, texts, numbers, booleans and None, of about `most` characters in all."""
    return _Plain(most).of(value)


class _Plain:
    def __init__(self, most: int) -> None:
        self._left = most
        self._above: set[int] = set()

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            self._left -= 4
            return value
        if isinstance(value, Enum):
            return self.of(value.value)
        if isinstance(value, str):
            shown = _cut(str(value), max(self._left, 0))
            self._left -= len(shown)
            return shown
        if isinstance(value, int):
            self._left -= 8
            return int(value) if abs(value) < 2**63 else f"<a number of {value.bit_length()} bits>"
        if isinstance(value, float):
            self._left -= 8
            return float(value) if math.isfinite(value) else str(float(value))
        if self._left <= 0:
            return "…"
        if id(value) in self._above:
            return f"<the {type(value).__name__} that this is in>"
        if len(self._above) >= _DEEPEST:
            return f"<{type(value).__name__}, nested too deep>"
        self._above.add(id(value))
        try:
            given = self._inside(value)
        finally:
            self._above.discard(id(value))
        return f"<{type(value).__name__}>" if given is None else given

    @quietly
    def _inside(self, value: Any) -> Any:
        # Other mappings, a web request for one, are no data.
        if isinstance(value, (dict, MappingProxyType)):
            return {_key(key): self.of(one) for key, one in self._while_room(value.items())}
        if isinstance(value, (list, tuple, deque, Set)):
            return [self.of(one) for one in self._while_room(value)]
        if isinstance(value, (bytes, bytearray, memoryview)):
            shown = b64encode(bytes(value[:_SHOWN_BYTES])).decode()
            return {"bytes": len(value), "base64": self.of(shown)}
        if isinstance(value, (datetime, date, time)):
            return value.isoformat()
        if isinstance(value, (UUID, Decimal)):
            return str(value)
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}"
        if isinstance(value, type) or callable(value):
            return f"<{getattr(value, '__qualname__', type(value).__name__)}>"
        if is_dataclass(value):
            # A field that is not shown is a secret, or large.
            return {one.name: self.of(getattr(value, one.name, None)) for one in fields(value) if one.repr}
        if callable(dump := getattr(type(value), "model_dump", None)):
            return self.of(dump(value, warnings=False))
        if callable(listed := getattr(type(value), "tolist", None)) and 0 < _size(value) <= self._left:
            return self.of(listed(value))
        own_repr: object = type(value).__repr__
        if isinstance(value, (Iterator, AsyncIterator, Awaitable)) or own_repr is object.__repr__:
            return None  # its type says as much, and no address in memory makes two equal spans different
        return self.of(repr(value)[:_LONGEST_REPR])

    def _while_room(self, items: Iterable[Any]) -> Iterable[Any]:
        yield from (one for one in islice(items, self._left + 1) if self._left > 0)


def _size(value: Any) -> int:
    """How many numbers an array holds."""
    size = getattr(value, "size", 0)
    return size if isinstance(size, int) else 0


def _key(key: Any) -> str:
    return str(key.value if isinstance(key, Enum) else key)[:_LONGEST_REPR]


def _sendable(text: str) -> str:
    """A lone surrogate is a text in Python and in no encoding."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} characters more)"
