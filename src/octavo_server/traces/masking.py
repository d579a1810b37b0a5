"""A project's masks on what clients send, before it is stored. They see texts as a person would: JSON is unescaped, also
where it stands in a text of another JSON. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from octavo_server.core.digest import JSON
from octavo_server.traces import dialects
from octavo_server.traces.model import Score, SpanEvent, SpanLink
from octavo_server.traces.otlp import RawLog, RawSpan, Sender

MASK = "[MASKED]"
_INNER = 4
"""How many times JSON may stand in a text of JSON; what is further in is masked as the text that it is."""

_NUMBERS = frozenset(
    name
    for field in (
        "usage",
        "costs",
        "cost",
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read",
        "cache_write",
        "reasoning",
        "input_audio",
        "output_audio",
        "first_token_at",
        "first_token_s",
        "first_token_ms",
    )
    for name in dialects.FIELDS[field]
)
"""Attributes whose numbers are counted, and therefore stay, whatever a mask for numbers says."""


class Masker:
    """Some masks, compiled once."""

    def __init__(self, masks: tuple[str, ...]) -> None:
        self._patterns = [re.compile(mask) for mask in masks]
        self._sender: tuple[Sender, Sender] | None = None

    def span(self, raw: RawSpan) -> RawSpan:
        """A span with everything masked that a client wrote into it but ids, numbers that are counted, and the names
        of attributes."""
        return RawSpan(
            self._masked_sender(raw.sender),
            raw.trace_id,
            raw.span_id,
            raw.parent_span_id,
            self.text(raw.name),
            raw.kind,
            raw.start_ns,
            raw.end_ns,
            raw.status_code,
            self.text(raw.status_message),
            raw.flags,
            raw.trace_state,
            self.attributes(raw.attributes),
            [self.event(event) for event in raw.events],
            [self._link(link) for link in raw.links],
        )

    def log(self, raw: RawLog) -> RawLog:
        """A log record."""
        return RawLog(raw.trace_id, raw.span_id, self.event(raw.event))

    def score(self, score: Score) -> Score:
        """A score: what people and programs say in it."""
        return msgspec.structs.replace(
            score,
            string_value=self.text(score.string_value),
            comment=self.text(score.comment),
            metadata=self.value(score.metadata),
        )

    def event(self, event: SpanEvent) -> SpanEvent:
        """An event of a span."""
        return SpanEvent(
            name=self.text(event.name), time_ns=event.time_ns, attributes=self.attributes(event.attributes)
        )

    def attributes(self, attributes: dict[str, JSON]) -> dict[str, JSON]:
        """The values of attributes."""
        return {name: self.value(value, numbers=name not in _NUMBERS) for name, value in attributes.items()}

    def value(self, value: Any, *, numbers: bool = True, depth: int = 0) -> Any:
        """A JSON value; `numbers`: whole numbers too."""
        if isinstance(value, str):
            return self.text(value, numbers=numbers, depth=depth)
        if isinstance(value, list):
            return [self.value(one, numbers=numbers, depth=depth) for one in value]
        if isinstance(value, dict):
            return {
                name if name.isidentifier() else self._plain(name): self.value(one, numbers=numbers, depth=depth)
                for name, one in value.items()
            }
        if numbers and type(value) is int:
            masked = self._plain(str(value))
            return value if masked == str(value) else masked
        return value

    def text(self, text: str, *, numbers: bool = True, depth: int = 0) -> str:
        """A text, or the JSON that it holds."""
        if text[:1] in ("{", "[", '"') and depth < _INNER:
            try:
                told = orjson.loads(text)
            except orjson.JSONDecodeError:
                return self._plain(text)
            try:
                masked = self.value(told, numbers=numbers, depth=depth + 1)
                return text if masked == told else orjson.dumps(masked).decode()
            except (RecursionError, orjson.JSONEncodeError):
                return MASK  # nested too deeply to look through: rather nothing than something unmasked
        return self._plain(text)

    def _plain(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        return text

    def _masked_sender(self, sender: Sender) -> Sender:
        # The spans of one body share theirs.
        if self._sender is None or self._sender[0] is not sender:
            masked = Sender(
                resource=self.attributes(sender.resource),
                scope_name=sender.scope_name,
                scope_version=sender.scope_version,
                scope_attributes=self.attributes(sender.scope_attributes),
            )
            self._sender = (sender, masked)
        return self._sender[1]

    def _link(self, link: SpanLink) -> SpanLink:
        return msgspec.structs.replace(link, attributes=self.attributes(link.attributes))


@lru_cache(maxsize=256)
def masker_of(masks: tuple[str, ...]) -> Masker:
    """The masker of a project's masks."""
    return Masker(masks)
