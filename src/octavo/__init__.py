"""Octavo: what an application imports (client SDK and CLI).

    from octavo import Octavo

Importing this costs nothing; a name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octavo.client import AsyncOctavo, Octavo
    from octavo.errors import APIError, OctavoError

__all__ = ["APIError", "AsyncOctavo", "Octavo", "OctavoError"]

_HOMES = {
    "APIError": "octavo.errors",
    "AsyncOctavo": "octavo.client",
    "Octavo": "octavo.client",
    "OctavoError": "octavo.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'octavo' has no attribute {name!r}")
    from importlib import import_module  # an application that never asks a server need not load an HTTP client

    return getattr(import_module(_HOMES[name]), name)
