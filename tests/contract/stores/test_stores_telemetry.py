"""One SQL text gives one answer, whether chDB runs it in process or a server over ClickHouse's HTTP protocol."""

from __future__ import annotations

import asyncio
import gzip
import math
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import TELEMETRY_TOKEN

from octavo_server.core.errors import Invalid, OctavoError
from octavo_server.stores import SchemaTooNew
from octavo_server.stores.telemetry import (
    HttpTelemetry,
    QueryFailed,
    QueryRefused,
    QueryTooHeavy,
    Telemetry,
    TelemetryUnavailable,
    migrate,
)
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.stores.telemetry_http import TelemetryServer

TABLE = """CREATE TABLE IF NOT EXISTS things (
    id UInt64, at DateTime64(9, 'UTC'), name String, tags Array(String), labels Map(String, String), price Nullable(Int64)
) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"""
TRICKY = ["", "a\tb\nc\rd\0e", "back\\slash \\N \\t", "quote ' \" `", "größe 漢字 🦑", "{x:String} ' OR 1=1 --"]


def thing(number: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": number,
        "at": "2026-11-23T12:00:00.123456789Z",
        "name": f"thing {number}",
        "tags": [],
        "labels": {},
        "price": None,
    }
    return {**row, **changes}


async def test_rows_come_back_as_they_were_inserted(telemetry: Telemetry) -> None:
    await telemetry.execute(TABLE)
    rows = [
        thing(n, name=text, tags=TRICKY, labels={text: text}, price=-(2**63))
        for n, text in enumerate(TRICKY, 2**64 - 10)
    ]
    assert await telemetry.insert("things", rows, token="a") == len(TRICKY)
    assert await telemetry.query("SELECT * FROM things ORDER BY id") == rows


async def test_an_insert_with_the_same_token_counts_once(telemetry: Telemetry) -> None:
    await telemetry.execute(TABLE)
    await telemetry.insert("things", [thing(1), thing(2)], token="batch-1")
    await telemetry.insert("things", [thing(1), thing(2)], token="batch-1")
    await telemetry.insert("things", [thing(1), thing(2)], token="batch-2")
    assert await telemetry.insert("things", [], token="batch-3") == 0
    assert await telemetry.query("SELECT count() AS n FROM things") == [{"n": 4}]


async def test_an_insert_refuses_columns_it_does_not_know(telemetry: Telemetry) -> None:
    await telemetry.execute(TABLE)
    with pytest.raises(OctavoError):
        await telemetry.insert("things", [thing(1, surprise=1)], token="a")
    with pytest.raises(ValueError, match="no table name"):
        await telemetry.insert("things; DROP TABLE things", [thing(1)], token="a")
    assert await telemetry.query("SELECT count() AS n FROM things") == [{"n": 0}]


@pytest.mark.parametrize("text", TRICKY)
async def test_texts_pass_as_parameters_untouched(telemetry: Telemetry, text: str) -> None:
    sql = "SELECT {x:String} AS one, {y:Array(String)} AS many, {z:Nullable(String)} AS none"
    [row] = await telemetry.query(sql, {"x": text, "y": [text, "plain"], "z": None})
    assert row == {"one": text, "many": [text, "plain"], "none": None}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(), many=st.lists(st.text(), max_size=5), number=st.integers(-(2**63), 2**63 - 1))
def test_any_value_passes_as_a_parameter_untouched(
    empty_chdb: EmbeddedTelemetry, text: str, many: list[str], number: int
) -> None:
    sql = "SELECT {x:String} AS x, {y:Array(String)} AS y, {z:Int64} AS z"
    [row] = asyncio.run(empty_chdb.query(sql, {"x": text, "y": many, "z": number}))
    assert row == {"x": text, "y": many, "z": number}


async def test_numbers_and_times_pass_as_parameters(telemetry: Telemetry) -> None:
    moment = datetime(2026, 3, 1, 2, 3, 4, 567890, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    [row] = await telemetry.query(
        "SELECT {i:UInt64} AS i, {f:Float64} AS f, {b:Bool} AS b, {t:DateTime64(6)} AS t, {d:Date} AS d,"
        " {ts:Array(DateTime64(6))} AS ts, {ns:Array(Int64)} AS ns, {nan:Float64} AS nan",
        {
            "i": 2**64 - 1,
            "f": 0.1,
            "b": True,
            "t": moment,
            "d": date(2026, 3, 1),
            "ts": [moment.astimezone(UTC)],
            "ns": (-1, 2**62),
            "nan": math.nan,
        },
    )
    at = "2026-02-28T20:33:04.567890Z"
    assert row == {
        "i": 2**64 - 1,
        "f": 0.1,
        "b": True,
        "t": at,
        "d": "2026-03-01",
        "ts": [at],
        "ns": [-1, 2**62],
        "nan": None,
    }


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), object(), {"a": 1}])
async def test_other_values_are_no_parameters(telemetry: Telemetry, value: Any) -> None:
    with pytest.raises(TypeError):
        await telemetry.query("SELECT {x:String}", {"x": value})


async def test_no_rows_are_an_empty_list(telemetry: Telemetry) -> None:
    assert await telemetry.query("SELECT 1 AS one WHERE 0") == []


async def test_settings_hold_for_one_query(telemetry: Telemetry) -> None:
    sql = "SELECT getSetting('max_block_size') AS n"
    [before] = await telemetry.query(sql)
    for _ in range(4):
        assert await telemetry.query(sql, settings={"max_block_size": 77}) == [{"n": 77}]
    for _ in range(4):
        assert await telemetry.query(sql) == [before]


async def test_reads_and_writes_run_at_once(telemetry: Telemetry) -> None:
    await telemetry.execute(TABLE)
    writes = [telemetry.insert("things", [thing(n)], token=str(n)) for n in range(20)]
    reads = [telemetry.query("SELECT count() AS n FROM things") for _ in range(20)]
    await asyncio.gather(*writes, *reads)
    assert await telemetry.query("SELECT count() AS n FROM things") == [{"n": 20}]


async def test_a_value_that_does_not_fit_is_the_callers_mistake(telemetry: Telemetry) -> None:
    with pytest.raises(QueryRefused, match="does not fit") as caught:
        await telemetry.query("SELECT {x:UInt8} AS x", {"x": "hunter2"})
    assert isinstance(caught.value, Invalid)
    assert "hunter2" not in caught.value.message
    with pytest.raises(QueryRefused):
        await telemetry.query("SELECT match('a', {x:String}) AS x", {"x": "(unclosed"})


async def test_a_query_beyond_its_means_says_so(telemetry: Telemetry) -> None:
    with pytest.raises(QueryTooHeavy, match="narrow the time range"):
        await telemetry.query("SELECT count() FROM numbers(1000000)", settings={"max_rows_to_read": 10})


@pytest.mark.parametrize("sql", ["SELECT nothing FROM nowhere", "SELECT FROM WHERE"])
async def test_our_own_mistakes_are_not_shown_to_callers(telemetry: Telemetry, sql: str) -> None:
    with pytest.raises(QueryFailed, match="the log has the details") as caught:
        await telemetry.query(sql)
    assert "nowhere" not in caught.value.message
    assert "DB::Exception" in str(caught.value.__cause__)


async def test_migrations_run_once_in_order(telemetry: Telemetry) -> None:
    first = ("traces-1", "CREATE TABLE IF NOT EXISTS log (n UInt8) ENGINE = MergeTree ORDER BY n")
    await migrate(telemetry, [first])
    more = [first, ("traces-2", "INSERT INTO log VALUES (1)"), ("traces-3", "INSERT INTO log SELECT n + 1 FROM log")]
    await migrate(telemetry, more)
    await migrate(telemetry, more)
    assert await telemetry.query("SELECT n FROM log ORDER BY n") == [{"n": 1}, {"n": 2}]
    with pytest.raises(SchemaTooNew, match="telemetry store has schema traces-3"):
        await migrate(telemetry, [first])


async def test_wrong_credentials_are_a_matter_of_settings(telemetry_server: TelemetryServer) -> None:
    client = HttpTelemetry.from_url(telemetry_server.url.replace("//", "//default:wrong@"))
    with pytest.raises(TelemetryUnavailable, match="check OCTAVO_CLICKHOUSE_URL"):
        await client.query("SELECT 1")
    await client.close()


async def test_a_client_follows_a_restarted_server(empty_chdb: EmbeddedTelemetry) -> None:
    client = HttpTelemetry()
    with pytest.raises(TelemetryUnavailable, match="is starting"):
        await client.query("SELECT 1")
    for token in ("first", "second"):
        server = TelemetryServer(empty_chdb, token=token)
        client.point_to(server.url, password=token)
        assert await client.query("SELECT 1 AS one") == [{"one": 1}]
        server.close()
        with pytest.raises(TelemetryUnavailable, match="does not answer"):
            await client.query("SELECT 1")
    await client.close()


@pytest.mark.parametrize("url", ["localhost:8123", "tcp://host/db", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="expected http"):
        HttpTelemetry.from_url(url)


async def test_the_server_speaks_clickhouses_protocol(telemetry_server: TelemetryServer) -> None:
    """What clients of ClickHouse send, by hand."""

    async def chunks() -> Any:
        yield b"SELECT {x:String}"
        yield b" FORMAT TSV"

    auth = httpx.BasicAuth("default", TELEMETRY_TOKEN)
    async with httpx.AsyncClient(base_url=telemetry_server.url, auth=auth) as http:
        assert (await http.get("/ping")).text == "Ok.\n"
        assert (await http.get("/", params={"query": "SELECT 1"})).text == "1\n"
        assert (await http.post("/", content="SELECT 1 FORMAT JSONEachRow")).json() == {"1": 1}
        assert (
            await http.post("/", content="SELECT 1 AS a", params={"default_format": "CSVWithNames"})
        ).text == '"a"\n1\n'
        assert (await http.post("/", content=chunks(), params={"param_x": "a\\tb"})).text == "a\\tb\n"
        zipped = gzip.compress(b"SELECT 7")
        assert (await http.post("/", content=zipped, headers={"content-encoding": "gzip"})).text == "7\n"
        (await http.post("/", content="CREATE TABLE t (a UInt8) ENGINE = Memory")).raise_for_status()
        (await http.post(f"/?query={quote('INSERT INTO t FORMAT TSV')}", content="1\n2\n")).raise_for_status()
        assert (await http.post("/", content="SELECT sum(a) FROM t", params={"database": "default"})).text == "3\n"

        wrong = await http.post("/", content="SELECT 1 FROM nowhere")
        assert (wrong.status_code, wrong.headers["x-clickhouse-exception-code"]) == (404, "60")
        unknown = await http.post("/", content="SELECT 1", params={"no_such_setting": "1"})
        assert (unknown.status_code, unknown.headers["x-clickhouse-exception-code"]) == (404, "115")
        rubbish = await http.post("/", content=b"not gzip", headers={"content-encoding": "gzip"})
        assert rubbish.headers["x-clickhouse-exception-code"] == "27"
        assert rubbish.headers["connection"] == "close"  # or the next request may meet a closed connection
        refused = await http.post("/", content="SELECT 1", auth=httpx.BasicAuth("default", ""))
        assert (refused.status_code, refused.headers["x-clickhouse-exception-code"]) == (403, "516")


HOLD = """
    import sys, time
    from pathlib import Path
    from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry, TelemetryInUse
    try:
        engine = EmbeddedTelemetry(Path(sys.argv[1]), lock_timeout_s=float(sys.argv[2]))
    except TelemetryInUse as error:
        print(error.message, flush=True)
    else:
        print("open", flush=True)
        sys.stdin.read()
"""


def test_one_process_holds_the_folder_and_the_next_waits_for_it_to_die(tmp_path: Path) -> None:
    def start(timeout_s: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path / "telemetry"), timeout_s]
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with start("10") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with start("0") as impatient:
            assert "in use by another Octavo process" in impatient.communicate()[0]
        with start("60") as patient:
            holder.kill()
            holder.wait()
            assert patient.communicate()[0] == "open\n"
