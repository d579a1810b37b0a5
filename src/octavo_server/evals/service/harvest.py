"""Cases out of traces: what was asked, what is known of a good answer, and what was retrieved for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from octavo_server.core.errors import Invalid
from octavo_server.edge.access import Principal
from octavo_server.evals.datasets import Case, Draft, Source, case_of
from octavo_server.evals.service.datasets import Datasets, Put
from octavo_server.traces.langfuse import decoded
from octavo_server.traces.service import Search, Traces
from octavo_server.traces.service.scores import Scores

Expected = Literal["correction", "output", "none"]

MOST_TRACES = 1_000
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which traces or spans become cases: those of these ids, or those that a search finds, the newest first."""

    trace_ids: tuple[str, ...] = ()
    span_ids: tuple[str, ...] = ()
    search: Search | None = None
    limit: int = 100
    expected: Expected = "correction"
    tags: tuple[str, ...] = ()
    split: str = ""


class Harvest:
    """Makes cases of traces."""

    def __init__(self, datasets: Datasets, traces: Traces, scores: Scores) -> None:
        self._datasets = datasets
        self._traces = traces
        self._scores = scores

    async def take(self, by: Principal, reference: str, wanted: Wanted, *, message: str = "") -> Put:
        """Puts the cases of traces and spans into a dataset. Raises NotFound, DatasetNotFound, Invalid."""
        drafts = await self._drafts(by.project, wanted)
        if not drafts:
            raise Invalid("No trace fits, so there is nothing to take.", param="filter")
        return await asyncio.to_thread(
            self._datasets.put, by, reference, drafts, message=message or "Taken from traces"
        )

    async def _drafts(self, project_id: str, wanted: Wanted) -> list[Draft]:
        trace_ids = list(wanted.trace_ids)
        if wanted.search is not None:
            page = await self._traces.list_traces(project_id, wanted.search, limit=wanted.limit, cursor="")
            trace_ids += [row["trace_id"] for row in page.rows]
        if len(trace_ids) + len(wanted.span_ids) > MOST_TRACES:
            raise Invalid(f"At most {MOST_TRACES} traces and spans are taken at once.", param="limit")
        gate = asyncio.Semaphore(_AT_ONCE)

        async def of_trace(trace_id: str) -> Draft:
            async with gate:
                _, spans = await self._traces.read_trace(project_id, trace_id)
                ids = {row["span_id"] for row in spans}
                top = next((row for row in spans if row["is_root"]), None) or next(
                    row for row in spans if row["parent_span_id"] not in ids
                )
                whole = await self._traces.read_span(project_id, top["span_id"], trace_id)
                retrieved = [
                    await self._traces.read_span(project_id, row["span_id"], trace_id)
                    for row in spans
                    if row["kind"] == "retriever"
                ]
                return await self._draft(project_id, wanted, whole, retrieved, whole_trace=True)

        async def of_span(span_id: str) -> Draft:
            async with gate:
                return await self._draft(
                    project_id, wanted, await self._traces.read_span(project_id, span_id, ""), (), whole_trace=False
                )

        made = [*map(of_trace, dict.fromkeys(trace_ids)), *map(of_span, dict.fromkeys(wanted.span_ids))]
        return list(await asyncio.gather(*made))

    async def _draft(
        self,
        project_id: str,
        wanted: Wanted,
        span: Mapping[str, Any],
        retrieved: Sequence[Mapping[str, Any]],
        *,
        whole_trace: bool,
    ) -> Draft:
        trace_id, span_id = span["trace_id"], span["span_id"]
        case = case_of(
            {
                "inputs": decoded(span["input"]),
                "expected": await self._expected(project_id, wanted.expected, span, whole_trace),
                "context": [text for one in retrieved for text in _documents(one)],
                "tags": list(wanted.tags),
                "split": wanted.split,
            }
        )
        _refuse_unknown(case, trace_id)
        return Draft(
            case=case,
            source=Source(trace_id=trace_id, span_id="" if whole_trace else span_id),
            place=f"trace {trace_id}" if whole_trace else f"span {span_id}",
        )

    async def _expected(self, project_id: str, kind: Expected, span: Mapping[str, Any], whole_trace: bool) -> Any:
        if kind == "output":
            return decoded(span["output"])
        if kind == "none":
            return None
        corrections = await self._scores.corrections(project_id, span["trace_id"])
        told = corrections.get("") if whole_trace else None
        return decoded(told or corrections.get(span["span_id"], ""))


def _refuse_unknown(case: Case, trace_id: str) -> None:
    if case.inputs is None:
        raise Invalid(f"The trace {trace_id} was kept without its contents, so there is no input to take.")


def _documents(span: Mapping[str, Any]) -> list[str]:
    """The texts of what a retriever found."""
    listed = decoded(span["documents"] or span["output"])
    found = []
    for one in listed if isinstance(listed, list) else []:
        inner = one.get("document", one) if isinstance(one, dict) else one
        text = (inner.get("content") or inner.get("page_content")) if isinstance(inner, dict) else inner
        if isinstance(text, str) and text:
            found.append(text)
    return found
