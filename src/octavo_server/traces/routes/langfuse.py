"""Langfuse's API, as its Python and JavaScript SDKs call it; spans come in over OTLP (`otlp.py`).

Shapes and status codes are theirs: errors are `{"message", "error"}`, a conflict is 400 since 409 is retried.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from octavo_server.core.errors import Invalid, NotFound
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.langfuse import LangfuseRoute, langfuse_answer, langfuse_page
from octavo_server.traces import langfuse
from octavo_server.traces.model import Comment, ScoreConfig
from octavo_server.traces.routes.params import instant
from octavo_server.traces.service import Search
from octavo_server.traces.service.langfuse import LangfuseApi
from octavo_server.traces.store.scores import ScoreScope

_MOST_SCORES = 1000
_SCORE_GROUPS = ("details", "subject", "annotation")

_Text = Annotated[str, Query(max_length=4000)]
_Filter = Annotated[str, Query(max_length=20_000)]
_Page = Annotated[int, Query(ge=1, le=100_000)]
_Limit = Annotated[int, Query(ge=1, le=1000)]


def build_langfuse_router(api: LangfuseApi) -> APIRouter:
    """The routes, which are Langfuse's and therefore not in Octavo's description of its own."""
    router = APIRouter(prefix="/api/public", tags=["langfuse"], include_in_schema=False, route_class=LangfuseRoute)
    _reading(router, api)
    _scores(router, api)
    _configs_and_comments(router, api)
    _older(router, api)
    return router


def build_langfuse_missing_router() -> APIRouter:
    """Answers what no other route of Langfuse's API takes; the last of the routers."""
    router = APIRouter(prefix="/api/public", tags=["langfuse"], include_in_schema=False, route_class=LangfuseRoute)

    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], **allows(Permission.ANY))
    async def langfuse_missing(request: Request) -> Response:
        """Says that Octavo has no such route."""
        raise NotFound(
            f"Octavo does not serve {request.method} {request.url.path[:200]} of Langfuse's API; "
            "docs/guides/langfuse.md tells what it serves."
        )

    return router


def _reading(router: APIRouter, api: LangfuseApi) -> None:
    @router.get("/v2/observations", **allows(Permission.TRACES_READ))
    async def langfuse_observations(
        caller: Caller,
        request: Request,
        fields: _Text = "",
        expanded: Annotated[str, Query(alias="expandMetadata", max_length=4000)] = "",
        limit: _Limit = 50,
        cursor: _Text = "",
        filter: _Filter = "",
        parse_io: Annotated[bool, Query(alias="parseIoAsJson")] = False,
    ) -> Response:
        """Observations, the newest first."""
        if parse_io:
            raise Invalid(
                "`parseIoAsJson` is no longer served; read `input` and `output` as texts.", param="parseIoAsJson"
            )
        groups = langfuse.groups_of(fields)
        search = _search(request.query_params, filter)
        page = await api.observations(caller.project, search, limit=limit, cursor=cursor)
        whole = [name.strip() for name in expanded.split(",")]
        return langfuse_answer(
            {
                "data": [langfuse.observation_of(row, groups, whole) for row in page.rows],
                "meta": {"cursor": page.next_cursor} if page.next_cursor else {},
            }
        )

    @router.get("/metrics", name="langfuse_older_metrics", **allows(Permission.TRACES_READ))
    @router.get("/v2/metrics", **allows(Permission.TRACES_READ))
    async def langfuse_metrics(caller: Caller, query: Annotated[str, Query(max_length=20_000)]) -> Response:
        """Measures of observations or scores by dimension and time."""
        return langfuse_answer({"data": await api.metrics(caller.project, query)})

    @router.delete("/traces/{trace_id}", **allows(Permission.TRACES_DELETE))
    async def langfuse_delete_trace(caller: Caller, trace_id: str) -> Response:
        """Deletes a trace."""
        await api.delete_traces(caller, [trace_id])
        return langfuse_answer({"message": "Trace deleted."})

    @router.delete("/traces", **allows(Permission.TRACES_DELETE))
    async def langfuse_delete_traces(caller: Caller, request: Request) -> Response:
        """Deletes traces."""
        body = _object(await request.body())
        ids = body.get("traceIds")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise Invalid("`traceIds` is no list of texts.", param="traceIds")
        await api.delete_traces(caller, ids)
        return langfuse_answer({"message": "Traces deleted."})


def _scores(router: APIRouter, api: LangfuseApi) -> None:
    @router.post("/scores", **allows(Permission.SCORES_WRITE))
    async def langfuse_create_scores(caller: Caller, request: Request) -> Response:
        """Takes one score, or a list of them of which each is refused by itself."""
        body = _value(await request.body())
        items = body if isinstance(body, list) else [body]
        if len(items) > _MOST_SCORES:
            raise Invalid(f"There are {len(items)} scores; expected at most {_MOST_SCORES}.")
        taken = await api.write_scores(caller, items)
        if not isinstance(body, list):
            if taken.errors:
                raise Invalid(taken.errors[0][1])
            return langfuse_answer({"id": taken.accepted[0].id})
        if not taken.errors:
            return langfuse_answer({"message": "Accepted"}, 202)
        errors = [{"id": score_id, "message": message} for score_id, message in taken.errors]
        return langfuse_answer({"accepted": len(taken.accepted), "rejected": len(errors), "errors": errors}, 207)

    @router.get("/v3/scores", **allows(Permission.TRACES_READ))
    async def langfuse_scores(
        caller: Caller,
        request: Request,
        fields: _Text = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        cursor: _Text = "",
    ) -> Response:
        """Scores, the newest first."""
        groups = [name.strip() for name in fields.split(",") if name.strip() and name.strip() != "core"]
        for name in groups:
            if name not in _SCORE_GROUPS:
                raise Invalid(f"{name[:40]!r} is no group; there are {', '.join(_SCORE_GROUPS)}.", param="fields")
        scope = _score_scope(request.query_params)
        if scope.span_ids and not scope.trace_ids:
            raise Invalid("`observationId` needs `traceId` beside it.", param="traceId")
        page = await api.scores.find(caller.project, scope, limit=limit, cursor=cursor)
        meta: dict[str, Any] = {"limit": limit}
        if page.next_cursor:
            meta["cursor"] = page.next_cursor
        return langfuse_answer({"data": [langfuse.score_of(row, groups) for row in page.rows], "meta": meta})

    @router.delete("/scores/{score_id}", **allows(Permission.SCORES_WRITE))
    async def langfuse_delete_score(caller: Caller, score_id: str) -> Response:
        """Takes a score out."""
        await api.scores.delete(caller, score_id)
        return langfuse_answer({"message": "Score deletion accepted."}, 202)


def _configs_and_comments(router: APIRouter, api: LangfuseApi) -> None:
    @router.get("/score-configs", **allows(Permission.TRACES_READ))
    def langfuse_configs(caller: Caller, page: _Page = 1, limit: _Limit = 50) -> Response:
        """What scores may be."""
        configs = api.scores.configs(caller.project)
        return langfuse_answer(_paged([_config(one) for one in configs], page, limit))

    @router.post("/score-configs", **allows(Permission.SCORES_WRITE))
    async def langfuse_create_config(caller: Caller, request: Request) -> Response:
        """Says what scores of a name may be."""
        body = _object(await request.body())
        given = _config_fields(body)
        name, data_type = given.pop("name", None), body.get("dataType")
        if not isinstance(name, str) or not name or not isinstance(data_type, str):
            raise Invalid("A score config needs the texts `name` and `dataType`.", param="name")
        made = await to_thread.run_sync(
            lambda: api.scores.create_config(caller, name=name, data_type=data_type, **given)
        )
        return langfuse_answer(_config(made))

    @router.get("/score-configs/{config_id}", **allows(Permission.TRACES_READ))
    def langfuse_config(caller: Caller, config_id: str) -> Response:
        """One config."""
        return langfuse_answer(_config(api.scores.config(caller.project, config_id)))

    @router.patch("/score-configs/{config_id}", **allows(Permission.SCORES_WRITE))
    async def langfuse_change_config(caller: Caller, config_id: str, request: Request) -> Response:
        """Changes what is given of a config."""
        body = _object(await request.body())
        changes = _config_fields(body)
        if isinstance(archived := body.get("isArchived"), bool):
            changes["is_archived"] = archived
        return langfuse_answer(
            _config(await to_thread.run_sync(lambda: api.scores.change_config(caller, config_id, changes)))
        )

    @router.post("/comments", **allows(Permission.SCORES_WRITE))
    async def langfuse_create_comment(caller: Caller, request: Request) -> Response:
        """Says something about a trace or an observation."""
        body = _object(await request.body())
        kind, subject, content = body.get("objectType"), body.get("objectId"), body.get("content")
        if kind not in ("TRACE", "OBSERVATION") or not isinstance(subject, str) or not isinstance(content, str):
            raise Invalid("A comment needs `objectType` TRACE or OBSERVATION, `objectId` and `content`.")
        trace_id, span_id = subject, ""
        if kind == "OBSERVATION":
            span = await api.traces.read_span(caller.project, subject, "")
            trace_id, span_id = span["trace_id"], subject
        said = await to_thread.run_sync(
            lambda: api.scores.comment(caller, trace_id=trace_id, span_id=span_id, text=content)
        )
        return langfuse_answer({"id": said.id})

    @router.get("/comments/{comment_id}", **allows(Permission.TRACES_READ))
    def langfuse_comment(caller: Caller, comment_id: str) -> Response:
        """One comment."""
        return langfuse_answer(_comment(api.scores.read_comment(caller.project, comment_id)))

    @router.get("/comments", **allows(Permission.TRACES_READ))
    def langfuse_comments(
        caller: Caller,
        kind: Annotated[str, Query(alias="objectType", max_length=40)] = "",
        subject: Annotated[str, Query(alias="objectId", max_length=200)] = "",
        page: _Page = 1,
        limit: _Limit = 50,
    ) -> Response:
        """What is said about a trace or an observation, or about all."""
        trace_id = subject if kind == "TRACE" else ""
        said = api.scores.comments(caller.project, trace_id)
        if kind == "OBSERVATION":
            said = [one for one in said if one.span_id == subject]
        return langfuse_answer(_paged([_comment(one) for one in said], page, limit))


def _older(router: APIRouter, api: LangfuseApi) -> None:
    """What versions 3 and 4 of the Python SDK and version 5 of the JavaScript SDK call."""

    @router.post("/ingestion", **allows(Permission.SCORES_WRITE))
    async def langfuse_ingest(caller: Caller, request: Request) -> Response:
        """Takes scores in a batch of events; each event is answered by itself."""
        batch = _object(await request.body()).get("batch")
        if not isinstance(batch, list) or len(batch) > _MOST_SCORES:
            raise Invalid(f"`batch` is no list of at most {_MOST_SCORES} events.", param="batch")
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for event in batch:
            event_id = str(event.get("id", "")) if isinstance(event, dict) else ""
            if isinstance(event, dict) and event.get("type") == "score-create":
                body = event.get("body")
                dated = {"timestamp": event.get("timestamp"), **body} if isinstance(body, dict) else body
                taken = await api.write_scores(caller, [dated])
                if not taken.errors:
                    good.append({"id": event_id, "status": 201})
                    continue
                message = taken.errors[0][1]
            elif isinstance(event, dict) and event.get("type") == "sdk-log":
                good.append({"id": event_id, "status": 201})
                continue
            else:
                message = "Only score-create is taken here; send traces over OTLP, as the SDKs do since version 3."
            bad.append({"id": event_id, "status": 400, "message": message})
        return langfuse_answer({"successes": good, "errors": bad}, 207)

    @router.get("/traces", **allows(Permission.TRACES_READ))
    async def langfuse_traces(
        caller: Caller,
        request: Request,
        page: _Page = 1,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        filter: _Filter = "",
    ) -> Response:
        """Traces, the newest first, by page."""
        if (order := request.query_params.get("orderBy", "")) not in ("", "timestamp.desc"):
            raise Invalid(f"`orderBy` is {order[:40]!r}; traces come as timestamp.desc only.", param="orderBy")
        search = _search(request.query_params, filter, trace=True)
        rows, total = await api.trace_page(caller.project, search, page=page, limit=limit)
        data = [
            {**langfuse.legacy_trace_of(row, None), "input": row["input_preview"], "output": row["output_preview"]}
            for row in rows
        ]
        return langfuse_answer({"data": data, "meta": langfuse_page(page, limit, total)})

    @router.get("/traces/{trace_id}", **allows(Permission.TRACES_READ))
    async def langfuse_trace(caller: Caller, trace_id: str) -> Response:
        """A trace with its observations and scores."""
        return langfuse_answer(await api.trace(caller.project, trace_id))

    @router.get("/observations", **allows(Permission.TRACES_READ))
    async def langfuse_older_observations(
        caller: Caller,
        request: Request,
        page: _Page = 1,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        filter: _Filter = "",
    ) -> Response:
        """Observations, the newest first, by page."""
        search = _search(request.query_params, filter)
        rows, total = await api.observation_page(caller.project, search, page=page, limit=limit)
        return langfuse_answer(
            {"data": [langfuse.legacy_observation_of(row) for row in rows], "meta": langfuse_page(page, limit, total)}
        )

    @router.get("/observations/{observation_id}", **allows(Permission.TRACES_READ))
    async def langfuse_observation(caller: Caller, observation_id: str) -> Response:
        """One observation."""
        return langfuse_answer(
            langfuse.legacy_observation_of(await api.traces.read_span(caller.project, observation_id, ""))
        )

    @router.get("/sessions", **allows(Permission.TRACES_READ))
    async def langfuse_sessions(
        caller: Caller, request: Request, page: _Page = 1, limit: Annotated[int, Query(ge=1, le=100)] = 50
    ) -> Response:
        """Sessions, those seen last first."""
        search = _search(request.query_params, "")
        rows = await api.traces.groups(caller.project, search, by="session_id", limit=min(page * limit, 1000))
        data = [_session(row, caller.project) for row in rows[(page - 1) * limit :]]
        return langfuse_answer({"data": data, "meta": langfuse_page(page, limit, len(rows))})

    @router.get("/sessions/{session_id}", **allows(Permission.TRACES_READ))
    async def langfuse_session(caller: Caller, session_id: str) -> Response:
        """A session with its traces."""
        search = Search(filter=langfuse.condition("session_id", "=", session_id))
        rows = await api.traces.groups(caller.project, search, by="session_id", limit=1)
        if not rows:
            raise NotFound(f"There is no session {session_id[:80]!r} in this project.")
        found = await api.traces.list_traces(caller.project, search, limit=100, cursor="")
        traces = [langfuse.legacy_trace_of(row, None) for row in found.rows]
        return langfuse_answer({**_session(rows[0], caller.project), "traces": traces})

    @router.get("/v2/scores", **allows(Permission.TRACES_READ))
    async def langfuse_older_scores(caller: Caller, request: Request, page: _Page = 1, limit: _Limit = 50) -> Response:
        """Scores, the newest first, by page."""
        rows, total = await api.scores.page(caller.project, _score_scope(request.query_params), page=page, limit=limit)
        return langfuse_answer(
            {"data": [langfuse.legacy_score_of(row) for row in rows], "meta": langfuse_page(page, limit, total)}
        )

    @router.get("/v2/scores/{score_id}", **allows(Permission.TRACES_READ))
    async def langfuse_score(caller: Caller, score_id: str) -> Response:
        """One score."""
        found = await api.scores.find(caller.project, ScoreScope(ids=[score_id]), limit=1)
        if not found.rows:
            raise NotFound(f"There is no score {score_id[:80]!r} in this project.")
        return langfuse_answer(langfuse.legacy_score_of(found.rows[0]))


_SAME = {
    "name": "name",
    "userId": "user_id",
    "sessionId": "session_id",
    "traceId": "trace_id",
    "level": "level",
    "version": "version",
    "release": "release",
}


def _search(params: Any, filter: str, *, trace: bool = False) -> Search:
    """What a list is about. A JSON `filter` replaces the other parameters."""
    if filter:
        condition, start, end = langfuse.filter_of(filter, of_traces=trace)
        return Search(filter=condition, start=start, end=end)
    parts = [
        langfuse.condition("trace_name" if trace and theirs == "name" else ours, "=", value)
        for theirs, ours in _SAME.items()
        if (value := params.get(theirs))
    ]
    if kind := params.get("type"):
        parts.append(f"kind = {langfuse.kind_of(kind)}")
    if (parent := params.get("parentObservationId")) is not None:
        parts.append(langfuse.condition("parent_span_id", "=", parent))
    if (root := params.get("isRootObservation")) is not None:
        parts.append("parent_span_id = ''" if root == "true" else "parent_span_id != ''")
    parts += [langfuse.condition("tags", "=", tag) for tag in params.getlist("tags")[:20]]
    if environments := params.getlist("environment")[:50]:
        parts.append(f"environment in ({', '.join(langfuse.quoted(one) for one in environments)})")
    return Search(
        filter=" and ".join(parts),
        start=_time(params, "fromStartTime", "fromTimestamp"),
        end=_time(params, "toStartTime", "toTimestamp"),
    )


def _time(params: Any, *names: str) -> datetime | None:
    return next((instant(params[name], name) for name in names if params.get(name)), None)


def _score_scope(params: Any) -> ScoreScope:
    def listed(*names: str) -> list[str]:
        given = [one for name in names for value in params.getlist(name) for one in value.split(",")]
        return [one.strip() for one in given if one.strip()][:200]

    def number(name: str) -> float | None:
        text = params.get(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise Invalid(f"`{name}` is {text[:40]!r}; expected a number.", param=name)
        return value

    exact = params.get("value")
    is_number = exact is not None and exact.replace(".", "", 1).lstrip("-").isdigit()
    return ScoreScope(
        ids=listed("id", "scoreIds"),
        names=listed("name"),
        sources=listed("source"),
        data_types=listed("dataType"),
        environments=listed("environment"),
        trace_ids=listed("traceId"),
        span_ids=listed("observationId"),
        session_ids=listed("sessionId"),
        experiment_ids=listed("experimentId", "datasetRunId"),
        config_ids=listed("configId"),
        queue_ids=listed("queueId"),
        authors=listed("authorUserId", "userId"),
        texts=[exact] if exact and not is_number else [],
        value_min=number("value") if is_number else number("valueMin"),
        value_max=number("value") if is_number else number("valueMax"),
        start=_time(params, "fromTimestamp"),
        end=_time(params, "toTimestamp"),
    )


def _config_fields(body: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for theirs, ours in (("name", "name"), ("description", "description")):
        if (text := body.get(theirs)) is not None:
            if not isinstance(text, str) or len(text) > 5000:
                raise Invalid(f"`{theirs}` is no text of at most 5000 characters.", param=theirs)
            given[ours] = text
    for theirs, ours in (("minValue", "min_value"), ("maxValue", "max_value")):
        if (bound := body.get(theirs)) is not None:
            if isinstance(bound, bool) or not isinstance(bound, int | float):
                raise Invalid(f"`{theirs}` is {str(bound)[:40]!r}; expected a number.", param=theirs)
            given[ours] = float(bound)
    if (categories := body.get("categories")) is not None:
        try:
            given["categories"] = tuple((str(one["label"]), float(one["value"])) for one in categories)
        except (TypeError, KeyError, ValueError):
            raise Invalid('`categories` is no list of {"label", "value"}.', param="categories") from None
    return given


def _config(config: ScoreConfig) -> dict[str, Any]:
    return {
        "id": config.id,
        "projectId": config.project_id,
        "name": config.name,
        "dataType": config.data_type,
        "isArchived": config.is_archived,
        "minValue": config.min_value,
        "maxValue": config.max_value,
        "categories": [{"label": label, "value": number} for label, number in config.categories] or None,
        "description": config.description or None,
        "createdAt": config.created_at,
        "updatedAt": config.updated_at,
    }


def _comment(comment: Comment) -> dict[str, Any]:
    return {
        "id": comment.id,
        "projectId": comment.project_id,
        "objectType": "OBSERVATION" if comment.span_id else "TRACE",
        "objectId": comment.span_id or comment.trace_id,
        "content": comment.text,
        "authorUserId": comment.author,
        "createdAt": comment.created_at,
        "updatedAt": comment.created_at,
    }


def _session(row: dict[str, Any], project_id: str) -> dict[str, Any]:
    return {"id": row["id"], "createdAt": row["first_seen"], "projectId": project_id, "environment": "default"}


def _paged(items: list[dict[str, Any]], page: int, limit: int) -> dict[str, Any]:
    return {"data": items[(page - 1) * limit : page * limit], "meta": langfuse_page(page, limit, len(items))}


def _value(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The body is not valid JSON: {error.msg} at position {error.pos}.") from None


def _object(body: bytes) -> dict[str, Any]:
    value = _value(body)
    if not isinstance(value, dict):
        raise Invalid("The body is JSON but not an object.")
    return value
