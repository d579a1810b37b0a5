"""Compiles the gateway's snapshot when the control store has changed, and keeps the last one on disk, encrypted, for
a start while the control store is away."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
from anyio import to_thread

from octavo_server.core.errors import OctavoError, Unavailable
from octavo_server.costs.model import Connection, PriceRule, Route
from octavo_server.costs.service import Costs
from octavo_server.gateway.snapshot import Snapshot, SnapshotHolder
from octavo_server.governance.model import KeyGrant, Project
from octavo_server.governance.service import Governance
from octavo_server.stores.control import ControlStore

log = logging.getLogger("octavo.snapshot")

POLL_S = 1.0
"""How soon a change by another process is seen."""

_CONTEXT = "snapshot"


class Box(Protocol):
    """Encrypts for a context (`stores.secrets.SecretBox`)."""

    def seal(self, plain: bytes, context: str) -> bytes: ...

    def open(self, sealed: bytes, context: str) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A snapshot as msgspec can read it back: a connection's options are any JSON."""

    version: int
    keys: dict[str, KeyGrant]
    projects: dict[str, Project]
    connections: dict[str, dict[str, Any]]
    routes: dict[str, tuple[Route, ...]]
    price_rules: dict[str, tuple[PriceRule, ...]]


class Snapshots:
    """Keeps `holder` current. A change made in this process is in force when its request is answered; one made
    elsewhere within about a second."""

    def __init__(
        self,
        holder: SnapshotHolder,
        *,
        control: ControlStore,
        governance: Governance,
        costs: Costs,
        box: Box,
        path: Path,
    ) -> None:
        self.holder = holder
        self._control = control
        self._governance = governance
        self._costs = costs
        self._box = box
        self._path = path
        self._lock = threading.Lock()

    def open(self) -> None:
        """The first snapshot: of the control store, or the one on disk when the store does not answer. Raises
        Unavailable when there is neither."""
        try:
            self.refresh()
        except Unavailable:
            kept = self._load()
            if kept is None:
                raise
            log.warning("the control store does not answer; the gateway serves the last snapshot, the API waits")
            self.holder.swap(kept)
        self._control.on_commit(self._refresh_after_commit)

    def refresh(self) -> None:
        """Compiles and swaps, unless another thread has just done so. Blocks; raises Unavailable."""
        wanted = self._control.last_event_seq()
        with self._lock:
            if self.holder.current.version >= wanted and wanted:
                return
            # The number is read first: what is committed meanwhile is contained, and compiled again at worst.
            version = self._control.last_event_seq()
            keys, projects = self._governance.snapshot_parts()
            connections, routes, price_rules = self._costs.snapshot_parts()
            snapshot = Snapshot(
                version=version,
                keys=keys,
                projects=projects,
                connections=connections,
                routes=routes,
                price_rules=price_rules,
            )
            self.holder.swap(snapshot)
            self._save(snapshot)

    def _refresh_after_commit(self) -> None:
        # The change is made, and its caller is told so, whatever becomes of the snapshot.
        try:
            self.refresh()
        except OctavoError as error:
            log.error("the gateway does not see the last change: %s", error.message)

    async def follow(self) -> None:
        """Looks for changes by other processes, for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            try:
                if await to_thread.run_sync(self._control.last_event_seq) > self.holder.current.version:
                    await to_thread.run_sync(self.refresh)
            except OctavoError as error:
                log.warning("the snapshot stays at %d: %s", self.holder.current.version, error.message)
                await asyncio.sleep(5 * POLL_S)

    def _save(self, snapshot: Snapshot) -> None:
        sealed = self._box.seal(msgspec.msgpack.encode(snapshot), _CONTEXT)
        draft = self._path.with_suffix(".tmp")
        try:
            draft.touch(mode=0o600)
            draft.write_bytes(sealed)
            draft.replace(self._path)
        except OSError as error:
            log.warning("the snapshot cannot be kept on disk: %s", error)

    def _load(self) -> Snapshot | None:
        try:
            plain = self._box.open(self._path.read_bytes(), _CONTEXT)
            kept = msgspec.msgpack.decode(plain, type=_Kept)
        except FileNotFoundError:
            return None
        except (OctavoError, msgspec.DecodeError) as error:
            log.warning("the snapshot on disk cannot be read: %s", error)
            return None
        return Snapshot(
            version=kept.version,
            keys=kept.keys,
            projects=kept.projects,
            connections={name: _connection(fields) for name, fields in kept.connections.items()},
            routes=kept.routes,
            price_rules=kept.price_rules,
        )


def _connection(fields: Mapping[str, Any]) -> Connection:
    globs = {name: tuple(fields[name]) for name in ("models", "known_models")}
    return Connection(**{**fields, **globs})
