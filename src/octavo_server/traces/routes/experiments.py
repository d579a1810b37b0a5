"""Langfuse's API of experiments: `run_experiment` leaves nothing but spans and scores, and this reads them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from octavo_server.core.errors import Invalid
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.langfuse import LangfuseRoute, langfuse_answer
from octavo_server.traces import langfuse
from octavo_server.traces.service.experiments import Experiments
from octavo_server.traces.store.experiments import ExperimentScope

_GROUPS = ("core", "metadata", "scores")
_ITEM_GROUPS = ("core", "dataset", "io", "metadata", "itemMetadata", "experimentMetadata", "scores")
_COLUMNS = {"id": "experiment_id", "name": "experiment_name", "datasetId": "dataset_id"}
_ITEM_COLUMNS = {
    "experimentId": "experiment_id",
    "experimentName": "experiment_name",
    "experimentItemId": "item_id",
    "datasetId": "dataset_id",
}

_Start = Annotated[AwareDatetime, Query(alias="fromStartTime")]
_End = Annotated[AwareDatetime | None, Query(alias="toStartTime")]
_Fields = Annotated[str, Query(max_length=400)]
_Limit = Annotated[int, Query(ge=1, le=100)]
_ScoreLimit = Annotated[int, Query(alias="scoreLimit", ge=1, le=50)]
_Cursor = Annotated[str, Query(max_length=1000)]
_Filter = Annotated[str, Query(max_length=20_000)]


def build_langfuse_experiments_router(experiments: Experiments) -> APIRouter:
    """The routes, which are Langfuse's and therefore not in Octavo's description of its own."""
    router = APIRouter(prefix="/api/public", tags=["langfuse"], include_in_schema=False, route_class=LangfuseRoute)

    @router.get("/experiments", **allows(Permission.TRACES_READ))
    async def langfuse_experiments(
        caller: Caller,
        request: Request,
        start: _Start,
        end: _End = None,
        fields: _Fields = "core",
        limit: _Limit = 50,
        scores: _ScoreLimit = 50,
        cursor: _Cursor = "",
        filter: _Filter = "",
    ) -> Response:
        """Experiments, those that ran last first."""
        groups = _groups(fields, _GROUPS)
        values = _wanted(request.query_params, filter, _COLUMNS)
        scope = ExperimentScope(project_id=caller.project, start=start, end=end, values=values)
        page = await experiments.find(scope, limit=limit, cursor=cursor)
        said = await experiments.scores_of(caller.project, page.rows, each=scores) if "scores" in groups else {}
        data = [_experiment(row, groups, said.get(row["id"], [])) for row in page.rows]
        return langfuse_answer({"data": data, "meta": {"cursor": page.next_cursor} if page.next_cursor else {}})

    @router.get("/experiment-items", **allows(Permission.TRACES_READ))
    async def langfuse_experiment_items(
        caller: Caller,
        request: Request,
        start: _Start,
        end: _End = None,
        fields: _Fields = "core,dataset",
        limit: _Limit = 50,
        scores: _ScoreLimit = 50,
        cursor: _Cursor = "",
        filter: _Filter = "",
    ) -> Response:
        """The items of experiments, the newest first."""
        groups = _groups(fields, _ITEM_GROUPS)
        values = _wanted(request.query_params, filter, _ITEM_COLUMNS)
        scope = ExperimentScope(project_id=caller.project, start=start, end=end, values=values)
        page = await experiments.items(scope, limit=limit, cursor=cursor)
        said = await experiments.item_scores(caller.project, page.rows, each=scores) if "scores" in groups else {}
        data = [_item(row, groups, said.get(row["trace_id"], [])) for row in page.rows]
        return langfuse_answer({"data": data, "meta": {"cursor": page.next_cursor} if page.next_cursor else {}})

    return router


def _groups(fields: str, known: tuple[str, ...]) -> list[str]:
    asked = [name.strip() for name in fields.split(",") if name.strip()]
    for name in asked:
        if name not in known:
            raise Invalid(f"{name[:40]!r} is no group of fields; there are {', '.join(known)}.", param="fields")
    return asked


def _wanted(params: Any, filter: str, columns: Mapping[str, str]) -> dict[str, list[str]]:
    """The values that are asked for, by column; a JSON `filter` adds to the parameters."""
    wanted = {ours: [one for one in params.get(name, "").split(",") if one] for name, ours in columns.items()}
    if not filter:
        return wanted
    try:
        conditions = orjson.loads(filter)
    except orjson.JSONDecodeError:
        conditions = None
    if not isinstance(conditions, list) or len(conditions) > 50:
        raise Invalid("`filter` is not a JSON list of at most 50 conditions.", param="filter")
    for one in conditions:
        told = one if isinstance(one, dict) else {}
        column, value = str(told.get("column")), told.get("value")
        if column not in columns or told.get("operator") not in ("=", "any of"):
            raise Invalid(
                f"`filter` takes the columns {', '.join(columns)} with the operators '=' and 'any of'.", param="filter"
            )
        listed = [str(each) for each in (value if isinstance(value, list) else [value])]
        known = wanted[columns[column]]
        # Nothing has no id, so a condition that leaves nothing finds nothing.
        wanted[columns[column]] = [each for each in listed if not known or each in known] or [""]
    return wanted


def _experiment(row: Mapping[str, Any], groups: list[str], scores: list[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"] or None,
        "startTime": row["began"],
        "endTime": row["ended"],
        "itemCount": row["items"],
        "datasetId": row["dataset_id"] or None,
    }
    if "metadata" in groups:
        told["metadata"] = _object(row["metadata"])
    if "scores" in groups:
        told["scores"] = [langfuse.score_of(one, ("details", "subject")) for one in scores]
    return told


def _item(row: Mapping[str, Any], groups: list[str], scores: list[dict[str, Any]]) -> dict[str, Any]:
    attributes = langfuse.decoded(row["attributes"]) or {}

    def said(name: str) -> str:
        value = attributes.get(f"langfuse.experiment.{name}")
        return value if isinstance(value, str) else ""

    observation = langfuse.observation_of(row, ("basic", "time"))
    told: dict[str, Any] = {
        "id": row["span_id"],
        "traceId": row["trace_id"],
        "startTime": row["start"],
        "endTime": observation["endTime"],
        "level": row["level"],
        "environment": row["environment"],
        "experimentId": said("id"),
        "experimentName": said("name"),
        "experimentItemId": said("item.id"),
    }
    if "dataset" in groups:
        told |= {
            "experimentDatasetId": said("dataset.id") or None,
            "experimentItemVersion": said("item.version") or None,
        }
    if "io" in groups:
        told |= {
            "input": langfuse.decoded(row["input"]),
            "output": langfuse.decoded(row["output"]),
            "expectedOutput": langfuse.decoded(said("item.expected_output")),
        }
    if "metadata" in groups:
        told["metadata"] = _object(row["metadata"])
    if "itemMetadata" in groups:
        told["experimentItemMetadata"] = _object(said("item.metadata"))
    if "experimentMetadata" in groups:
        told |= {"experimentMetadata": _object(said("metadata")), "experimentDescription": said("description") or None}
    if "scores" in groups:
        about = [one for one in scores if one["span_id"] in ("", row["span_id"])]
        told["scores"] = [langfuse.score_of(one, ("details", "subject")) for one in about]
    return told


def _object(text: str) -> dict[str, Any] | None:
    value = langfuse.decoded(text)
    return value if value is None or isinstance(value, dict) else {"value": value}
