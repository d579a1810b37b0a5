"""What Langfuse's clients read back and write beside spans: the verbs behind their API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Invalid, NotFound, OctavoError
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.stores.control import ControlStore
from octavo_server.traces import langfuse
from octavo_server.traces.filter import compile_filter
from octavo_server.traces.model import Score
from octavo_server.traces.service.media import MediaFiles
from octavo_server.traces.service.reading import Rows, Search, Traces, known_names, page_of, position_of
from octavo_server.traces.service.scores import Scores
from octavo_server.traces.store import Scope
from octavo_server.traces.store.langfuse import AGGREGATIONS, DIMENSIONS, GRANULARITIES, MEASURES, ObservationStore
from octavo_server.traces.store.scores import SCORE_DIMENSIONS, SCORE_MEASURES, ScoreScope

_MOST_DELETED = 1000
_MOST_ROWS = 10_000
_SCORE_VIEWS = {
    "scores-numeric": ("NUMERIC",),
    "scores-boolean": ("BOOLEAN",),
    "scores-categorical": ("CATEGORICAL",),
}
_SCORE_FIELDS = {"stringValue": "string_value", "configId": "config_id", "dataType": "data_type"}


class Taken(NamedTuple):
    """What became of scores that came together."""

    accepted: list[Score]
    errors: list[tuple[str, str]]  # id and message of each that was refused


class LangfuseApi:
    """The verbs. Every verb is about one project."""

    def __init__(
        self,
        control: ControlStore,
        store: ObservationStore,
        traces: Traces,
        scores: Scores,
        media: MediaFiles,
        clock: Clock,
    ) -> None:
        self._control = control
        self._store = store
        self._clock = clock
        self.traces = traces
        self.scores = scores
        self._media = media

    async def observations(self, project_id: str, search: Search, *, limit: int, cursor: str) -> Rows:
        """Whole spans, the newest first."""
        rows = await self._store.observations(search.scope(project_id), limit=limit + 1, before=position_of(cursor))
        return page_of(await self._priced(project_id, rows), limit, "start", "span_id")

    async def _priced(self, project_id: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The spans, a call that the gateway recorded too at the cost that is in totals."""
        counted = await self._store.counterparts(project_id, rows)
        return [
            {**row, "cost_nano": twin["cost_nano"], "cost_details": twin["cost_details"]}
            if (twin := counted.get(row["duplicate_of"]))
            else row
            for row in rows
        ]

    async def trace_page(
        self, project_id: str, search: Search, *, page: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """A numbered page of traces, from 1 on, and how many there are in all."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        for number in range(page):
            if number and not cursor:
                return [], await self._count_traces(project_id, search)
            found = await self.traces.list_traces(project_id, search, limit=limit, cursor=cursor)
            rows, cursor = found.rows, found.next_cursor or ""
        return rows, await self._count_traces(project_id, search)

    async def _count_traces(self, project_id: str, search: Search) -> int:
        if search.filter or search.start or search.end:
            return await self._store.count_traces(search.scope(project_id))
        return int((await self.traces.count(project_id))["traces"])

    async def observation_page(
        self, project_id: str, search: Search, *, page: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """A numbered page of whole spans, from 1 on, and how many there are in all."""
        scope = search.scope(project_id)
        rows, count = await asyncio.gather(
            self._store.observations(scope, limit=limit, skip=(page - 1) * limit), self._store.count(scope)
        )
        return await self._priced(project_id, rows), count

    async def trace(self, project_id: str, trace_id: str) -> dict[str, Any]:
        """A trace with its observations and scores, in Langfuse's first shape. Raises NotFound."""
        summary, _ = await self.traces.read_trace(project_id, trace_id)
        search = Search(filter=langfuse.condition("trace_id", "=", summary["trace_id"]))
        rows, scores = await asyncio.gather(
            self._store.observations(search.scope(project_id), limit=_MOST_ROWS),
            self.scores.find(project_id, ScoreScope(trace_ids=list({trace_id, summary["trace_id"]})), limit=1000),
        )
        rows = await self._priced(project_id, rows)
        root = next((row for row in rows if row["span_id"] == summary["root_span_id"]), rows[-1] if rows else None)
        return {
            **langfuse.legacy_trace_of(summary, root),
            **langfuse.trace_contents_of(rows),
            "observations": [langfuse.legacy_observation_of(row) for row in reversed(rows)],
            "scores": [langfuse.legacy_score_of(row) for row in scores.rows],
        }

    async def write_scores(self, by: Principal, items: Sequence[Any]) -> Taken:
        """Takes scores, each by itself: one that is refused does not take the others with it."""
        taken = Taken([], [])
        for item in items:
            try:
                score = await asyncio.to_thread(self._score, by, item)
            except OctavoError as error:
                name = item.get("id") if isinstance(item, dict) else None
                taken.errors.append((name if isinstance(name, str) else "", error.message))
            else:
                taken.accepted.append(score)
        await self.scores.write(taken.accepted)
        return taken

    def _score(self, by: Principal, item: Any) -> Score:
        if not isinstance(item, dict):
            raise Invalid("A score is no JSON object.")
        texts: dict[str, str] = {}
        for theirs, ours in (
            ("id", "id"),
            ("name", "name"),
            ("traceId", "trace_id"),
            ("observationId", "span_id"),
            ("sessionId", "session_id"),
            ("datasetRunId", "experiment_id"),
            ("comment", "comment"),
            ("configId", "config_id"),
            ("queueId", "queue_id"),
            ("environment", "environment"),
            ("source", "source"),
        ):
            value = item.get(theirs)
            if value is None:
                continue
            if not isinstance(value, str):
                raise Invalid(f"`{theirs}` is {str(value)[:40]!r}; expected a text.", param=theirs)
            texts[ours] = value
        data_type = item.get("dataType")
        if data_type is not None and not isinstance(data_type, str):
            raise Invalid("`dataType` is no text.", param="dataType")
        if texts.get("source") not in (None, "API", "EVAL", "ANNOTATION"):
            del texts["source"]
        fields: dict[str, Any] = {"name": "", **texts, "metadata": item.get("metadata")}
        if isinstance(at := item.get("timestamp"), str):
            fields["time_ns"] = _nanoseconds(at)
        return self.scores.read(by, value=item.get("value"), data_type=data_type, **fields)

    async def metrics(self, project_id: str, query: str) -> list[dict[str, Any]]:
        """Rows of a query as Langfuse's second metrics API takes it. Raises Invalid."""
        asked = _object(query)
        view = asked.get("view")
        filters = orjson.dumps(asked.get("filters") or []).decode()
        condition, start, end = langfuse.filter_of(filters)
        start = _instant(asked.get("fromTimestamp")) or start
        end = _instant(asked.get("toTimestamp")) or end
        dimensions = [str(one.get("field")) for one in _objects(asked, "dimensions")]
        metrics = [(str(one.get("aggregation")), str(one.get("measure"))) for one in _objects(asked, "metrics")]
        if not metrics:
            raise Invalid("`metrics` is empty; ask for at least one measure.", param="query")
        time = asked.get("timeDimension")
        granularity = str(time.get("granularity")) if isinstance(time, dict) else ""
        if granularity == "auto":
            granularity = _granularity(start, end, self._clock.now())
        config = asked.get("config")
        limit = config.get("row_limit") if isinstance(config, dict) else None
        limit = (
            min(limit, _MOST_ROWS) if isinstance(limit, int) and limit > 0 else 100 if not granularity else _MOST_ROWS
        )
        if granularity:
            known_names("granularity", [granularity], frozenset(GRANULARITIES))
        if view == "observations":
            known_names("dimension", dimensions, DIMENSIONS)
            known_names("measure", [measure for _, measure in metrics], MEASURES)
            known_names("aggregation", [aggregation for aggregation, _ in metrics], AGGREGATIONS)
            scope = Scope(project_id=project_id, start=start, end=end, condition=compile_filter(condition))
            rows = await self._store.table(
                scope, dimensions=dimensions, metrics=metrics, granularity=granularity, limit=limit
            )
        elif view in _SCORE_VIEWS:
            rows = await self._score_table(
                project_id, view, (start, end), dimensions=dimensions, metrics=metrics, granularity=granularity
            )
        else:
            raise Invalid(
                f"`view` is {str(view)[:40]!r}; expected observations or one of {', '.join(_SCORE_VIEWS)}.",
                param="query",
            )
        return _ordered(rows, asked.get("orderBy"))[:limit]

    async def _score_table(
        self,
        project_id: str,
        view: str,
        times: tuple[datetime | None, datetime | None],
        *,
        dimensions: Sequence[str],
        metrics: Sequence[tuple[str, str]],
        granularity: str,
    ) -> list[dict[str, Any]]:
        fields = [_SCORE_FIELDS.get(name, name) for name in dimensions]
        known_names("dimension", fields, SCORE_DIMENSIONS)
        known_names("measure", [measure for _, measure in metrics], frozenset({"count", "value"}))
        aggregations = ["count" if measure == "count" else aggregation for aggregation, measure in metrics]
        known_names("aggregation", aggregations, SCORE_MEASURES)
        rows, _ = await self.scores.metrics(
            project_id,
            ScoreScope(data_types=_SCORE_VIEWS[view], start=times[0], end=times[1]),
            measures=list(dict.fromkeys(aggregations)),
            dimensions=fields,
            interval=granularity if granularity in ("minute", "hour", "day", "week") else "none",
        )
        return [
            {
                **{name: row[field] for name, field in zip(dimensions, fields, strict=True)},
                **({"time_dimension": row["bucket"]} if "bucket" in row else {}),
                **{
                    f"{aggregation}_{measure}": row[column]
                    for (aggregation, measure), column in zip(metrics, aggregations, strict=True)
                },
            }
            for row in rows
        ]

    async def delete_traces(self, by: Principal, trace_ids: Sequence[str]) -> None:
        """Deletes traces with their spans, scores and files; what of them is still on its way is stored later."""
        if not trace_ids or len(trace_ids) > _MOST_DELETED:
            raise Invalid(f"There are {len(trace_ids)} ids; expected 1 to {_MOST_DELETED}.", param="traceIds")
        found = [await self._exists(by.project, trace_id) for trace_id in trace_ids]
        if not any(found):
            raise NotFound("There is none of these traces in this project.")
        await self._store.delete_traces(by.project, trace_ids)
        await asyncio.to_thread(self._media.forget_traces, by.project, trace_ids)
        await asyncio.to_thread(self._note_deleted, by, trace_ids)

    async def _exists(self, project_id: str, trace_id: str) -> bool:
        try:
            await self.traces.read_trace(project_id, trace_id)
        except NotFound:
            return False
        return True

    def _note_deleted(self, by: Principal, trace_ids: Sequence[str]) -> None:
        now = self._clock.now()
        with self._control.transaction() as tx:
            for trace_id in trace_ids:
                view: dict[str, Any] = {"trace_id": trace_id}
                tx.record(event_of(by, "trace.deleted", trace_id, now, before=view, after=None))


def _ordered(rows: list[dict[str, Any]], order: Any) -> list[dict[str, Any]]:
    for one in reversed(order if isinstance(order, list) else []):
        if isinstance(one, dict) and rows and one.get("field") in rows[0]:
            field = one["field"]
            rows = sorted(
                rows, key=lambda row: (row[field] is not None, row[field]), reverse=one.get("direction") == "desc"
            )
    return rows


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Invalid("`query` is no JSON object.", param="query")
    return value


def _objects(asked: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = asked.get(name) or []
    if not isinstance(value, list) or len(value) > 20 or not all(isinstance(one, dict) for one in value):
        raise Invalid(f"`{name}` is not a list of at most 20 objects.", param="query")
    return value


def _granularity(start: datetime | None, end: datetime | None, now: datetime) -> str:
    hours = ((end or now) - (start or now)).total_seconds() / 3600
    return next(name for name, most in (("minute", 2), ("hour", 72), ("day", 2400), ("week", 1e12)) if hours <= most)


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise Invalid(f"{str(value)[:40]!r} is no time; expected ISO 8601.", param="query") from None
    if at.tzinfo is None:
        raise Invalid(f"{str(value)[:40]!r} has no time zone; end it with Z.", param="query")
    return at


def _nanoseconds(text: str) -> int:
    at = _instant(text)
    assert at is not None
    return int(at.timestamp() * 1e6) * 1000
