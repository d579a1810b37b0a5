"""Server-sent events: cutting a byte stream into events, reading one, writing one."""

from __future__ import annotations

import re
from typing import Any

import orjson

from octavo_server.core.errors import UpstreamError

MAX_EVENT_BYTES = 32 * 1024 * 1024

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")


class Splitter:
    """Cuts bytes into events, terminator included, however they are split over packets."""

    __slots__ = ("_rest", "_scanned")

    def __init__(self) -> None:
        self._rest = b""
        self._scanned = 0

    def feed(self, data: bytes) -> list[bytes]:
        buffer = self._rest + data if self._rest else data
        events = []
        start = 0
        scan = self._scanned
        while (end := _END.search(buffer, scan)) is not None:
            events.append(buffer[start : end.end()])
            start = scan = end.end()
        self._rest = buffer[start:] if start else buffer
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamError(f"The provider sent one event of more than {MAX_EVENT_BYTES} bytes.")
        self._scanned = max(0, len(self._rest) - 3)
        return events

    def finish(self) -> list[bytes]:
        """The last event when it came without its blank line, as some servers end; half an event is dropped."""
        rest, self._rest, self._scanned = self._rest, b"", 0
        data = read(rest)[1]
        try:
            whole = data == b"[DONE]" or isinstance(orjson.loads(data), dict)
        except orjson.JSONDecodeError:
            whole = False
        return [rest.rstrip() + b"\n\n"] if whole else []


def read(event: bytes) -> tuple[str, bytes]:
    """The name and the data of one event; comments give no data."""
    if event.startswith(b"data: ") and event.count(b"\n") == 2 and event.endswith(b"\n\n"):
        return "", event[6:-2]
    name, data = "", []  # type: str, list[bytes]
    for line in event.splitlines():
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")
    return name, b"\n".join(data)


def read_json(data: bytes) -> dict[str, Any]:
    """The object in an event's data."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("The provider sent an event that is not JSON.") from error
    if not isinstance(value, dict):
        raise UpstreamError("The provider sent an event that is not a JSON object.")
    return value


def write(value: object, name: str = "") -> bytes:
    """One event holding `value` as JSON."""
    if name:
        return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"
    return b"data: " + orjson.dumps(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"
