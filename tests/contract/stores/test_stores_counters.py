"""Counters count alike in process and in Valkey, never over their limit, and remember over a kill."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo_server.core.errors import Unavailable
from octavo_server.stores.counters import Counters, CountersInUse, LocalCounters, take
from octavo_server.stores.counters_valkey import ValkeyCounters


async def test_amounts_add_up_by_key_and_can_be_given_back(counters: Counters) -> None:
    assert await counters.get("a") == 0
    assert await counters.add("a", 5) == 5
    assert await counters.add("a", 2**50) == 2**50 + 5
    assert await counters.add("b\nodd key", 1) == 1
    assert await counters.add("a", -(2**50)) == 5
    assert (await counters.get("a"), await counters.get("b\nodd key")) == (5, 1)


async def test_a_reservation_stops_at_the_limit_exactly(counters: Counters) -> None:
    assert await counters.try_add("a", 7, limit=10) == (True, 7)
    assert await counters.try_add("a", 4, limit=10) == (False, 7)
    assert await counters.try_add("a", 3, limit=10) == (True, 10)
    assert await counters.try_add("a", 1, limit=10) == (False, 10)
    assert await counters.get("a") == 10


async def test_reservations_at_once_never_pass_the_limit(counters: Counters) -> None:
    answers = await asyncio.gather(*(counters.try_add("a", 3, limit=50) for _ in range(40)))
    assert sum(one.ok for one in answers) == 16
    assert await counters.get("a") == 48


async def test_a_window_ends(counters: Counters) -> None:
    await counters.add("a", 5, window_s=0.05)
    await counters.add("for ever", 5)
    async with asyncio.timeout(30):
        while await counters.get("a"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await counters.try_add("a", 1, limit=1, window_s=60.0) == (True, 1)
    assert await counters.get("for ever") == 5


async def test_a_rate_is_held_and_says_when_to_come_back(counters: Counters) -> None:
    now = 1_000_000.0  # the beginning of a window
    verdicts = [await take(counters, "key", limit=3, per_s=10.0, now=now + one) for one in range(5)]
    assert [one.allowed for one in verdicts] == [True, True, True, False, False]
    assert [one.remaining for one in verdicts] == [2, 1, 0, 0, 0]
    assert 0 < verdicts[-1].retry_after_s < 6.1
    # What was had at the end of a window still counts at the beginning of the next.
    assert not (await take(counters, "key", limit=3, per_s=10.0, now=now + 10.1)).allowed
    assert (await take(counters, "key", limit=3, per_s=10.0, now=now + 17.0)).allowed
    assert (await take(counters, "other", limit=3, per_s=10.0, now=now + 4)).allowed


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 3)), max_size=60),
    st.integers(1, 10),
)
def test_no_aligned_window_holds_more_than_the_limit(steps: list[tuple[float, int]], limit: int) -> None:
    async def allowed(counters: LocalCounters) -> dict[int, int]:
        now, had = 0.0, dict[int, int]()
        for pause, amount in steps:
            now += pause
            verdict = await take(counters, "key", limit=limit, per_s=5.0, now=now, amount=amount)
            if verdict.allowed:
                had[int(now // 5.0)] = had.get(int(now // 5.0), 0) + amount
            else:
                assert 0 < verdict.retry_after_s <= 5.0
        await counters.close()
        return had

    with tempfile.TemporaryDirectory() as folder:
        counters = LocalCounters(Path(folder) / "counters.journal")
        assert all(count <= limit for count in asyncio.run(allowed(counters)).values())


async def test_compacting_the_journal_keeps_every_total(tmp_path: Path) -> None:
    path = tmp_path / "counters.journal"
    async with aclosing(_Closing(LocalCounters(path, compact_bytes=2000))) as open_:
        for number in range(1000):
            await open_.counters.add(f"key {number % 7}", 1, window_s=3600.0)
    assert path.stat().st_size <= 2100
    async with aclosing(_Closing(LocalCounters(path))) as open_:
        assert [await open_.counters.get(f"key {number}") for number in range(7)] == [143] * 6 + [142]


async def test_a_half_written_line_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "counters.journal"
    path.write_bytes(b'["a",5,null]\n["b",7,null]\n["a",6,nu')
    async with aclosing(_Closing(LocalCounters(path))) as open_:
        assert (await open_.counters.get("a"), await open_.counters.get("b")) == (5, 7)


async def test_one_process_holds_the_journal(tmp_path: Path) -> None:
    async with aclosing(_Closing(LocalCounters(tmp_path / "j"))):
        with pytest.raises(CountersInUse, match="OCTAVO_VALKEY_URL"):
            LocalCounters(tmp_path / "j")


KILLED = """
    import asyncio, os, sys
    from pathlib import Path
    from octavo_server.stores.counters import LocalCounters

    async def main():
        counters = LocalCounters(Path(sys.argv[1]), compact_bytes=20_000)
        while True:
            os.write(1, b"%d\\n" % await counters.add("spent", 1))

    asyncio.run(main())
"""


def run_until_killed(path: Path) -> list[int]:
    """Totals that the program told until `kill -9` met it."""
    arguments = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(500)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    return [int(line) for line in lines if line.endswith(b"\n")]


async def test_kill_9_forgets_no_amount(tmp_path: Path) -> None:
    path = tmp_path / "counters.journal"
    told = 0
    for _ in range(4):
        totals = await asyncio.to_thread(run_until_killed, path)
        assert totals[0] in (told + 1, told + 2)  # one may have been counted and not told
        told = totals[-1]
    async with aclosing(_Closing(LocalCounters(path))) as open_:
        assert await open_.counters.get("spent") in (told, told + 1)


async def test_a_valkey_that_is_not_there_is_unavailable() -> None:
    counters = ValkeyCounters("valkey://127.0.0.1:4628/0")
    for attempt in (counters.add("a", 1), counters.get("a")):
        with pytest.raises(Unavailable, match="check OCTAVO_VALKEY_URL"):
            await attempt
    await counters.close()


class _Closing:
    """`aclosing` wants a method named aclose."""

    def __init__(self, counters: LocalCounters) -> None:
        self.counters = counters

    async def aclose(self) -> None:
        await self.counters.close()
