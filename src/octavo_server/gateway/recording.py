"""What is kept of a call: the project's capture mode and masks are applied here, before anything leaves this process."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Protocol

from octavo_server.governance.model import Project
from octavo_server.traces.model import CaptureMode, GatewayCall

MASK = b"[MASKED]"


class Recorder(Protocol):
    """Takes records. An awaitable answer is to be awaited before the reply is acknowledged (strict recording)."""

    def record(self, call: GatewayCall) -> Awaitable[None] | None: ...


class Masks:
    """A project's masks, compiled once."""

    __slots__ = ("_patterns",)

    def __init__(self, project: Project) -> None:
        self._patterns = [re.compile(pattern.encode()) for pattern in project.masks]

    def __call__(self, content: bytes) -> bytes:
        for pattern in self._patterns:
            content = pattern.sub(MASK, content)
        return content


def captured(project: Project, masks: Masks | None, request: bytes, response: bytes) -> tuple[bytes, bytes]:
    """The contents that may be stored."""
    if project.capture is not CaptureMode.FULL:
        return b"", b""
    if masks is None:
        return request, response
    return masks(request), masks(response)
