"""What is kept of a call: the project's capture mode and masks are applied here, before anything leaves this process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterable
from typing import Any, Protocol

import msgspec
import orjson

from octavo_server.governance.model import Project
from octavo_server.traces.gateway_calls import span_of_call
from octavo_server.traces.model import CaptureMode, GatewayCall

MASK = "[MASKED]"
_LARGE = 64 << 10
"""Contents beyond this are masked in a thread, so that they hold up nobody."""


class Recorder(Protocol):
    """Takes records. An awaitable answer is to be awaited before the reply is acknowledged (strict recording)."""

    def record(self, call: GatewayCall) -> Awaitable[None] | None: ...


class Masks:
    """A project's masks, compiled once. They see texts as a person would: JSON is unescaped, and what a stream cut into
    pieces is put together first."""

    __slots__ = ("_patterns",)

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def text(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON value with all its texts and whole numbers masked; names that are plain words stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name if name.isidentifier() else self.text(name): self.value(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if type(value) is int:
            text = str(value)
            masked = self.text(text)
            return value if masked == text else masked
        return value

    def body(self, raw: bytes) -> bytes:
        """A body, JSON or not."""
        if not raw:
            return raw
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return self.text(raw.decode("utf-8", "replace")).encode()
        try:
            return orjson.dumps(self.value(value))
        except (RecursionError, orjson.JSONEncodeError):
            return orjson.dumps(MASK)  # nested too deeply to look through: rather nothing than something unmasked

    def call(self, call: GatewayCall) -> GatewayCall:
        """The record with everything masked that a client or a provider wrote into it."""
        response = call.response
        if response and call.streaming and not response.startswith(b"{"):
            response = self._put_together(call)
        return msgspec.structs.replace(
            call,
            request=self.body(call.request),
            response=self.body(response),
            error_message=self.text(call.error_message),
            context=self.value(call.context),
            request_headers=self.value(call.request_headers),
        )

    def _put_together(self, call: GatewayCall) -> bytes:
        """A stream's whole output, as a body."""
        try:
            whole = span_of_call(msgspec.structs.replace(call, request=b"")).output
            return orjson.dumps({"output": _value(whole)})
        except (RecursionError, orjson.JSONEncodeError):
            return orjson.dumps(MASK)


async def kept(call: GatewayCall, project: Project, masks: Masks | None) -> GatewayCall:
    """What the project wants kept of a call."""
    if project.capture is not CaptureMode.FULL:
        call = msgspec.structs.replace(call, request=b"", response=b"")
    if project.capture is CaptureMode.NONE:
        call = msgspec.structs.replace(call, context={}, request_headers={}, error_message="")
    if masks is not None:
        if len(call.request) + len(call.response) > _LARGE:
            return await asyncio.to_thread(masks.call, call)
        return masks.call(call)
    return call


def _value(text: str) -> Any:
    """What a span's `output` stands for: a text, or JSON when it was structured."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
