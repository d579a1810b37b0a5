"""All the gateway needs to know, in one immutable value: compiled off the path, swapped atomically, kept on disk
(encrypted) so that calls go on when the control store is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from octavo_server.costs.model import Connection, PriceRule, Route
from octavo_server.governance.model import KeyGrant, Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One consistent state of the control store, by the key that the hot path looks it up with."""

    version: int  # sequence number of the last event it contains
    keys: Mapping[str, KeyGrant] = field(default_factory=dict)  # by secret hash
    projects: Mapping[str, Project] = field(default_factory=dict)  # by project id
    connections: Mapping[str, Connection] = field(default_factory=dict)  # by connection id
    routes: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)  # by project id, most specific first
    price_rules: Mapping[str, tuple[PriceRule, ...]] = field(default_factory=dict)  # by project id


class SnapshotHolder:
    """Where the hot path finds the current snapshot: one attribute, replaced whole, from any thread."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.current = snapshot if snapshot is not None else Snapshot(version=0)
        self._listeners: list[Callable[[Snapshot], None]] = []

    def swap(self, snapshot: Snapshot) -> None:
        """Calls that begin from now on see `snapshot`; those that run finish on the one they began with."""
        self.current = snapshot
        for listener in self._listeners:
            listener(snapshot)

    def on_swap(self, listener: Callable[[Snapshot], None]) -> None:
        """Calls `listener` with each new snapshot, in the thread that swaps."""
        self._listeners.append(listener)
