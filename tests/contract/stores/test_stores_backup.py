"""A backup of a running server holds each record once; a restore gives back what was there or nothing."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from octavo_server.core.errors import Invalid
from octavo_server.core.events import SYSTEM, Event
from octavo_server.stores.backup import BackupFailed, backup, restore
from octavo_server.stores.control import ControlStore, sqlite_url
from octavo_server.stores.migrations import upgrade
from octavo_server.stores.objects import BlobStore
from octavo_server.stores.spool import Spool, SpoolReader
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.stores.telemetry_http import TelemetryServer

AT = datetime(2026, 11, 23, tzinfo=UTC)
TABLE = "CREATE TABLE records (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000"


@pytest.fixture
def data_dir(empty_chdb: EmbeddedTelemetry) -> Iterator[Path]:
    """The data folder around the session's chDB, with a control store of one event."""
    folder = empty_chdb.path.parent
    upgrade(sqlite_url(folder / "octavo.db"))
    store = ControlStore(sqlite_url(folder / "octavo.db"))
    with store.transaction() as transaction:
        transaction.record(
            Event(
                id=f"evt_{store.last_event_seq()}",
                at=AT,
                actor=SYSTEM,
                action="server.started",
                subject_kind="server",
                subject_id="one",
                project_id=None,
                before_digest=None,
                after_digest=None,
            )
        )
    store.close()
    yield folder
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith("telemetry"):
            path.unlink()


def in_child(program: str, *arguments: Path) -> Any:
    """What the program printed as JSON. chDB has one folder a process, and this process has one open."""
    command = [sys.executable, "-c", textwrap.dedent(program), *(str(one) for one in arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


RESTORED = """
    import json, sys
    from contextlib import closing
    from pathlib import Path
    from octavo_server.stores.backup import restore
    from octavo_server.stores.control import ControlStore, sqlite_url
    from octavo_server.stores.spool import SpoolReader
    from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry

    data_dir = Path(sys.argv[2])
    restore(Path(sys.argv[1]), data_dir)
    engine = EmbeddedTelemetry(data_dir / "telemetry")
    stored = engine.run("SELECT id FROM records", output="TSV").decode().split()
    engine.shut()
    with closing(SpoolReader(data_dir / "spool.db")) as reader:
        pending = [frame.decode() for entry in reader.read(1 << 30) for frame in entry.frames()]
        accounting = reader.accounting()
    control = ControlStore(sqlite_url(data_dir / "octavo.db"))
    events = [one.event.action for one in control.events_after(0)]
    control.close()
    print(json.dumps({
        "stored": stored, "pending": pending, "events": events, "accepted": accounting.accepted,
        "files": sorted(path.name for path in data_dir.iterdir()),
    }))
"""


def test_a_backup_of_a_busy_server_holds_each_record_once(
    data_dir: Path, empty_chdb: EmbeddedTelemetry, telemetry_server: TelemetryServer, tmp_path: Path
) -> None:
    empty_chdb.run(TABLE)
    done, drained_some = threading.Event(), threading.Event()
    (data_dir / "secret.key").write_text("key")
    BlobStore(data_dir / "objects").put("prj_a", b"blob")

    def accept(spool: Spool) -> None:
        number = 0
        while not done.wait(0.001):
            for _ in range(10):
                spool.append_nowait("gateway", b"%d" % number)
                number += 1

    def drain() -> None:
        with closing(SpoolReader(data_dir / "spool.db")) as reader:
            while not done.is_set():
                reader.wait_for_work(0.1)
                if entries := reader.read(4000):
                    ids = [frame.decode() for entry in entries for frame in entry.frames()]
                    sql = f"INSERT INTO records FORMAT TSV\n{chr(10).join(ids)}\n"
                    empty_chdb.run(sql, settings={"insert_deduplication_token": reader.batch_token(entries)})
                    reader.acknowledge(entries[-1].seq, stored=len(ids))
                    drained_some.set()

    with closing(Spool(data_dir / "spool.db")) as spool:
        threads = [threading.Thread(target=accept, args=(spool,)), threading.Thread(target=drain)]
        for one in threads:
            one.start()
        drained_some.wait()
        backup(data_dir, tmp_path / "backup", at=AT)
        drained_some.clear()
        drained_some.wait()  # the pause is over
        done.set()
        for one in threads:
            one.join()

    found = in_child(RESTORED, tmp_path / "backup", tmp_path / "restored")
    records = sorted(int(one) for one in found["stored"] + found["pending"])
    assert records == list(range(len(records)))
    assert found["accepted"] == len(records)
    assert found["stored"]
    assert found["events"] == ["server.started"]
    assert "secret.key" not in found["files"]
    assert "objects" in found["files"]


def test_the_master_key_goes_along_when_asked_for(
    data_dir: Path, telemetry_server: TelemetryServer, tmp_path: Path
) -> None:
    (data_dir / "secret.key").write_text("key")
    backup(data_dir, tmp_path / "backup", at=AT, with_secret_key=True)
    assert (tmp_path / "backup" / "secret.key").read_text() == "key"
    manifest = orjson.loads((tmp_path / "backup" / "backup.json").read_bytes())
    assert manifest == {"octavo_backup": 1, "at": AT.isoformat(), "secret_key": True}


def test_a_stopped_server_is_backed_up_and_restored_too(tmp_path: Path) -> None:
    program = """
        import json, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from octavo_server.stores.backup import backup, restore
        from octavo_server.stores.control import sqlite_url
        from octavo_server.stores.migrations import upgrade
        from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry

        data_dir, target, restored = (Path(one) for one in sys.argv[1:])
        engine = EmbeddedTelemetry(data_dir / "telemetry")
        engine.run("CREATE TABLE records (id UInt64) ENGINE = MergeTree ORDER BY id")
        engine.run("INSERT INTO records VALUES (1), (2)")
        engine.shut()
        upgrade(sqlite_url(data_dir / "octavo.db"))
        backup(data_dir, target, at=datetime.now(UTC))
        restore(target, restored)
        engine = EmbeddedTelemetry(restored / "telemetry")
        print(engine.run("SELECT sum(id) FROM records", output="TSV").decode())
        engine.shut()
    """
    assert in_child(program, tmp_path / "data", tmp_path / "backup", tmp_path / "restored") == 3


def test_a_store_that_cannot_be_reached_leaves_no_backup(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="stop it and retry"):
        backup(data_dir, tmp_path / "backup", at=AT)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_needs_data_and_a_new_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match="holds no Octavo data"):
        backup(tmp_path / "empty", tmp_path / "backup", at=AT)
    sqlite3.connect(tmp_path / "octavo.db").close()
    (tmp_path / "octavo.db").touch()
    with pytest.raises(Invalid, match="exists already"):
        backup(tmp_path, tmp_path / "empty", at=AT)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [(None, "no finished backup"), ("{", "no finished backup"), ('{"octavo_backup":9}', "format 9")],
)
def test_what_is_no_backup_is_not_restored(tmp_path: Path, manifest: str | None, message: str) -> None:
    (tmp_path / "source").mkdir()
    if manifest is not None:
        (tmp_path / "source" / "backup.json").write_text(manifest)
    with pytest.raises(Invalid, match=message):
        restore(tmp_path / "source", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_restore_never_mixes_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "backup.json").write_text('{"octavo_backup":1}')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").touch()
    with pytest.raises(Invalid, match="is not empty"):
        restore(tmp_path / "source", tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mine"]


def test_a_restore_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "backup.json").write_text('{"octavo_backup":1}')
    (tmp_path / "source" / "octavo.db").touch()
    (tmp_path / "source" / "spool.db").write_text("no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        restore(tmp_path / "source", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
