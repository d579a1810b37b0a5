"""When API keys were last used: noted in memory on every call, written now and then."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from anyio import to_thread

from octavo_server.core.clock import Clock
from octavo_server.core.errors import OctavoError
from octavo_server.governance.service import Governance

log = logging.getLogger("octavo.keys")

PERIOD_S = 30.0


class KeyUse:
    """`note` costs a dictionary entry; `follow` writes what was noted."""

    def __init__(self, governance: Governance, clock: Clock) -> None:
        self._governance = governance
        self._clock = clock
        self._used: dict[str, datetime] = {}

    def note(self, key_id: str) -> None:
        """This key was used now."""
        self._used[key_id] = self._clock.now()

    async def follow(self) -> None:
        """Writes every half minute what was used, for ever."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self.flush()

    async def flush(self) -> None:
        """Writes what was used since the last time."""
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            await to_thread.run_sync(self._governance.keys.note_use, used)
        except OctavoError as error:
            self._used = used | self._used
            log.warning("when keys were used is not written: %s", error.message)
