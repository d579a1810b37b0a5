"""The queries behind Langfuse's reading API: whole spans by page, and tables of any measure in any aggregation. The
gateway's record of a call that its client reported too is left out: Langfuse's clients expect the one they sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from octavo_server.stores.telemetry import Telemetry
from octavo_server.traces.store.reading import Scope

DIMENSIONS = {
    "environment": "environment",
    "type": "kind",
    "name": "name",
    "level": "level",
    "version": "version",
    "release": "release",
    "providedModelName": "model",
    "promptName": "prompt_name",
    "promptVersion": "prompt_version",
    "traceName": "trace_name",
    "userId": "user_id",
    "sessionId": "session_id",
}
MEASURES = {
    "count": "",
    "latency": "duration_ns / 1e6",
    "streamingLatency": "(duration_ns - ttft_ns) / 1e6",
    "inputTokens": "tokens_input + tokens_cache_read + tokens_cache_write + tokens_input_audio",
    "outputTokens": "tokens_output + tokens_reasoning + tokens_output_audio",
    "totalTokens": "tokens_total",
    "totalCost": "cost_nano / 1e9",
    "timeToFirstToken": "ttft_ns / 1e6",
}
AGGREGATIONS = {
    "sum": "sum({})",
    "avg": "avg({})",
    "count": "count({})",
    "max": "max({})",
    "min": "min({})",
    **{f"p{rank}": f"quantile(0.{rank})({{}})" for rank in (50, 75, 90, 95, 99)},
}
GRANULARITIES = {
    "minute": "toIntervalMinute(1)",
    "hour": "toIntervalHour(1)",
    "day": "toIntervalDay(1)",
    "week": "toIntervalWeek(1)",
    "month": "toIntervalMonth(1)",
}
_REPORTED = "NOT (source = 'gateway' AND match != '')"


class ObservationStore:
    """Reads spans as Langfuse's clients ask for them."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def observations(
        self, scope: Scope, *, limit: int, before: tuple[str, str] | None = None, skip: int = 0
    ) -> list[dict[str, Any]]:
        """Whole spans, the newest first, from the position `before`: the last one's start and id."""
        where, params = scope.where()
        if before is not None:
            where += " AND (start, span_id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        return await self._telemetry.query(
            f"SELECT * FROM spans WHERE {where} AND {_REPORTED}"  # noqa: S608
            " ORDER BY start DESC, span_id DESC LIMIT {limit:UInt32} OFFSET {skip:UInt32}",
            {**params, "limit": limit, "skip": skip},
        )

    async def counterparts(self, project_id: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """By id, the counted records of the calls that these spans are second reports of."""
        ids = [row["duplicate_of"] for row in rows if row["duplicate_of"]]
        if not ids:
            return {}
        found = await self._telemetry.query(
            "SELECT span_id, cost_nano, cost_details FROM spans WHERE project_id = {project:String} AND counted"
            " AND span_id IN {ids:Array(String)} AND start >= {first:DateTime64(9, 'UTC')} - toIntervalHour(1)"
            " AND start <= {last:DateTime64(9, 'UTC')} + toIntervalHour(1)",
            {
                "project": project_id,
                "ids": ids,
                "first": min(row["start"] for row in rows).replace("T", " ").removesuffix("Z"),
                "last": max(row["start"] for row in rows).replace("T", " ").removesuffix("Z"),
            },
        )
        return {row["span_id"]: row for row in found}

    async def count_traces(self, scope: Scope) -> int:
        """How many traces have a matching span."""
        where, params = scope.where()
        rows = await self._telemetry.query(f"SELECT uniqExact(trace_id) AS n FROM spans WHERE {where}", params)  # noqa: S608
        return int(rows[0]["n"])

    async def count(self, scope: Scope) -> int:
        """How many spans match."""
        where, params = scope.where()
        rows = await self._telemetry.query(
            f"SELECT count() AS n FROM spans WHERE {where} AND {_REPORTED}",  # noqa: S608
            params,
        )
        return int(rows[0]["n"])

    async def table(
        self,
        scope: Scope,
        *,
        dimensions: Sequence[str],
        metrics: Sequence[tuple[str, str]],
        granularity: str,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Rows by dimension, and time bucket unless `granularity` is empty: a column `<aggregation>_<measure>` for each
        metric. The names have to be of DIMENSIONS, MEASURES, AGGREGATIONS and GRANULARITIES."""
        where, params = scope.where()
        columns = [f"toString({DIMENSIONS[name]}) AS `{name}`" for name in dimensions]
        keys = [f"`{name}`" for name in dimensions]
        if granularity:
            columns.append(f"toStartOfInterval(start, {GRANULARITIES[granularity]}, 'UTC') AS time_dimension")
            keys.append("time_dimension")
        for aggregation, measure in metrics:
            value = MEASURES[measure]
            sql = AGGREGATIONS[aggregation].format(value) if value else "count()"
            columns.append(f"{sql} AS `{aggregation}_{measure}`")
        tail = f" GROUP BY {', '.join(keys)}" if keys else ""
        order = " ORDER BY time_dimension" if granularity else ""
        return await self._telemetry.query(
            f"SELECT {', '.join(columns)} FROM spans WHERE {where} AND {_REPORTED}{tail}{order}"  # noqa: S608
            " LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )

    async def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> None:
        """Deletes all that is stored of these traces."""
        about = {"project": project_id, "ids": list(trace_ids)}
        for table in ("spans", "trace_times", "span_logs", "scores"):
            await self._telemetry.execute(
                f"DELETE FROM {table} WHERE project_id = {{project:String}} AND trace_id IN {{ids:Array(String)}}",  # noqa: S608
                about,
            )
