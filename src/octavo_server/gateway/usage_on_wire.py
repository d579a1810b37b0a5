"""Usage as clients see it: the cost added to it, and on chat streams moved to where every client looks for it.

A client that did not ask for `stream_options.include_usage` gets usage on the chunk that has the `finish_reason`
(every instrumentation reads it there) and never sees the extra chunk with empty `choices` (its code would index
into it). One that asked gets the wire as OpenAI sends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

from octavo_server.core.money import NANO_PER_USD
from octavo_server.gateway.providers import sse
from octavo_server.gateway.providers.base import StreamEvent

# Inside a JSON string a quote is escaped, so this matches only where it is structure.
_USAGE = re.compile(rb'"usage"\s*:\s*\{(\s*\})?')


def cost_text(cost_nano: int) -> str:
    """USD as clients read it from `usage.cost` and the `x-octavo-cost` header."""
    return f"{cost_nano / NANO_PER_USD:.9f}".rstrip("0").rstrip(".") or "0"


def with_cost(body: bytes, cost_nano: int | None) -> bytes:
    """The body with `cost` inside its usage object, every other byte as it was."""
    if cost_nano is None:
        return body
    match = _USAGE.search(body)
    if match is None:
        return body
    if _USAGE.search(body, match.end()) is not None:
        return _rewritten(body, cost_nano)
    at = body.index(b"{", match.start()) + 1
    comma = b"" if match.group(1) is not None else b","
    return body[:at] + b'"cost":' + cost_text(cost_nano).encode() + comma + body[at:]


def _rewritten(body: bytes, cost_nano: int) -> bytes:
    """For a body in which `usage` is also the name of something else (a tool's argument, say)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body  # an event of a stream with more than its data line: rather without cost than broken
    if isinstance(value, dict) and isinstance(value.get("usage"), dict):
        value["usage"]["cost"] = cost_nano / NANO_PER_USD
        return orjson.dumps(value)
    return body


class UsageMover:
    """Holds the chunk with the `finish_reason` until usage is known, then sends both as one."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: list[StreamEvent] = []

    @property
    def is_empty(self) -> bool:
        return not self._held

    def feed(self, events: Iterable[StreamEvent]) -> list[StreamEvent]:
        """What may be sent now."""
        out: list[StreamEvent] = []
        for event in events:
            if event.kind == "finish":
                out += self.flush()
                self._held.append(event)
            elif event.kind == "usage":
                if self._held:
                    out.append(_merged(self._held.pop(0), event))
                out += self.flush()
            elif event.kind == "" and self._held:
                self._held.append(event)  # a comment or an unknown event keeps its place
            else:
                out += self.flush()
                out.append(event)
        return out

    def flush(self) -> list[StreamEvent]:
        """What was held, without usage: none came."""
        held, self._held = self._held, []
        return held


def _merged(finish: StreamEvent, usage: StreamEvent) -> StreamEvent:
    _, finish_data = sse.read(finish.data)
    _, usage_data = sse.read(usage.data)
    chunk = orjson.loads(finish_data)
    chunk["usage"] = orjson.loads(usage_data)["usage"]
    return StreamEvent(sse.write(chunk), "finish")
