"""A worker's workflows with steps that the test watches: `python http_workflow.py FOLDER begin|resume`."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from octavo_server.settings import Settings
from octavo_server.worker import Workflows

folder = Path(sys.argv[1])
diary = folder / "diary"


def note(line: str) -> None:
    with diary.open("a") as file:
        file.write(line + "\n")


def first() -> int:
    note("first")
    return 1


def second() -> int:
    note("second begun")
    while not (folder / "go").exists():
        time.sleep(0.02)
    note("second done")
    return 2


workflows = Workflows(Settings(data_dir=folder), {"first": first, "second": second})
workflows.launch()
if sys.argv[2] == "begin":
    with SetWorkflowID("tonight"):
        DBOS.start_workflow(workflows.retention, datetime(2026, 11, 23, tzinfo=UTC), None)
DBOS.retrieve_workflow("tonight").get_result()
note("whole")
os._exit(0)  # as the worker does
