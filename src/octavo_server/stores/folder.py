"""The data folder: made private, held by one server at a time, and where the control store is in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from octavo_server.core.errors import Unavailable
from octavo_server.settings import Settings
from octavo_server.stores.control import sqlite_url


class FolderInUse(Unavailable):
    """Another server runs on the folder."""

    code = "folder_in_use"


def control_url(settings: Settings) -> str:
    """Where the control store is: the server that is set, or a file of the data folder."""
    return settings.database_url or sqlite_url(settings.data_dir / "octavo.db")


def media_folder(settings: Settings) -> Path:
    """Where the files of traces are."""
    return settings.data_dir / "objects" / "media"


def hold_folder(path: Path) -> BinaryIO:
    """Makes the data folder, when it is missing, and locks it until the returned file is closed or the process ends.
    Raises FolderInUse, naming who holds it, and Unavailable when the folder cannot be used."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (path / "octavo.lock").open("a+b")
    except OSError as error:
        raise Unavailable(f"the data folder {path} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().decode(errors="replace").strip() or "unknown"
        file.close()
        raise FolderInUse(
            f"the data folder {path} is in use by another Octavo (process {holder}): stop it, or use --data-dir"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n".encode())
    file.flush()
    return file
