"""Scores, their configs and comments, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from anyio import to_thread
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import Page
from octavo_server.traces.model import Comment, ScoreConfig
from octavo_server.traces.routes.params import Cursor, Limit, MetricsOut, instant, names_in
from octavo_server.traces.service.scores import Scores, score_rows
from octavo_server.traces.store.scores import ScoreScope

DataType = Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"]
_Id = Annotated[str, Field(max_length=200)]


class ScoreIn(BaseModel):
    """A score of a trace, a span of it, or a session. Without `data_type` it is its config's, else what the value is.
    The same `id` again replaces the score."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    value: bool | float | str
    data_type: DataType | None = None
    trace_id: _Id = ""
    span_id: _Id = ""
    session_id: _Id = ""
    id: _Id = ""
    comment: Annotated[str, Field(max_length=20_000)] = ""
    config_id: _Id = ""
    metadata: Any = None
    environment: Annotated[str, Field(max_length=40)] = ""


class ScoreOut(BaseModel):
    """A score. `value` is the number of NUMERIC, BOOLEAN (0 or 1) and of a category that has one; `string_value` the text
    of CATEGORICAL, TEXT and CORRECTION."""

    id: str
    name: str
    data_type: str
    value: float | None
    string_value: str
    trace_id: str
    span_id: str
    session_id: str
    source: str
    comment: str
    config_id: str
    author: str
    metadata: Any
    environment: str
    time: datetime


class Category(BaseModel):
    """One of the values that a score may have."""

    label: Annotated[str, Field(min_length=1, max_length=500)]
    value: float


class ScoreConfigIn(BaseModel):
    """What scores of a name may be."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    data_type: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT"]
    min_value: float | None = None
    max_value: float | None = None
    categories: Annotated[list[Category], Field(max_length=200)] = []
    description: Annotated[str, Field(max_length=5000)] = ""


class ScoreConfigChange(BaseModel):
    """What is to be another; the rest stays."""

    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    min_value: float | None = None
    max_value: float | None = None
    categories: Annotated[list[Category] | None, Field(max_length=200)] = None
    description: Annotated[str | None, Field(max_length=5000)] = None
    is_archived: bool | None = None


class ScoreConfigOut(ScoreConfigIn):
    """A config."""

    id: str
    is_archived: bool
    created_at: datetime
    updated_at: datetime


class CommentIn(BaseModel):
    """What to say about a trace or a span."""

    trace_id: Annotated[str, Field(min_length=1, max_length=200)]
    span_id: _Id = ""
    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class CommentOut(BaseModel):
    """What a person said."""

    id: str
    trace_id: str
    span_id: str
    text: str
    author: str
    author_name: str
    created_at: datetime


def _scope(
    trace_id: Annotated[str, Query(max_length=200)] = "",
    span_id: Annotated[str, Query(max_length=200)] = "",
    session_id: Annotated[str, Query(max_length=200)] = "",
    name: Annotated[str, Query(max_length=200)] = "",
    source: Annotated[str, Query(max_length=40)] = "",
    environment: Annotated[str, Query(max_length=40)] = "",
    start: Annotated[str, Query(alias="from", max_length=64)] = "",
    end: Annotated[str, Query(alias="to", max_length=64)] = "",
) -> ScoreScope:
    def one(value: str) -> list[str]:
        return [value] if value else []

    return ScoreScope(
        trace_ids=one(trace_id),
        span_ids=one(span_id),
        session_ids=one(session_id),
        names=one(name),
        sources=one(source),
        environments=one(environment),
        start=instant(start, "from"),
        end=instant(end, "to"),
    )


Scoped = Annotated[ScoreScope, Depends(_scope)]


def build_scores_router(scores: Scores) -> APIRouter:
    """Routes of scores, configs and comments."""
    router = APIRouter(tags=["scores"])

    @router.get("/scores", **allows(Permission.TRACES_READ))
    async def list_scores(caller: Caller, scope: Scoped, limit: Limit = 50, cursor: Cursor = "") -> Page[ScoreOut]:
        """Scores, the newest first."""
        page = await scores.find(caller.project, scope, limit=limit, cursor=cursor)
        return Page(data=[score_out(row) for row in page.rows], next_cursor=page.next_cursor)

    @router.post("/scores", status_code=201, **allows(Permission.SCORES_WRITE))
    async def create_score(caller: Caller, body: ScoreIn) -> ScoreOut:
        """Scores a trace, a span or a session, which may come later than its score."""
        score = await to_thread.run_sync(lambda: scores.read(caller, **body.model_dump()))
        await scores.write([score])
        return score_out(score_rows([score])[0])

    @router.delete("/scores/{score_id}", status_code=204, **allows(Permission.SCORES_WRITE))
    async def delete_score(caller: Caller, score_id: str) -> None:
        """Takes a score out."""
        await scores.delete(caller, score_id)

    @router.get("/metrics/scores", **allows(Permission.TRACES_READ))
    async def query_score_metrics(
        caller: Caller,
        scope: Scoped,
        measures: Annotated[
            str, Query(max_length=200, description="count, avg, min, max, sum, p50 … p99")
        ] = "count,avg",
        dimensions: Annotated[str, Query(max_length=200, description="name, string_value, source, …")] = "name",
        interval: Annotated[str, Query(max_length=40, description="auto, none, minute, hour, day, …")] = "auto",
    ) -> MetricsOut:
        """Measures of scores by time bucket and dimensions."""
        wanted, by = names_in(measures), names_in(dimensions)
        rows, interval_s = await scores.metrics(
            caller.project, scope, measures=wanted, dimensions=by, interval=interval
        )
        if interval_s is not None:
            rows = [{"time": row["bucket"], **{key: row[key] for key in row if key != "bucket"}} for row in rows]
        return MetricsOut(
            columns=[*(["time"] if interval_s is not None else []), *by, *wanted], rows=rows, interval_s=interval_s
        )

    @router.get("/score-configs", **allows(Permission.TRACES_READ))
    def list_score_configs(caller: Caller) -> Page[ScoreConfigOut]:
        """What scores may be, the newest first."""
        return Page(data=[config_out(config) for config in scores.configs(caller.project)])

    @router.post("/score-configs", status_code=201, **allows(Permission.SCORES_WRITE))
    def create_score_config(caller: Caller, body: ScoreConfigIn) -> ScoreConfigOut:
        """Says what scores of a name may be."""
        given = body.model_dump() | {"categories": [(one.label, one.value) for one in body.categories]}
        return config_out(scores.create_config(caller, **given))

    @router.patch("/score-configs/{config_id}", **allows(Permission.SCORES_WRITE))
    def change_score_config(caller: Caller, config_id: str, body: ScoreConfigChange) -> ScoreConfigOut:
        """Changes what is given of a config."""
        changes = body.model_dump(exclude_unset=True)
        if body.categories is not None:
            changes["categories"] = tuple((one.label, one.value) for one in body.categories)
        for name in ("name", "categories", "description", "is_archived"):
            if changes.get(name, ...) is None:
                del changes[name]
        return config_out(scores.change_config(caller, config_id, changes))

    @router.get("/comments", **allows(Permission.TRACES_READ))
    def list_comments(
        caller: Caller,
        trace_id: Annotated[str, Query(min_length=1, max_length=200)],
        span_id: Annotated[str, Query(max_length=200)] = "",
    ) -> Page[CommentOut]:
        """What is said about a trace, or about one span of it."""
        return Page(data=[comment_out(one) for one in scores.comments(caller.project, trace_id, span_id)])

    @router.post("/comments", status_code=201, **allows(Permission.SCORES_WRITE))
    def create_comment(caller: Caller, body: CommentIn) -> CommentOut:
        """Says something about a trace or a span."""
        return comment_out(scores.comment(caller, **body.model_dump()))

    @router.delete("/comments/{comment_id}", status_code=204, **allows(Permission.SCORES_WRITE))
    def delete_comment(caller: Caller, comment_id: str) -> None:
        """Takes a comment back."""
        scores.delete_comment(caller, comment_id)

    return router


def score_out(row: Mapping[str, Any]) -> ScoreOut:
    """A stored score."""
    return ScoreOut(**{**row, "metadata": orjson.loads(row["metadata"]) if row["metadata"] else None})


def config_out(config: ScoreConfig) -> ScoreConfigOut:
    """A config."""
    categories = [Category(label=label, value=number) for label, number in config.categories]
    plain = {name: getattr(config, name) for name in ScoreConfig.__struct_fields__ if name != "categories"}
    return ScoreConfigOut(**plain, categories=categories)


def comment_out(comment: Comment) -> CommentOut:
    """A comment."""
    return CommentOut(**{name: getattr(comment, name) for name in CommentOut.model_fields})
