"""The spool loses nothing it acknowledged, hands each record on once, and counts what it could not keep."""

from __future__ import annotations

import asyncio
import random
import signal
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.core.errors import Unavailable
from octavo_server.stores.spool import Entry, Spool, SpoolFull, SpoolInUse, SpoolReader, join_frames, split_frames


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    with closing(Spool(path)) as opened:
        yield opened


def frames(entries: list[Entry]) -> list[bytes]:
    return [frame for entry in entries for frame in entry.frames()]


def read_all(reader: SpoolReader, limit_bytes: int = 1 << 20) -> list[bytes]:
    seen: list[bytes] = []
    while entries := reader.read(limit_bytes):
        seen += frames(entries)
        reader.acknowledge(entries[-1].seq, stored=sum(entry.count for entry in entries))
    return seen


@given(st.lists(st.binary(max_size=200)))
def test_frames_come_apart_as_they_were_joined(payloads: list[bytes]) -> None:
    assert list(split_frames(join_frames(payloads))) == payloads


async def test_what_was_acknowledged_can_be_read_by_another_process_side(path: Path, spool: Spool) -> None:
    await asyncio.gather(*(spool.append("otlp", b"body %d" % number, count=3, meta=b"prj_1") for number in range(50)))
    with closing(SpoolReader(path)) as reader:
        entries = reader.read()
        assert sorted(frames(entries)) == sorted(b"body %d" % number for number in range(50))
        assert {(entry.kind, entry.meta) for entry in entries} == {("otlp", b"prj_1")}
        assert sum(entry.count for entry in entries) == 150


async def test_records_of_a_kind_and_meta_share_a_row_and_keep_their_order(spool: Spool) -> None:
    for number in range(3000):
        spool.append_nowait("gateway", b"%d" % number, meta=b"" if number % 2 else b"even")
    await spool.append("otlp", b"last")
    entries = spool.read()
    assert len(entries) < 20
    for meta, first in ((b"even", 0), (b"", 1)):
        mine = [entry for entry in entries if entry.kind == "gateway" and entry.meta == meta]
        assert frames(mine) == [b"%d" % number for number in range(first, 3000, 2)]


async def test_a_batch_stays_the_same_until_it_is_acknowledged(path: Path, spool: Spool) -> None:
    await spool.append("otlp", b"a" * 100)
    await spool.append("otlp", b"b" * 100)
    first = spool.read(150)
    token = spool.batch_token(first)
    await spool.append("otlp", b"c" * 100)
    with closing(SpoolReader(path)) as restarted:
        again = restarted.read(1 << 20)
        assert again == first
        assert restarted.batch_token(again) == token
        restarted.acknowledge(again[-1].seq, stored=1)
        following = restarted.read()
        assert frames(following) == [b"b" * 100, b"c" * 100]
        assert restarted.batch_token(following) != token


async def test_an_entry_larger_than_the_limit_is_read_alone(spool: Spool) -> None:
    await spool.append("otlp", b"x" * 5000)
    await spool.append("otlp", b"y")
    assert [len(entry.data) for entry in spool.read(10)] == [5004]


async def test_the_accounting_adds_up(path: Path, spool: Spool) -> None:
    await spool.append("otlp", b"a", count=5)
    await spool.append("otlp", b"b", count=2)
    accounting = spool.accounting()
    assert (accounting.accepted, accounting.pending, accounting.pending_bytes) == (7, 7, 10)
    [first, _] = spool.read()
    spool.acknowledge(first.seq, stored=4, rejected=1)
    accounting = spool.accounting()
    assert (accounting.stored, accounting.rejected, accounting.pending, accounting.pending_bytes) == (4, 1, 2, 5)
    assert read_all(spool) == [b"b"]
    accounting = spool.accounting()
    assert (accounting.pending, accounting.pending_bytes, accounting.oldest_pending_s) == (0, 0, 0.0)


async def test_a_full_spool_refuses_counts_what_it_drops_and_recovers(path: Path) -> None:
    with closing(Spool(path, max_bytes=1000)) as spool:
        await spool.append("otlp", b"x" * 1200)
        assert not spool.append_nowait("gateway", b"one too many", count=2)
        with pytest.raises(SpoolFull, match="send again later") as caught:
            await spool.append("otlp", b"y")
        assert (caught.value.status, caught.value.retry_after_s) == (429, 5.0)
        with closing(SpoolReader(path)) as reader:
            read_all(reader)
        while not spool.append_nowait("gateway", b"welcome"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    with closing(SpoolReader(path)) as reader:
        assert read_all(reader) == [b"welcome"]
        accounting = reader.accounting()
        assert accounting.accepted == 2
        assert accounting.dropped >= 2


async def test_closing_commits_the_tail(path: Path) -> None:
    with closing(Spool(path)) as spool:
        for number in range(100):
            spool.append_nowait("gateway", b"%d" % number)
    with closing(SpoolReader(path)) as reader:
        assert read_all(reader) == [b"%d" % number for number in range(100)]


def test_one_process_appends(path: Path, spool: Spool) -> None:
    with pytest.raises(SpoolInUse, match="in use by another Octavo process"):
        Spool(path)


async def test_a_reader_sleeps_until_there_is_work(path: Path, spool: Spool) -> None:
    with closing(SpoolReader(path)) as reader:
        waiting = asyncio.create_task(asyncio.to_thread(reader.wait_for_work, 60.0))
        await spool.append("otlp", b"a")
        assert await waiting
        read_all(reader)
        assert not reader.wait_for_work(0.0)
        waiting = asyncio.create_task(asyncio.to_thread(reader.wait_for_work, 60.0))
        reader.wake()
        assert not await waiting


async def test_a_pause_waits_for_the_batch_under_way_and_then_holds_readers_back(path: Path, spool: Spool) -> None:
    await spool.append("otlp", b"a")
    [entry] = spool.read()
    paused, resume = threading.Event(), threading.Event()

    def pause() -> None:
        with closing(SpoolReader(path)) as reader, reader.paused():
            paused.set()
            resume.wait()

    thread = threading.Thread(target=pause)
    thread.start()
    assert spool.read() == [entry]
    spool.acknowledge(entry.seq, stored=1)
    await asyncio.to_thread(paused.wait)
    await spool.append("otlp", b"b")
    assert spool.read() == []
    assert not spool.wait_for_work(0.0)
    resume.set()
    thread.join()
    assert spool.wait_for_work(60.0)
    assert read_all(spool) == [b"b"]


async def test_a_pause_gives_up_on_a_batch_that_does_not_end(spool: Spool) -> None:
    await spool.append("otlp", b"a")
    spool.read()
    with pytest.raises(Unavailable, match="does not finish its batch"), spool.paused(wait_s=0.0):
        raise AssertionError
    assert len(spool.read()) == 1


DURABLE = """
    import asyncio, itertools, os, sys
    from pathlib import Path
    from octavo_server.stores.spool import Spool

    async def main(path, run):
        spool = Spool(path)
        numbers = itertools.count()
        async def client():
            for number in numbers:
                name = f"{run}-{number}"
                await spool.append("otlp", name.encode())
                os.write(1, f"{name}\\n".encode())
        await asyncio.gather(*(client() for _ in range(8)))

    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""

HURRIED = """
    import asyncio, os, sys
    from pathlib import Path
    from octavo_server.stores.spool import Spool

    async def main(path, run):
        spool = Spool(path)
        while True:
            for _ in range(20):
                spool.append_nowait("gateway", b"record")
            os.write(1, b".\\n")
            await asyncio.sleep(0.001)

    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def run_and_kill(program: str, path: Path, run: int, *, after_lines: int) -> list[bytes]:
    """Lines that the program printed until `kill -9` met it."""
    arguments = [sys.executable, "-c", textwrap.dedent(program), str(path), str(run)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(after_lines)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return [line.strip() for line in lines if line.endswith(b"\n")]


def test_kill_9_loses_nothing_acknowledged_and_repeats_nothing(path: Path) -> None:
    """The reader dies too: half of the batches are read again before they are acknowledged."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    acknowledged: set[bytes] = set()
    batches: dict[str, list[bytes]] = {}
    for run in range(6):
        acknowledged.update(run_and_kill(DURABLE, path, run, after_lines=chance.randrange(1, 400)))
        with closing(SpoolReader(path)) as reader:
            for _ in range(chance.randrange(6)):
                if entries := reader.read(chance.randrange(1, 2000)):
                    batches[reader.batch_token(entries)] = frames(entries)  # as an idempotent insert does
                    if chance.random() < 0.5:
                        reader.acknowledge(entries[-1].seq, stored=sum(entry.count for entry in entries))
    with closing(SpoolReader(path)) as reader:
        while entries := reader.read():
            batches[reader.batch_token(entries)] = frames(entries)
            reader.acknowledge(entries[-1].seq, stored=sum(entry.count for entry in entries))
        accounting = reader.accounting()
    stored = [record for batch in batches.values() for record in batch]
    assert len(stored) == len(set(stored)), f"seed {seed}"
    assert acknowledged <= set(stored), f"seed {seed}"
    assert (accounting.accepted, accounting.stored, accounting.pending) == (len(stored), len(stored), 0), f"seed {seed}"


def test_kill_9_of_hurried_records_is_counted_to_the_last_one(path: Path) -> None:
    """Nobody waited for these records: the ones that were not committed are lost, and known to be."""
    for run in range(4):
        run_and_kill(HURRIED, path, run, after_lines=random.randrange(1, 60))
        (taken,) = struct.unpack("<Q", (path.parent / "spool.db-taken").read_bytes())
        with closing(Spool(path)) as spool:
            accounting = spool.accounting()
            assert accounting.accepted + accounting.dropped == taken
    with closing(SpoolReader(path)) as reader:
        assert len(read_all(reader)) == reader.accounting().accepted
