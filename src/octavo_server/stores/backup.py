"""Backup and restore of a data folder: the SQLite databases, the spool, objects, counters, chDB.

A backup is a folder, made while the server runs. The spool's reader is paused meanwhile, so that each record is in the
copy of the spool or in the copy of the telemetry store, never in both or neither (a server that was killed while it
stored a batch may leave that one batch in both; start it once before the backup). What lies elsewhere (PostgreSQL,
ClickHouse, Valkey) is backed up with its own tools.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import orjson

from octavo_server.core.errors import Invalid, OctavoError
from octavo_server.stores.spool import SpoolReader, adopt_copy
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry, TelemetryInUse, copy_tables
from octavo_server.stores.telemetry_http import address_file

_FORMAT = 1
_SPOOL = "spool.db"
_PLAIN = ("counters.journal",)
_KEY_FILE = "secret.key"


class BackupFailed(OctavoError):
    """A store could not be copied."""

    code = "backup_failed"


def backup(data_dir: Path, target: Path, *, at: datetime, with_secret_key: bool = False) -> None:
    """Copies the stores of `data_dir` into the new folder `target`, of a running server too. The master key goes along
    only when asked for: without it, keep it elsewhere, since the stored provider keys cannot be read without it.

    Raises Invalid when `target` exists or `data_dir` holds no data; an unfinished backup is removed."""
    if not data_dir.is_dir() or not any(data_dir.glob("*.db")):
        raise Invalid(f"{data_dir} holds no Octavo data: name the server's folder with --data-dir")
    if target.exists():
        raise Invalid(f"{target} exists already: name a new folder")
    target.mkdir(parents=True, mode=0o700)
    try:
        with ExitStack() as stack:
            if (data_dir / "telemetry").is_dir():
                _copy_telemetry(data_dir, target, stack)
            for database in sorted(data_dir.glob("*.db")):
                _copy_sqlite(database, target / database.name)
        if (data_dir / "objects").is_dir():
            shutil.copytree(data_dir / "objects", target / "objects", ignore=shutil.ignore_patterns(".*"))
        for name in (*_PLAIN, *([_KEY_FILE] if with_secret_key else [])):
            if (data_dir / name).exists():
                shutil.copy2(data_dir / name, target / name)
        manifest = {"octavo_backup": _FORMAT, "at": at.isoformat(), "secret_key": with_secret_key}
        (target / "backup.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    except BaseException:
        shutil.rmtree(target)
        raise


def restore(source: Path, data_dir: Path) -> None:
    """Fills the empty or missing folder `data_dir` from a backup. Raises Invalid when it holds anything, or when
    `source` is no finished backup of a known format; a failed restore leaves nothing behind."""
    try:
        manifest = orjson.loads((source / "backup.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise Invalid(f"{source} is no finished backup: it has no readable backup.json") from None
    if manifest.get("octavo_backup") != _FORMAT:
        raise Invalid(f"{source} has backup format {manifest.get('octavo_backup')!r}, this Octavo reads {_FORMAT}")
    if data_dir.exists() and any(data_dir.iterdir()):
        raise Invalid(f"{data_dir} is not empty: restore into a new folder")
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        for one in sorted(source.iterdir()):
            if one.name == "telemetry":
                _restore_telemetry(one, data_dir / one.name)
            elif one.is_dir():
                shutil.copytree(one, data_dir / one.name)
            elif one.name != "backup.json":
                shutil.copy2(one, data_dir / one.name)
        if (data_dir / _SPOOL).exists():
            adopt_copy(data_dir / _SPOOL)
    except BaseException:
        for one in data_dir.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink()
        raise


def _copy_telemetry(data_dir: Path, target: Path, stack: ExitStack) -> None:
    """Copies the telemetry store: through the worker that holds it, whose drain stays paused until `stack` is left, or
    by opening it here when none does."""
    path = data_dir / "telemetry"
    try:
        engine = EmbeddedTelemetry(path, connections=1, lock_timeout_s=0.0)
    except TelemetryInUse:
        if (data_dir / _SPOOL).exists():
            reader = stack.enter_context(closing(SpoolReader(data_dir / _SPOOL)))
            stack.enter_context(reader.paused())
        copy_tables(_running_server(path), path.resolve(), target / path.name)
    else:
        stack.callback(engine.shut)
        engine.backup(target / path.name)


def _copy_sqlite(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=15.0)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy, pages=1024, sleep=0.01)
    target.chmod(0o600)


def _running_server(path: Path) -> Callable[[str], object]:
    try:
        address = orjson.loads(address_file(path).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise BackupFailed(
            "the telemetry store is held by a process that cannot be reached: stop it and retry"
        ) from None
    opener = build_opener(ProxyHandler({}))

    def run(statement: str) -> object:
        request = Request(address["url"] + "/", data=statement.encode(), headers={"X-ClickHouse-Key": address["token"]})  # noqa: S310
        try:
            with opener.open(request) as response:
                return response.read()
        except HTTPError as error:
            raise BackupFailed(f"the telemetry store refuses the backup: {error.read().decode()}") from error
        except OSError as error:
            raise BackupFailed(f"the server does not answer ({error}): stop it and retry") from error

    return run


def _restore_telemetry(source: Path, path: Path) -> None:
    engine = EmbeddedTelemetry(path, connections=1)
    try:
        engine.restore(source)
    finally:
        engine.shut()
