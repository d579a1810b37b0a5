"""Durable work of governance: the daily retention, which deletes what has outlived its keeping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dbos import DBOS

RETENTION_CRON = "17 3 * * *"

Step = Callable[[], int]
"""Deletes something expired and says how much it was. May run again after a crash."""


def register_retention(steps: Mapping[str, Step]) -> Callable[[datetime, Any], None]:
    """Declares the workflow `retention` to DBOS: the steps by name, in their order, each done once a day, also when the
    process dies between two or within one."""

    @DBOS.workflow(name="retention")
    def retention(at: datetime, context: Any) -> None:
        for name, step in steps.items():
            DBOS.run_step({"name": name}, step)

    return retention
