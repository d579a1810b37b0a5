"""Fills an embedded telemetry store with generated spans (ten a trace, texts of some 420 characters each way) and
measures what the console asks for, through the room's own service. No server and no HTTP: add about 5 ms a query."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from octavo_server.stores.telemetry import migrate
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
from octavo_server.traces.service import Search, Traces
from octavo_server.traces.store import MIGRATIONS, SpanStore

PROJECT = "prj_1"
STEP = 250_000
SPANS_APART_NS = 20_000_000


def fill(engine: EmbeddedTelemetry, total: int, now_ns: int) -> None:
    """Spans up to now, a second for fifty of them."""
    for first in range(0, total, STEP):
        engine.run(
            f"""
            INSERT INTO spans (project_id,trace_id,span_id,parent_span_id,name,kind,source,start,duration_ns,is_root,status,error_class,environment,session_id,user_id,provider,model,model_requested,input,output,input_preview,output_preview,input_from,output_from,usage_known,tokens_input,tokens_output,tokens_total,cost_nano,ttft_ns,counted,attributes,resource,content_hash,retention_days)
    WITH intDiv(n,10) AS tr, n%10 AS k, lower(concat(leftPad(hex(cityHash64(tr,1)),16,'0'),leftPad(hex(cityHash64(tr,2)),16,'0'))) AS tid,
      concat('Summarise report ', toString(cityHash64(n)), ' for ', arrayStringConcat(arrayMap(i -> arrayElement(['the','board','risk','quarter','revenue','churn','launch','delay','margin','growth','team','plan'], 1+cityHash64(n,i)%12), range(60)),' ')) AS txt
    SELECT 'prj_1', tid, lower(hex(cityHash64(n))), if(k=0,'',lower(hex(cityHash64(tr*10)))), if(k=0,'agent','chat gpt-4.1-mini'), if(k=0,'agent','llm'), 'otlp',
      fromUnixTimestamp64Nano(toInt64({now_ns} - ({total}-n)*{SPANS_APART_NS}), 'UTC') , 100000000+cityHash64(n)%2000000000, k=0, if(cityHash64(n)%50=0,'error','ok'), if(cityHash64(n)%50=0,'rate_limit',''),
      arrayElement(['production','staging'],1+n%2), concat('s',toString(intDiv(tr,5))), concat('u',toString(tr%5000)), 'openai', if(k=0,'',arrayElement(['gpt-4.1','gpt-4.1-mini','claude-sonnet','gemini-pro'],1+cityHash64(n)%4)), 'gpt-4.1-mini',
      txt, reverse(txt), substring(txt,1,300), substring(reverse(txt),1,300), 'input.value','output.value', k!=0, if(k=0,0,400+n%100), if(k=0,0,80+n%30), if(k=0,0,480+n%100+n%30), if(k=0,NULL,toInt64(150000+n%1000)), if(k=0,NULL,toUInt64(200000000+n%100000000)), 1, '{{"openinference.span.kind":"LLM","gen_ai.request.model":"gpt-4.1-mini"}}','{{"service.name":"bench"}}', cityHash64(n), 365
    FROM (SELECT {first}+number AS n FROM numbers({STEP}))
            """,
            settings={"max_memory_usage": 4 << 30},
        )
        print(f"{first + STEP} spans", end="\r", flush=True)
    engine.run(
        "INSERT INTO trace_times SELECT project_id, trace_id, min(start), max(start), '', 365"
        " FROM spans GROUP BY project_id, trace_id",
        settings={"max_memory_usage": 4 << 30},
    )


async def measure(traces: Traces, rounds: int) -> None:
    async def time_of(name: str, verb: Callable[[], Awaitable[Any]]) -> Any:
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            result = await verb()
            times.append((time.perf_counter() - started) * 1000)
        times.sort()
        print(f"{name:34} p50 {times[len(times) // 2]:7.1f} ms   p95 {times[int(len(times) * 0.95)]:7.1f} ms")
        return result

    def listed(cursor: str = "", **search: Any) -> Callable[[], Awaitable[Any]]:
        return lambda: traces.list_traces(PROJECT, Search(**search), limit=50, cursor=cursor)

    def measured(measures: list[str], dimensions: list[str], interval: str) -> Callable[[], Awaitable[Any]]:
        return lambda: traces.metrics(PROJECT, Search(), measures=measures, dimensions=dimensions, interval=interval)

    page = await time_of("list", listed())
    await time_of("list, next page", listed(page.next_cursor))
    await time_of("list, status = error", listed(filter="status = error"))
    await time_of("list, model and latency", listed(filter='model = "gpt-4.1" and latency_ms > 1000'))
    await time_of("list, text in contents", listed(search="revenue margin"))
    old = await traces.list_traces(PROJECT, Search(end=datetime.now(UTC) - timedelta(hours=5)), limit=1, cursor="")
    trace_id = (old.rows or page.rows)[0]["trace_id"]
    _, spans = await time_of("trace by id", lambda: traces.read_trace(PROJECT, trace_id))
    await time_of("span by id", lambda: traces.read_span(PROJECT, spans[-1]["span_id"], trace_id))
    await time_of("count of traces and spans", lambda: traces.count(PROJECT))
    await time_of("calls and error rate by hour", measured(["calls", "error_rate"], [], "hour"))
    await time_of("latency p50, p95, p99 by hour", measured(["latency_p50", "latency_p95", "latency_p99"], [], "hour"))
    await time_of("tokens and cost by model", measured(["total_tokens", "cost_usd"], ["model"], "none"))
    await time_of("sessions", lambda: traces.groups(PROJECT, Search(), by="session_id", limit=50))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="kept, and used again when it has spans")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    engine = EmbeddedTelemetry(options.folder / "telemetry")
    try:
        asyncio.run(migrate(engine, MIGRATIONS))
        if engine.run("SELECT count() FROM spans", output="TSV").strip() == b"0":
            fill(engine, options.spans, time.time_ns())
        asyncio.run(measure(Traces(SpanStore(engine), lambda: datetime.now(UTC)), options.rounds))
    finally:
        engine.shut()


if __name__ == "__main__":
    main()
