"""chDB, ClickHouse in this process: the telemetry store of a machine without a ClickHouse server.

One process owns the folder. Queries run in parallel, each on one of a few connections (a connection serialises, and
chDB releases the GIL while it works).
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import importlib.machinery
import importlib.util
import queue
import re
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from octavo_server.core.errors import OctavoError
from octavo_server.stores.telemetry import (
    NOTHING,
    READ_SETTINGS,
    WRITE_SETTINGS,
    ClickHouseError,
    Params,
    TelemetrySettings,
    TelemetryUnavailable,
    encode_rows,
    error_code,
    explain,
    identifier,
    render_param,
)

_SERVER_SETTINGS = {
    "mark_cache_size": 64 << 20,
    "primary_index_cache_size": 64 << 20,
    "index_mark_cache_size": 16 << 20,
    "query_condition_cache_size": 16 << 20,
    "compiled_expression_cache_size": 16 << 20,
    "background_pool_size": 2,
    "max_thread_pool_free_size": 4,
}
_CONNECTION_SETTINGS = {
    "max_threads": 2,
    "max_insert_threads": 1,
    "max_memory_usage": 2 << 30,
    "max_bytes_before_external_group_by": 512 << 20,
    "max_bytes_before_external_sort": 512 << 20,
}
_TIDY_S = 3.0
_SETTING_NAME = re.compile(r"[a-z][a-z0-9_]*")


class TelemetryInUse(TelemetryUnavailable):
    """Another process holds the folder."""

    code = "telemetry_in_use"


class EmbeddedTelemetry:
    """chDB on one folder. `run` is the blocking verb, for threads; the others are `Telemetry`'s.

    Opening waits up to `lock_timeout_s` for a dying predecessor and then raises TelemetryInUse."""

    def __init__(
        self, path: Path, *, database: str = "default", connections: int = 4, lock_timeout_s: float = 10.0
    ) -> None:
        path = path.resolve()
        self.path = path
        self.database = database
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = _take_lock(path, lock_timeout_s)
        engine = _load_chdb()
        settings = "&".join(f"{name}={value}" for name, value in _SERVER_SETTINGS.items())
        address = f"{path}?backups.allowed_path={_backup_folder(path)}&{settings}"
        try:
            self._all = [_Connection(engine.connect(address)) for _ in range(connections)]
        except RuntimeError as error:
            self._lock_file.close()
            raise TelemetryUnavailable(f"chDB cannot open {path}: {error}") from error
        self._free: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
        for connection in self._all:
            self._free.put(connection)
        self._used = threading.Event()
        self._shutting = threading.Event()
        self._tidier = threading.Thread(target=self._tidy_forever, name="octavo-telemetry-tidier", daemon=True)
        self._tidier.start()
        self._threads = ThreadPoolExecutor(max_workers=connections, thread_name_prefix="octavo-telemetry")
        if database != "default":
            self.run(f"CREATE DATABASE IF NOT EXISTS {identifier(database)}", database="default")

    def run(
        self,
        sql: str | bytes,
        *,
        output: str = "JSONEachRow",
        params: Mapping[str, str] = NOTHING,
        settings: TelemetrySettings = NOTHING,
        database: str = "",
    ) -> bytes:
        """Runs one statement, with parameters already rendered, and gives its result in the format `output`. Raises
        ClickHouseError."""
        with self._connection() as connection:
            self._used.set()
            return connection.run(sql, output, params, settings, database or self.database)

    async def query(
        self, sql: str, params: Params = NOTHING, *, settings: TelemetrySettings = NOTHING
    ) -> list[dict[str, Any]]:
        body = await self._in_thread(sql, params, {**READ_SETTINGS, **settings})
        rows: list[dict[str, Any]] = orjson.loads(body) if body else []
        return rows

    async def execute(self, sql: str, params: Params = NOTHING, *, settings: TelemetrySettings = NOTHING) -> None:
        await self._in_thread(sql, params, {**WRITE_SETTINGS, **settings})

    async def insert(self, table: str, rows: Iterable[Mapping[str, Any]], *, token: str) -> int:
        data, count = encode_rows(rows)
        if count:
            statement = f"INSERT INTO {identifier(table)} FORMAT JSONEachRow\n".encode()
            await self._in_thread(statement + data, {}, {**WRITE_SETTINGS, "insert_deduplication_token": token})
        return count

    async def close(self) -> None:
        """Waits for running statements and gives the folder back."""
        await asyncio.get_running_loop().run_in_executor(None, self.shut)

    def shut(self) -> None:
        """`close` for callers without an event loop."""
        self._threads.shutdown()
        self._shutting.set()
        self._used.set()
        self._tidier.join()
        for _ in self._all:
            self._free.get().close()
        self._all.clear()
        self._lock_file.close()

    def backup(self, target: Path) -> None:
        """A consistent copy of every table into the new folder `target`, while reads and writes go on."""
        copy_tables(self.run, self.path, target, database=self.database)

    def restore(self, source: Path) -> None:
        """Brings the tables of a `backup` into this, empty, store."""
        staging = _backup_folder(self.path)
        name = secrets.token_hex(8)
        shutil.copytree(source, staging / name)
        try:
            self.run(f"RESTORE DATABASE {identifier(self.database)} FROM File('{_quoted(staging / name)}')")
        finally:
            shutil.rmtree(staging)

    async def _in_thread(self, sql: str | bytes, params: Params, settings: TelemetrySettings) -> bytes:
        rendered = {name: render_param(value) for name, value in params.items()}
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: self.run(sql, params=rendered, settings=settings))
        except ClickHouseError as error:
            raise explain(error) from error

    def _tidy_forever(self) -> None:
        """Gives the memory of a burst back to the machine soon after it: the allocator alone keeps it, some 150 MB."""
        while self._used.wait() and not self._shutting.wait(_TIDY_S):
            self._used.clear()
            with self._connection() as connection:
                connection.run("SYSTEM JEMALLOC PURGE", "Null", NOTHING, NOTHING, self.database)

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)


class _Connection:
    """One chDB session and the settings it has now; settings of a statement are set before it, when they differ."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._settings: dict[str, str] = {}
        self._database = "default"
        for name, value in _CONNECTION_SETTINGS.items():
            self._query(f"SET {name} = '{value}'")

    def run(
        self, sql: str | bytes, output: str, params: Mapping[str, str], settings: TelemetrySettings, database: str
    ) -> bytes:
        self._use(database)
        self._apply({name: str(value) for name, value in settings.items()})
        return self._query(sql, output, params)

    def close(self) -> None:
        self._session.close()

    def _use(self, database: str) -> None:
        if database != self._database:
            self._query(f"USE {identifier(database)}")
            self._database = database

    def _apply(self, wanted: dict[str, str]) -> None:
        if wanted == self._settings:
            return
        for name in self._settings.keys() - wanted.keys():
            default = _CONNECTION_SETTINGS.get(name)
            self._query(f"SET {name} = DEFAULT" if default is None else f"SET {name} = '{default}'")
            del self._settings[name]
        for name, value in wanted.items():
            if self._settings.get(name) != value:
                if not _SETTING_NAME.fullmatch(name):
                    raise ClickHouseError(115, f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
                escaped = value.replace("\\", "\\\\").replace("'", "\\'")
                self._query(f"SET {name} = '{escaped}'")
                self._settings[name] = value

    def _query(self, sql: str | bytes, output: str = "JSONEachRow", params: Mapping[str, str] = NOTHING) -> bytes:
        try:
            return bytes(self._session.query(sql, output, params=dict(params)).bytes())
        except RuntimeError as error:
            text = str(error)
            raise ClickHouseError(error_code(text), text) from None


def _load_chdb() -> Any:
    """chDB's extension module by itself. `import chdb` would also open a throwaway engine, change the working folder
    meanwhile and import pandas and pyarrow: 75 MB and a quarter of a second that nothing here uses."""
    package = importlib.util.find_spec("chdb")
    if package is None or not package.submodule_search_locations:
        raise OctavoError(
            "the embedded telemetry store needs chDB: pip install 'octavo[server]', or set OCTAVO_CLICKHOUSE_URL"
        )
    if "_chdb" in sys.modules:
        return sys.modules["_chdb"]
    path = str(Path(package.submodule_search_locations[0]) / "_chdb.abi3.so")
    if sys.platform == "linux":
        # As chdb/__init__.py does: chDB must find its own allocator before that of other extension modules.
        ctypes.CDLL(path, mode=sys.getdlopenflags() | 0x00008)
    loader = importlib.machinery.ExtensionFileLoader("_chdb", path)
    spec = importlib.util.spec_from_file_location("_chdb", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules["_chdb"] = module
    return module


def copy_tables(run: Callable[[str], object], path: Path, target: Path, *, database: str = "default") -> None:
    """The work of `EmbeddedTelemetry.backup`, for callers that reach the store at `path` by another way: `run` hands
    it a statement."""
    staging = _backup_folder(path)
    staging.mkdir(parents=True, exist_ok=True)
    made = staging / secrets.token_hex(8)
    try:
        run(f"BACKUP DATABASE {identifier(database)} TO File('{_quoted(made)}')")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, target)
    finally:
        shutil.rmtree(staging)


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace("'", "\\'")


def _backup_folder(path: Path) -> Path:
    return path.with_name(path.name + "-backup")


def _take_lock(path: Path, timeout_s: float) -> BinaryIO:
    file = path.with_name(path.name + "-lock").open("ab")
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise TelemetryInUse(
                    f"{path} is in use by another Octavo process: stop it, or use another data folder"
                ) from None
            time.sleep(0.05)
        else:
            return file
