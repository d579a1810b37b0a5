"""Langfuse's API of datasets, as its SDKs call it. What they run over a dataset is read from the spans they send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from octavo_server.core.errors import Invalid, NotFound
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.langfuse import LangfuseRoute, langfuse_answer, langfuse_page
from octavo_server.evals.datasets import Dataset, Run, RunLink, Source
from octavo_server.evals.service.langfuse import LangfuseDatasets, Shown, check_run_name
from octavo_server.traces.routes.media import content_url
from octavo_server.traces.service.media import DOWNLOAD, MediaFiles

_REFERENCE = re.compile(r"@@@langfuseMedia:[^@]*\bid=([A-Za-z0-9_-]{22})[^@]*@@@")
_MOST_REFERENCES = 100
_MOST_LINKS = 10_000

_Page = Annotated[int, Query(ge=1, le=100_000)]
_Limit = Annotated[int, Query(ge=1, le=1000)]
_Text = Annotated[str, Query(max_length=500)]
_Id = Annotated[str | None, Field(max_length=200, pattern=r"^[^\x00]*$")]


class _Theirs(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class LangfuseDataset(_Theirs):
    """What `create_dataset` sends."""

    name: Annotated[str, Field(max_length=255)]
    description: Annotated[str | None, Field(max_length=20_000, pattern=r"^[^\x00]*$")] = None
    metadata: Any = None
    input_schema: Any = None
    expected_output_schema: Any = None


class LangfuseItem(_Theirs):
    """What `create_dataset_item` sends."""

    dataset_name: Annotated[str, Field(max_length=255)]
    id: _Id = None
    input: Any = None
    expected_output: Any = None
    metadata: Any = None
    source_trace_id: _Id = None
    source_observation_id: _Id = None
    status: Annotated[str | None, Field(pattern="^(ACTIVE|ARCHIVED)$")] = None


class LangfuseRunItem(_Theirs):
    """What `dataset_run_items.create` sends."""

    run_name: Annotated[str, Field(max_length=500)]
    run_description: Annotated[str | None, Field(max_length=20_000, pattern=r"^[^\x00]*$")] = None
    metadata: Any = None
    dataset_item_id: Annotated[str, Field(max_length=200)]
    trace_id: _Id = None
    observation_id: _Id = None
    created_at: AwareDatetime | None = None


def build_langfuse_datasets_router(api: LangfuseDatasets, files: MediaFiles, *, public_url: str) -> APIRouter:
    """The routes, which are Langfuse's and therefore not in Octavo's description of its own."""
    router = APIRouter(prefix="/api/public", tags=["langfuse"], include_in_schema=False, route_class=LangfuseRoute)
    _datasets(router, api)
    _items(router, api, files, public_url)
    _runs(router, api)
    return router


def _datasets(router: APIRouter, api: LangfuseDatasets) -> None:
    @router.get("/v2/datasets", **allows(Permission.EVALS_READ))
    def langfuse_datasets(caller: Caller, page: _Page = 1, limit: _Limit = 50) -> Response:
        """Datasets by name."""
        found, total = api.datasets.find(caller, limit=limit, skip=(page - 1) * limit)
        return langfuse_answer({"data": [_dataset(one) for one, _ in found], "meta": langfuse_page(page, limit, total)})

    @router.post("/v2/datasets", **allows(Permission.EVALS_WRITE))
    def langfuse_create_dataset(caller: Caller, body: LangfuseDataset) -> Response:
        """Makes a dataset, or changes the one of this name."""
        fields = {
            "description": body.description,
            "metadata": body.metadata,
            "input_schema": body.input_schema,
            "expected_schema": body.expected_output_schema,
        }
        return langfuse_answer(_dataset(api.put_dataset(caller, body.name, fields)))

    @router.get("/v2/datasets/{name:path}", **allows(Permission.EVALS_READ))
    def langfuse_dataset(caller: Caller, name: str) -> Response:
        """One dataset."""
        return langfuse_answer(_dataset(api.datasets.get(caller, name)[0]))


def _items(router: APIRouter, api: LangfuseDatasets, files: MediaFiles, public_url: str) -> None:
    def told(caller: Caller, request: Request, shown: Shown) -> dict[str, Any]:
        value = _item(shown)
        value["mediaReferences"] = [
            {
                "field": field,
                "referenceString": reference,
                "jsonPath": path,
                "media": media,
            }
            for field in ("input", "expectedOutput", "metadata")
            for path, reference, media_id in _references(value[field])
            if (media := _media(caller, request, media_id)) is not None
        ][:_MOST_REFERENCES]
        return value

    def _media(caller: Caller, request: Request, media_id: str) -> dict[str, Any] | None:
        try:
            found = files.read(caller.project, media_id)
        except NotFound:
            return None
        given = files.pass_for(found, DOWNLOAD)
        return {
            "mediaId": found.id,
            "contentType": found.content_type,
            "contentLength": found.size,
            "url": content_url(request, found, given.token, public_url=public_url),
            "urlExpiry": given.until,
        }

    @router.get("/dataset-items", **allows(Permission.EVALS_READ))
    def langfuse_items(
        caller: Caller,
        request: Request,
        name: Annotated[str, Query(alias="datasetName", max_length=255)] = "",
        trace_id: Annotated[str, Query(alias="sourceTraceId", max_length=200)] = "",
        span_id: Annotated[str, Query(alias="sourceObservationId", max_length=200)] = "",
        version: AwareDatetime | None = None,
        page: _Page = 1,
        limit: _Limit = 50,
    ) -> Response:
        """Items, those made last first, now or as they were at a time."""
        if version is not None and not name:
            raise Invalid("`version` needs `datasetName` beside it.", param="version")
        source = Source(trace_id=trace_id, span_id=span_id)
        found, total = api.items(caller, name, until=version, source=source, page=page, limit=limit)
        data = [told(caller, request, one) for one in found]
        return langfuse_answer({"data": data, "meta": langfuse_page(page, limit, total)})

    @router.post("/dataset-items", **allows(Permission.EVALS_WRITE))
    def langfuse_create_item(caller: Caller, request: Request, body: LangfuseItem) -> Response:
        """Puts an item in, or changes the one of this id."""
        fields = body.model_dump(by_alias=True)
        return langfuse_answer(
            told(caller, request, api.put_item(caller, body.dataset_name, body.id, fields, body.status))
        )

    @router.get("/dataset-items/{item_id:path}", **allows(Permission.EVALS_READ))
    def langfuse_item(caller: Caller, request: Request, item_id: str) -> Response:
        """One item."""
        return langfuse_answer(told(caller, request, api.item(caller, item_id)))

    @router.delete("/dataset-items/{item_id:path}", **allows(Permission.EVALS_WRITE))
    def langfuse_delete_item(caller: Caller, item_id: str) -> Response:
        """Takes an item out."""
        api.delete_item(caller, item_id)
        return langfuse_answer({"message": "Dataset item deleted."})


def _runs(router: APIRouter, api: LangfuseDatasets) -> None:
    @router.post("/dataset-run-items", **allows(Permission.EVALS_WRITE))
    def langfuse_create_run_item(caller: Caller, body: LangfuseRunItem) -> Response:
        """Notes in which trace an item was run."""
        if not body.trace_id:
            raise Invalid("`traceId` is missing; it says in which trace the item was run.", param="traceId")
        made = api.link(
            caller,
            check_run_name(body.run_name),
            body.dataset_item_id,
            trace_id=body.trace_id,
            span_id=body.observation_id or "",
            description=body.run_description or "",
            metadata=body.metadata,
            created_at=body.created_at,
        )
        return langfuse_answer(_link(made))

    @router.get("/dataset-run-items", **allows(Permission.EVALS_READ))
    def langfuse_run_items(
        caller: Caller,
        dataset_id: Annotated[str, Query(alias="datasetId", max_length=255)],
        name: Annotated[str, Query(alias="runName", max_length=500)],
        page: _Page = 1,
        limit: _Limit = 50,
    ) -> Response:
        """The items of a run."""
        found, total = api.links(caller, dataset_id, name, page=page, limit=limit)
        return langfuse_answer({"data": [_link(one) for one in found], "meta": langfuse_page(page, limit, total)})

    @router.get("/datasets/{name:path}/runs/{run_name:path}", **allows(Permission.EVALS_READ))
    def langfuse_run(caller: Caller, name: str, run_name: str) -> Response:
        """A run with its items."""
        dataset, run, links = api.run(caller, name, run_name, limit=_MOST_LINKS)
        return langfuse_answer({**_run(dataset, run), "datasetRunItems": [_link(one) for one in links]})

    @router.delete("/datasets/{name:path}/runs/{run_name:path}", **allows(Permission.EVALS_WRITE))
    def langfuse_delete_run(caller: Caller, name: str, run_name: str) -> Response:
        """Forgets a run."""
        api.delete_run(caller, name, run_name)
        return langfuse_answer({"message": "Dataset run deleted."})

    @router.get("/datasets/{name:path}/runs", **allows(Permission.EVALS_READ))
    def langfuse_runs(caller: Caller, name: str, page: _Page = 1, limit: _Limit = 50) -> Response:
        """The runs over a dataset."""
        dataset, found, total = api.runs(caller, name, page=page, limit=limit)
        return langfuse_answer(
            {"data": [_run(dataset, one) for one in found], "meta": langfuse_page(page, limit, total)}
        )


def _dataset(one: Dataset) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description or None,
        "metadata": one.metadata,
        "inputSchema": one.input_schema,
        "expectedOutputSchema": one.expected_schema,
        "projectId": one.project_id,
        "createdAt": one.created_at,
        "updatedAt": one.updated_at,
    }


def _item(shown: Shown) -> dict[str, Any]:
    item, case = shown.item, shown.case
    return {
        "id": item.id,
        "status": "ACTIVE" if item.removed is None else "ARCHIVED",
        "input": case.inputs,
        "expectedOutput": case.expected,
        "metadata": dict(case.metadata) or None,
        "sourceTraceId": item.source.trace_id or None,
        "sourceObservationId": item.source.span_id or None,
        "datasetId": shown.dataset.id,
        "datasetName": shown.dataset.name,
        "createdAt": item.created_at,
        "updatedAt": item.updated_at,
        "version": item.updated_at,
    }


def _run(dataset: Dataset, one: Run) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "description": one.description or None,
        "metadata": one.metadata,
        "datasetId": dataset.id,
        "datasetName": dataset.name,
        "createdAt": one.created_at,
        "updatedAt": one.updated_at,
    }


def _link(one: RunLink) -> dict[str, Any]:
    return {
        "id": one.id,
        "datasetRunId": one.run_id,
        "datasetRunName": one.run_name,
        "datasetItemId": one.item_id,
        "traceId": one.trace_id,
        "observationId": one.span_id or None,
        "createdAt": one.created_at,
        "updatedAt": one.created_at,
    }


def _references(value: Any, path: str = "$") -> Iterator[tuple[str, str, str]]:
    """Where a value refers to files: path, reference and the file's id."""
    if isinstance(value, str):
        for found in _REFERENCE.finditer(value):
            yield path, found[0], found[1]
    elif isinstance(value, dict):
        for key, one in value.items():
            quoted = key.replace("\\", "\\\\").replace("'", "\\'")
            yield from _references(one, f"{path}['{quoted}']")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _references(one, f"{path}[{number}]")
