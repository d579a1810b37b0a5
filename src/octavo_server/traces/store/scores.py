"""Scores in the telemetry store: rows by id, of which the one written last stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from octavo_server.stores.telemetry import Telemetry
from octavo_server.traces.model import Score

_TEXTS = ("id", "name", "data_type", "string_value", "trace_id", "span_id", "session_id", "experiment_id", "source")
_MORE_TEXTS = ("comment", "config_id", "queue_id", "author", "environment")
_COLUMNS = ", ".join(("project_id", *_TEXTS, *_MORE_TEXTS, "value", "metadata", "time", "written"))

SCORE_DIMENSIONS = frozenset({"name", "data_type", "source", "environment", "config_id", "author", "string_value"})
SCORE_MEASURES: Mapping[str, str] = {
    "count": "count()",
    "avg": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "sum": "sum(value)",
    "p50": "quantile(0.5)(value)",
    "p75": "quantile(0.75)(value)",
    "p90": "quantile(0.9)(value)",
    "p95": "quantile(0.95)(value)",
    "p99": "quantile(0.99)(value)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreScope:
    """Which scores a query is about. Each list: any of these; empty: all. `start` inclusive, `end` exclusive."""

    ids: Sequence[str] = ()
    names: Sequence[str] = ()
    sources: Sequence[str] = ()
    data_types: Sequence[str] = ()
    environments: Sequence[str] = ()
    trace_ids: Sequence[str] = ()
    span_ids: Sequence[str] = ()
    session_ids: Sequence[str] = ()
    experiment_ids: Sequence[str] = ()
    config_ids: Sequence[str] = ()
    queue_ids: Sequence[str] = ()
    authors: Sequence[str] = ()
    texts: Sequence[str] = ()
    value_min: float | None = None
    value_max: float | None = None
    start: datetime | None = None
    end: datetime | None = None

    def where(self, project_id: str) -> tuple[str, dict[str, Any]]:
        """The WHERE clause and its parameters."""
        parts = ["project_id = {project:String}"]
        params: dict[str, Any] = {"project": project_id}
        for column, wanted in (
            ("id", self.ids),
            ("name", self.names),
            ("source", self.sources),
            ("data_type", self.data_types),
            ("environment", self.environments),
            ("trace_id", self.trace_ids),
            ("span_id", self.span_ids),
            ("session_id", self.session_ids),
            ("experiment_id", self.experiment_ids),
            ("config_id", self.config_ids),
            ("queue_id", self.queue_ids),
            ("author", self.authors),
            ("string_value", self.texts),
        ):
            if wanted:
                parts.append(f"{column} IN {{{column}s:Array(String)}}")
                params[f"{column}s"] = list(wanted)
        for name, condition, value, kind in (
            ("least", "value >=", self.value_min, "Float64"),
            ("most", "value <=", self.value_max, "Float64"),
            ("from", "time >=", self.start, "DateTime64(9, 'UTC')"),
            ("to", "time <", self.end, "DateTime64(9, 'UTC')"),
        ):
            if value is not None:
                parts.append(f"{condition} {{{name}:{kind}}}")
                params[name] = value
        return " AND ".join(parts), params


class ScoreStore:
    """Writes and reads scores."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def write(self, scores: Sequence[Score], retention_days: Mapping[str, int], *, token: str) -> None:
        """Stores scores; again under the same token it changes nothing."""
        rows = [_row(score, retention_days.get(score.project_id, 90)) for score in scores]
        if rows:
            await self._telemetry.insert("scores", rows, token=token)

    async def find(
        self, project_id: str, scope: ScoreScope, *, limit: int, before: tuple[str, str] | None = None, skip: int = 0
    ) -> list[dict[str, Any]]:
        """Scores, the newest first, from the position `before`: the last one's time and id."""
        where, params = scope.where(project_id)
        if before is not None:
            where += " AND (time, id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        return await self._telemetry.query(
            f"SELECT {_COLUMNS} FROM scores FINAL WHERE {where}"  # noqa: S608
            " ORDER BY time DESC, id DESC LIMIT {limit:UInt32} OFFSET {skip:UInt32}",
            {**params, "limit": limit, "skip": skip},
        )

    async def count(self, project_id: str, scope: ScoreScope) -> int:
        where, params = scope.where(project_id)
        rows = await self._telemetry.query(f"SELECT count() AS n FROM scores FINAL WHERE {where}", params)  # noqa: S608
        return int(rows[0]["n"])

    async def means(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """The mean of each score that is a number, by trace and name."""
        rows = await self._telemetry.query(
            "SELECT trace_id, name, avg(value) AS mean FROM scores FINAL WHERE project_id = {project:String}"
            " AND trace_id IN {ids:Array(String)} AND value IS NOT NULL GROUP BY trace_id, name ORDER BY name",
            {"project": project_id, "ids": list(trace_ids)},
        )
        found: dict[str, dict[str, float]] = {}
        for row in rows:
            found.setdefault(row["trace_id"], {})[row["name"]] = row["mean"]
        return found

    async def metrics(
        self,
        project_id: str,
        scope: ScoreScope,
        *,
        measures: Sequence[str],
        dimensions: Sequence[str],
        interval_s: int | None,
        limit: int,
    ) -> list[dict[str, Any]]:
        """Measures by time bucket and dimensions; the names have to be of SCORE_MEASURES and SCORE_DIMENSIONS."""
        where, params = scope.where(project_id)
        groups = [f"toString({name}) AS {name}" for name in dimensions]
        keys = list(dimensions)
        if interval_s is not None:
            groups.insert(0, "toStartOfInterval(time, toIntervalSecond({step:UInt32}), 'UTC') AS bucket")
            keys.insert(0, "bucket")
            params["step"] = interval_s
        columns = ", ".join([*groups, *(f"{SCORE_MEASURES[name]} AS {name}" for name in measures)])
        tail = f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
        return await self._telemetry.query(
            f"SELECT {columns} FROM scores FINAL WHERE {where}{tail} LIMIT {{limit:UInt32}}",  # noqa: S608
            {**params, "limit": limit},
        )


def _row(score: Score, retention_days: int) -> dict[str, Any]:
    row: dict[str, Any] = {"project_id": score.project_id, "time": score.time_ns, "written": score.written_ns}
    for name in (*_TEXTS, *_MORE_TEXTS):
        if value := getattr(score, name):
            row[name] = value
    if score.value is not None:
        row["value"] = score.value
    if score.metadata is not None:
        row["metadata"] = orjson.dumps(score.metadata).decode()
    if score.deleted:
        row["deleted"] = 1
    row["retention_days"] = retention_days
    return row
