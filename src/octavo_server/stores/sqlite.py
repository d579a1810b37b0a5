"""How every SQLite file of this product is opened: write-ahead log, synced at each commit."""

from __future__ import annotations

import sqlite3
import time

BUSY_S = 15.0
"""How long a statement waits for another's lock."""


def make_durable(connection: sqlite3.Connection) -> None:
    """Sets the journal of a fresh connection. What it commits from now on survives a power failure."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            # Turning a new file's log on takes an exclusive lock that the busy timeout does not wait for.
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=FULL").close()
    connection.execute("PRAGMA journal_size_limit=67108864").close()
