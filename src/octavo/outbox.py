"""What is on its way to the server: a bounded queue and a thread that sends from it, again while the server is away."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from enum import Enum
from secrets import SystemRandom
from typing import Generic, TypeVar

from octavo.quietly import log, quietly

T = TypeVar("T")

_LONGEST_PAUSE_S = 30.0
_PAUSE_WHEN_AWAITED_S = 0.2
_ENDING_S = 1.0


class Sent(Enum):
    """What became of a batch that is not to be sent again."""

    TAKEN = 1
    REFUSED = 2


class Later(float):
    """The server is away, or asks to wait this many seconds; 0 leaves the pause to the outbox."""


class Outbox(Generic[T]):
    """First in, first out. Putting into it never blocks: when it is full, what comes is dropped, counted, and that is
    logged once until the server is back. A forked child begins with an empty one."""

    def __init__(
        self,
        what: str,
        send: Callable[[list[T]], Sent | Later],
        *,
        weigh: Callable[[T], int] = lambda _: 1,
        most: int = 10_000,
        most_weight: int = 64 << 20,
        batch: int = 512,
        batch_weight: int = 8 << 20,
        gather_s: float = 0.5,
    ) -> None:
        self._what = what
        self._send = quietly(send)
        self._weigh = weigh
        self._most, self._most_weight = most, most_weight
        self._batch, self._batch_weight = batch, batch_weight
        self._gather_s = gather_s
        self._begin()
        if hasattr(os, "register_at_fork"):  # not on Windows
            method = weakref.WeakMethod(self._begin)
            os.register_at_fork(after_in_child=lambda: (begin := method()) and begin())

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._thread: threading.Thread | None = None
        self.closed = False
        self._put = self._done = self._failures = 0
        self._awaited = 0  # how far those who flush wait
        self.sent = self.refused = self.dropped = 0
        self._dropped_before = 0

    def put(self, item: T) -> bool:
        """Whether there was room for it."""
        weight = self._weigh(item)
        with self._changed:
            full = len(self._queue) >= self._most or self._weight + weight > self._most_weight
            if self.closed or full:
                self.dropped += 1
                if self.dropped == self._dropped_before + 1 and not self.closed:
                    log.warning("Octavo's queue is full: %s are dropped until the server takes them again", self._what)
                return False
            self._queue.append((item, weight))
            self._weight += weight
            self._put += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"octavo-{self._what}", daemon=True)
                self._thread.start()
            if len(self._queue) in (1, self._batch):
                self._changed.notify_all()
            return True

    def flush(self, timeout_s: float, *, patient: bool = True) -> bool:
        """Whether all that was put has been taken within the time. Not `patient`: gives up when sending fails once."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            upto, refused, failures = self._put, self.refused, self._failures
            self._awaited = max(self._awaited, upto)
            self._changed.notify_all()
            while self._done < upto and not self.closed:
                left = deadline - time.monotonic()
                if left <= 0 or (not patient and self._failures > failures):
                    self._awaited = min(self._awaited, self._done)
                    return False
                self._changed.wait(left)
            return self._done >= upto and self.refused == refused

    def close(self) -> None:
        """Ends the thread, waiting a moment for what it is sending; what is still here is dropped."""
        with self._changed:
            self.closed = True
            self.dropped += len(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_ENDING_S)

    def _run(self) -> None:
        changed = self._changed  # a fork makes another one
        while True:
            with changed:
                changed.wait_for(lambda: self._queue or self.closed)
                if self._awaited <= self._done:
                    changed.wait_for(
                        lambda: self.closed or self._awaited > self._done or len(self._queue) >= self._batch,
                        self._gather_s,
                    )
                if self.closed:
                    return
                batch = self._take()
            if not self._deliver(batch, changed):
                return

    def _take(self) -> list[T]:
        taken: list[T] = []
        weight = 0
        while self._queue and len(taken) < self._batch and (not taken or weight < self._batch_weight):
            item, own = self._queue.popleft()
            taken.append(item)
            weight += own
        self._weight -= weight
        return taken

    def _deliver(self, batch: list[T], changed: threading.Condition) -> bool:
        pause = 0.5
        while True:
            outcome = self._send(batch)
            with changed:
                if not isinstance(outcome, Later):
                    self._done += len(batch)
                    if outcome is Sent.TAKEN:
                        self.sent += len(batch)
                        self._tell_recovery()
                    else:
                        self.refused += len(batch)
                    changed.notify_all()
                    return True
                self._failures += 1
                changed.notify_all()
                # Not of `random`, whose sequence is the application's.
                wait = min(float(outcome) or pause, _LONGEST_PAUSE_S) * SystemRandom().uniform(0.8, 1.0)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                if self._awaited > self._done:
                    changed.wait_for(lambda: self.closed, min(wait, _PAUSE_WHEN_AWAITED_S))
                else:
                    changed.wait_for(lambda: self.closed or self._awaited > self._done, wait)
                if self.closed:
                    self.dropped += len(batch)
                    return False

    def _tell_recovery(self) -> None:
        if lost := self.dropped - self._dropped_before:
            log.warning("Octavo takes %s again; %d were dropped in between", self._what, lost)
            self._dropped_before = self.dropped
