"""Counting attempts in this process, for login limits without a counter server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_MOST = 10_000


class Attempts:
    """How often something was tried within a window that begins with the first try. Bounded: the oldest windows are
    forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}

    def add(self, name: str, window_s: int) -> int:
        """One more; how many there are in the window."""
        now = self._clock()
        with self._lock:
            ends, count = self._windows.pop(name, (0.0, 0))
            if ends <= now:
                ends, count = now + window_s, 0
            self._windows[name] = (ends, count + 1)
            while len(self._windows) > _MOST:
                del self._windows[next(iter(self._windows))]
            return count + 1

    def clear(self, name: str) -> None:
        with self._lock:
            self._windows.pop(name, None)
