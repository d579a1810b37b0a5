"""Passing a provider's stream on to the client as it comes, with usage and cost where clients look for them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from octavo_server.core.clock import Clock
from octavo_server.core.errors import UpstreamError
from octavo_server.gateway.passage import Passage
from octavo_server.gateway.providers.base import CHAT, COMPLETIONS, Stream, StreamEvent
from octavo_server.gateway.upstream import UpstreamStream
from octavo_server.gateway.usage_on_wire import UsageMover, with_cost

_WITH_USAGE = frozenset({"finish", "usage", "done"})
_NOTABLE = re.compile(rb'"(?:finish_reason"\s*:\s*"|usage"\s*:\s*\{|error"\s*:\s*[{"])')
"""What can make a chat event more than one more piece of text; inside a JSON string its quotes would be escaped."""
_DONE = b"[DONE]"


class Relay:
    """One stream on its way to one client."""

    __slots__ = ("_clock", "_mover", "_passage", "_plain", "_stream", "_upstream", "_whole")

    def __init__(
        self, passage: Passage, upstream: UpstreamStream, stream: Stream, clock: Clock, *, passthrough: bool
    ) -> None:
        self._passage = passage
        self._upstream = upstream
        self._stream = stream
        self._clock = clock
        self._mover = None if passage.call.wants_usage else UsageMover()
        self._plain = passthrough and passage.call.endpoint in (CHAT, COMPLETIONS)
        self._whole = False
        """Nothing is held back: all that came so far ended with a whole event."""

    async def run(self, finish: Callable[[bytes], Awaitable[None]]) -> None:
        """Writes all but the last piece and gives that to `finish`. Raises UpstreamError when the stream breaks."""
        passage, stream = self._passage, self._stream
        write, read = passage.reply.write, self._upstream.read_chunk
        passage.facts = stream.facts
        while (chunk := await read()) is not None:
            if self._is_more_text(chunk):
                passage.keep(chunk)
                await write(chunk)
                continue
            events = self._moved(stream.feed(chunk))
            self._whole = chunk.endswith(b"\n\n")
            if events and (data := self._outgoing(events)):
                if events[-1].kind == "done":
                    await finish(data)
                    return
                passage.keep(data)
                await write(data)
        events = self._moved(stream.finish())
        if self._mover is not None:
            events = [*events, *self._mover.flush()]
        data = self._outgoing(events)
        if not stream.complete and stream.failure is None:
            raise UpstreamError("The provider's stream ended before it was complete.")
        await finish(data)

    def _is_more_text(self, chunk: bytes) -> bool:
        """Whether these are whole events of which the parser would only say that they are further pieces of output:
        nine in ten are, and reading each would cost more than all the rest."""
        return (
            self._plain
            and self._whole
            and self._passage.first_token_ns != 0
            and (self._mover is None or self._mover.is_empty)
            and chunk.endswith(b"\n\n")
            and _DONE not in chunk
            and _NOTABLE.search(chunk) is None
        )

    def _moved(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        return events if self._mover is None else self._mover.feed(events)

    def _outgoing(self, events: Sequence[StreamEvent]) -> bytes:
        """The bytes of some events, the cost added to the one that carries usage."""
        passage = self._passage
        if not passage.first_token_ns and any(event.kind == "content" for event in events):
            passage.first_token_ns = self._clock.now_ns()
        if self._stream.failure is not None:
            events = [self._without_secret(event) for event in events]
        if passage.facts.usage is None:
            return events[0].data if len(events) == 1 else b"".join([event.data for event in events])
        pieces = []
        for event in events:
            data = event.data
            if event.kind in _WITH_USAGE or data.startswith(b"event: message_delta"):
                passage.settle()
                data = with_cost(data, passage.cost_nano)
            pieces.append(data)
        return b"".join(pieces)

    def _without_secret(self, event: StreamEvent) -> StreamEvent:
        """A provider that refuses in its stream may quote the credentials it was sent."""
        secret = self._passage.hop.connection.secret if self._passage.hop is not None else ""
        return event._replace(data=event.data.replace(secret.encode(), b"[secret]")) if secret else event
