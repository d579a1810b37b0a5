"""Octavo's own API of datasets. A dataset is addressed by its id, or by its name when that has no `/`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from octavo_server.core.errors import Forbidden, Invalid
from octavo_server.edge.access import Caller, Permission, Principal, allows
from octavo_server.edge.pagination import Page, encode_cursor, position_of
from octavo_server.evals import formats
from octavo_server.evals.datasets import Draft, case_of, parse_version
from octavo_server.evals.routes.shapes import (
    CaseDifference,
    CasesPage,
    Dataset,
    DatasetCase,
    DatasetChange,
    DatasetImport,
    DatasetIn,
    DatasetVersion,
    FromTraces,
    LeakageReport,
    PutIn,
    PutOut,
    case_out,
    dataset_out,
    difference_out,
    leakage_out,
    put_out,
    version_out,
)
from octavo_server.evals.service.datasets import Datasets, Selection
from octavo_server.evals.service.harvest import Harvest, Wanted
from octavo_server.traces.routes.params import instant
from octavo_server.traces.service import Search

_Reference = Annotated[str, Path(min_length=1, max_length=255)]
_Limit = Annotated[int, Query(ge=1, le=1000)]
_Cursor = Annotated[str, Query(max_length=1000)]
_Version = Annotated[str, Query(max_length=80)]
_Split = Annotated[str, Query(max_length=40)]
_Tags = Annotated[list[Annotated[str, Query(max_length=100)]] | None, Query(max_length=20)]


def build_datasets_router(datasets: Datasets, harvest: Harvest) -> APIRouter:
    """The routes under `/datasets`."""
    router = APIRouter(prefix="/datasets", tags=["datasets"])
    _datasets(router, datasets)
    _cases(router, datasets, harvest)
    _files(router, datasets)
    return router


def _datasets(router: APIRouter, datasets: Datasets) -> None:
    @router.get("", **allows(Permission.EVALS_READ))
    def list_datasets(
        caller: Caller, search: Annotated[str, Query(max_length=255)] = "", limit: _Limit = 100, cursor: _Cursor = ""
    ) -> Page[Dataset]:
        """Datasets by name: those with `search` in it."""
        found, _ = datasets.find(caller, search=search, after=position_of(cursor, str, ""), limit=limit + 1)
        more = encode_cursor(found[limit - 1][0].name) if len(found) > limit else None
        return Page(data=[dataset_out(one) for one in found[:limit]], next_cursor=more)

    @router.post("", status_code=201, **allows(Permission.EVALS_WRITE))
    def create_dataset(caller: Caller, body: DatasetIn) -> Dataset:
        """Makes a dataset; its version 1 is empty."""
        return dataset_out(datasets.create(caller, **body.model_dump()))

    @router.get("/{dataset}", **allows(Permission.EVALS_READ))
    def read_dataset(caller: Caller, dataset: _Reference) -> Dataset:
        """One dataset."""
        return dataset_out(datasets.get(caller, dataset))

    @router.patch("/{dataset}", **allows(Permission.EVALS_WRITE))
    def change_dataset(caller: Caller, dataset: _Reference, body: DatasetChange) -> Dataset:
        """Changes what is given of a dataset. Other splits make another version."""
        return dataset_out(datasets.change(caller, dataset, body.model_dump(exclude_unset=True)))

    @router.delete("/{dataset}", status_code=204, **allows(Permission.EVALS_WRITE))
    def delete_dataset(caller: Caller, dataset: _Reference) -> None:
        """Deletes a dataset with all its versions. Runs over it keep what they recorded."""
        datasets.delete(caller, dataset)

    @router.get("/{dataset}/versions", **allows(Permission.EVALS_READ))
    def list_dataset_versions(
        caller: Caller, dataset: _Reference, limit: _Limit = 100, cursor: _Cursor = ""
    ) -> Page[DatasetVersion]:
        """Versions, the newest first."""
        found = datasets.versions(caller, dataset, below=position_of(cursor, int, 2**31 - 1), limit=limit + 1)
        more = encode_cursor(found[limit - 1].number) if len(found) > limit else None
        return Page(data=[version_out(one) for one in found[:limit]], next_cursor=more)

    @router.get("/{dataset}/diff", **allows(Permission.EVALS_READ))
    def compare_dataset_versions(
        caller: Caller, dataset: _Reference, before: _Version, after: _Version = ""
    ) -> list[CaseDifference]:
        """The cases in which two versions differ. A version is a number, a digest or `latest`."""
        found = datasets.compare(caller, dataset, parse_version(before), parse_version(after))
        return [difference_out(one) for one in found]

    @router.get("/{dataset}/leakage", **allows(Permission.EVALS_READ))
    def check_dataset_leakage(
        caller: Caller,
        dataset: _Reference,
        version: _Version = "",
        similarity: Annotated[float, Query(ge=0.5, le=1)] = 0.8,
    ) -> LeakageReport:
        """Cases that ask nearly the same, between splits and within them, by the share of three-word runs that they
        have in common."""
        _, pinned = datasets.version(caller, dataset, parse_version(version))
        found = datasets.leakage(caller, dataset, pinned.number, similarity=similarity)
        return leakage_out(pinned.number, found)


def _cases(router: APIRouter, datasets: Datasets, harvest: Harvest) -> None:
    @router.get("/{dataset}/cases", **allows(Permission.EVALS_READ))
    def list_dataset_cases(
        caller: Caller,
        dataset: _Reference,
        version: _Version = "",
        split: _Split = "",
        tag: _Tags = None,
        limit: _Limit = 100,
        cursor: _Cursor = "",
    ) -> CasesPage:
        """Cases of a version in their order: those of a split, with every `tag`."""
        wanted = Selection(version=parse_version(version), split=split, tags=tuple(tag or ()))
        pinned, found = datasets.cases(caller, dataset, wanted, after=position_of(cursor, int, -1), limit=limit + 1)
        more = encode_cursor(found[limit - 1].item.position) if len(found) > limit else None
        return CasesPage(data=[case_out(one) for one in found[:limit]], version=version_out(pinned), next_cursor=more)

    @router.post("/{dataset}/cases", **allows(Permission.EVALS_WRITE))
    def put_dataset_cases(caller: Caller, dataset: _Reference, body: PutIn) -> PutOut:
        """Puts cases in, all or none, as the next version. Content that is there already is left out and reported."""
        done = datasets.put(
            caller,
            dataset,
            [one.draft(f"case {number}") for number, one in enumerate(body.cases, 1)],
            message=body.message,
            expected=body.expected,
            skip_duplicates=body.skip_duplicates,
        )
        return put_out(done)

    @router.delete("/{dataset}/cases", **allows(Permission.EVALS_WRITE))
    def remove_dataset_cases(
        caller: Caller,
        dataset: _Reference,
        id: Annotated[list[Annotated[str, Query(max_length=200)]], Query(min_length=1, max_length=1000)],
        message: Annotated[str, Query(max_length=2000)] = "",
    ) -> DatasetVersion:
        """Takes cases out, as the next version. The versions that had them keep them."""
        return version_out(datasets.remove(caller, dataset, id, message=message))

    @router.get("/{dataset}/cases/{case_id}", **allows(Permission.EVALS_READ))
    def read_dataset_case(
        caller: Caller, dataset: _Reference, case_id: Annotated[str, Path(max_length=200)]
    ) -> DatasetCase:
        """A case as it is now, or was last."""
        return case_out(datasets.case(caller, dataset, case_id))

    @router.post("/{dataset}/cases/from-traces", **allows(Permission.EVALS_WRITE))
    async def take_cases_from_traces(caller: Caller, dataset: _Reference, body: FromTraces) -> PutOut:
        """Makes cases of traces or spans: their input, what a person said it should have answered, and what retrievers
        found."""
        _may_read_traces(caller)
        search = None
        if body.filter or body.start or body.end or body.environment:
            search = Search(
                start=instant(body.start, "start"),
                end=instant(body.end, "end"),
                filter=body.filter,
                environment=body.environment,
            )
        if search is None and not body.trace_ids and not body.span_ids:
            raise Invalid("Say which traces: `trace_ids`, `span_ids`, or a `filter` or `start`.", param="trace_ids")
        wanted = Wanted(
            trace_ids=tuple(body.trace_ids),
            span_ids=tuple(body.span_ids),
            search=search,
            limit=body.limit,
            expected=body.expected,
            tags=tuple(body.tags),
            split=body.split,
        )
        return put_out(await harvest.take(caller, dataset, wanted, message=body.message))


def _files(router: APIRouter, datasets: Datasets) -> None:
    @router.post("/{dataset}/import", **allows(Permission.EVALS_WRITE))
    def import_dataset(caller: Caller, dataset: _Reference, body: DatasetImport) -> PutOut:
        """Puts the cases of a file in, all or none; a refusal says which lines cannot be read. What `mapping` does not
        say goes by the names of the columns."""
        drafts = formats.read_cases(body.format, body.content, body.mapping.columns())
        done = datasets.put(
            caller,
            dataset,
            [_in_group(one, body.split, body.tags) for one in drafts],
            message=body.message or f"Imported {len(drafts)} rows",
            expected=body.expected,
            skip_duplicates=body.skip_duplicates,
        )
        return put_out(done)

    @router.get(
        "/{dataset}/export",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/x-ndjson": {}, "text/csv": {}}, "description": "The cases"}},
        **allows(Permission.EVALS_READ),
    )
    async def export_dataset(
        caller: Caller,
        dataset: _Reference,
        format: Literal["jsonl", "csv"] = "jsonl",
        version: _Version = "",
        split: _Split = "",
        tag: _Tags = None,
    ) -> StreamingResponse:
        """All cases of a version, as JSON lines (which come back with the same digests when imported) or CSV."""
        found, pinned = await to_thread.run_sync(datasets.version, caller, dataset, parse_version(version))
        wanted = Selection(version=pinned.number, split=split, tags=tuple(tag or ()))
        rows = datasets.each(caller, found.id, wanted)
        write = formats.write_jsonl if format == "jsonl" else formats.write_csv
        lines = write((one.item.id, one.item.source, one.case) for one in rows)
        return StreamingResponse(
            lines,
            media_type="application/x-ndjson" if format == "jsonl" else "text/csv; charset=utf-8",
            headers={
                "content-disposition": f'attachment; filename="dataset.v{pinned.number}.{format}"',
                "x-octavo-version-digest": pinned.digest,
            },
        )


def _in_group(draft: Draft, split: str, tags: list[str]) -> Draft:
    """A draft in the split and with the tags that a whole file is given; its own win."""
    if not split and not tags:
        return draft
    value = draft.case.value()
    kept = [*draft.case.tags, *tags]
    return replace(draft, case=case_of({**value, "split": draft.case.split or split, "tags": kept}))


def _may_read_traces(caller: Principal) -> None:
    """What traces hold is for those who may read traces."""
    if not caller.may(Permission.TRACES_READ):
        raise Forbidden(f"Taking cases from traces needs {Permission.TRACES_READ.value!r} too.")
