"""Datasets as Langfuse's clients see them: items by ids of their own, versions by time, and runs as links to traces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Invalid
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.evals.datasets import Case, Dataset, DatasetNotFound, Draft, Item, Run, RunLink, Source, case_of
from octavo_server.evals.service.datasets import Datasets, dataset_of
from octavo_server.evals.store import datasets as store
from octavo_server.evals.store import langfuse as runs
from octavo_server.stores.control import ControlStore
from octavo_server.stores.objects import get_parts

_FIELDS = {"input": "inputs", "expectedOutput": "expected", "metadata": "metadata"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An item with what an answer tells of it."""

    item: Item
    case: Case
    dataset: Dataset


class LangfuseDatasets:
    """The verbs. Every verb is about the caller's project."""

    def __init__(self, control: ControlStore, datasets: Datasets, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self.datasets = datasets

    def put_dataset(self, by: Principal, name: str, fields: Mapping[str, Any]) -> Dataset:
        """Makes a dataset, or changes the one of this name: what is null stays. Raises Invalid."""
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            found, _ = self.datasets.get(by, name)
        except DatasetNotFound:
            return self.datasets.create(by, name, **given)[0]
        return self.datasets.change(by, found.id, given)[0] if given else found

    def put_item(
        self, by: Principal, dataset: str, item_id: str | None, fields: Mapping[str, Any], status: str | None
    ) -> Shown:
        """Puts an item in, or changes the one of this id: what is null stays. Raises DatasetNotFound, Invalid."""
        found, _ = self.datasets.get(by, dataset)
        old = self._find(by.project, item_id) if item_id else None
        known: Mapping[str, Any] = old.case.value() if old else {}
        given = {ours: fields[name] for name, ours in _FIELDS.items() if fields.get(name) is not None}
        source = Source(trace_id=fields.get("sourceTraceId") or "", span_id=fields.get("sourceObservationId") or "")
        draft = Draft(case=case_of({**known, **given}), id=item_id, source=source)
        # Langfuse keeps items of the same content apart: their ids are the client's.
        (made,) = self.datasets.put(by, found.id, [draft], message="", skip_duplicates=False).ids
        archived = status == "ARCHIVED" or (status is None and old is not None and old.item.is_archived)
        if archived:
            self.datasets.remove(by, found.id, [made], message="Archived", archive=True)
        return self.item(by, made)

    def item(self, by: Principal, item_id: str) -> Shown:
        """An item that is there or archived. Raises DatasetNotFound."""
        found = self._find(by.project, item_id)
        if found is None or (found.item.removed is not None and not found.item.is_archived):
            raise DatasetNotFound(f"There is no dataset item {item_id[:80]!r} in this project.")
        return found

    def items(
        self, by: Principal, dataset: str, *, until: datetime | None, source: Source, page: int, limit: int
    ) -> tuple[list[Shown], int]:
        """A numbered page of items, those made last first, now or as they were at a time. Raises DatasetNotFound."""
        with self._control.read() as sql:
            wanted, found = None, None
            if dataset:
                found = dataset_of(sql, by.project, dataset)
                if until is not None:
                    version = store.find_version(sql, found.id, None, until=until)
                    wanted = version.number if version else 0
            listed, count = store.page_items(
                sql,
                by.project,
                dataset_id=found.id if found else "",
                version=wanted,
                source=source,
                limit=limit,
                skip=(page - 1) * limit,
            )
            return self._shown(sql, by.project, listed), count

    def delete_item(self, by: Principal, item_id: str) -> None:
        """Takes an item out; the versions it was in keep it. Raises DatasetNotFound."""
        found = self.item(by, item_id)
        if found.item.removed is None:
            self.datasets.remove(by, found.dataset.id, [item_id], message="Deleted")
            return
        with self._control.transaction() as tx:
            store.forget_archived(tx.connection, by.project, item_id)
            before: dict[str, Any] = {"id": item_id, "digest": found.item.digest}
            now = self._clock.now()
            tx.record(event_of(by, "dataset_item.deleted", item_id, now, before=before, after=None))

    def link(
        self,
        by: Principal,
        run_name: str,
        item_id: str,
        *,
        trace_id: str,
        span_id: str,
        description: str,
        metadata: Any,
        created_at: datetime | None,
    ) -> RunLink:
        """Notes that an item was run in a trace. Raises DatasetNotFound."""
        shown = self.item(by, item_id)
        now = self._clock.now()
        made = RunLink(
            id=new_id("dri"),
            dataset_id=shown.dataset.id,
            run_id=run_id_of(by.project, shown.dataset.id, run_name),
            run_name=run_name,
            description=description,
            metadata=metadata,
            item_id=item_id,
            trace_id=trace_id,
            span_id=span_id,
            created_at=created_at or now,
        )
        with self._control.transaction() as tx:
            is_new = not runs.list_runs(tx.connection, by.project, made.dataset_id, name=run_name)[0]
            runs.insert_link(tx.connection, by.project, made)
            if is_new:
                view: dict[str, Any] = {"name": run_name, "dataset_id": made.dataset_id}
                tx.record(event_of(by, "dataset_run.created", made.run_id, now, before=None, after=view))
        return made

    def runs(self, by: Principal, dataset: str, *, page: int, limit: int) -> tuple[Dataset, list[Run], int]:
        """A numbered page of a dataset's runs, the newest first. Raises DatasetNotFound."""
        with self._control.read() as sql:
            found = dataset_of(sql, by.project, dataset)
            listed, count = runs.list_runs(sql, by.project, found.id, limit=limit, skip=(page - 1) * limit)
            return found, listed, count

    def run(self, by: Principal, dataset: str, name: str, *, limit: int) -> tuple[Dataset, Run, list[RunLink]]:
        """A run with its items. Raises DatasetNotFound."""
        with self._control.read() as sql:
            found = dataset_of(sql, by.project, dataset)
            listed, _ = runs.list_runs(sql, by.project, found.id, name=name)
            if not listed:
                raise _no_run(found, name)
            links, _ = runs.list_links(sql, by.project, found.id, name, limit=limit)
            return found, listed[0], links

    def links(
        self, by: Principal, dataset_id: str, run_name: str, *, page: int, limit: int
    ) -> tuple[list[RunLink], int]:
        """A numbered page of a run's items. Raises DatasetNotFound."""
        with self._control.read() as sql:
            found = dataset_of(sql, by.project, dataset_id)
            return runs.list_links(sql, by.project, found.id, run_name, limit=limit, skip=(page - 1) * limit)

    def delete_run(self, by: Principal, dataset: str, name: str) -> None:
        """Forgets a run; its traces stay. Raises DatasetNotFound."""
        with self._control.transaction() as tx:
            found = dataset_of(tx.connection, by.project, dataset)
            if not runs.delete_links(tx.connection, by.project, found.id, name):
                raise _no_run(found, name)
            view: dict[str, Any] = {"name": name, "dataset_id": found.id}
            subject = run_id_of(by.project, found.id, name)
            tx.record(event_of(by, "dataset_run.deleted", subject, self._clock.now(), before=view, after=None))

    def _find(self, project_id: str, item_id: str) -> Shown | None:
        with self._control.read() as sql:
            found = store.find_items(sql, project_id, [item_id]).get(item_id)
            return None if found is None else self._shown(sql, project_id, [found])[0]

    def _shown(self, sql: Connection, project_id: str, listed: list[Item]) -> list[Shown]:
        parts: Mapping[str, Any] = get_parts(sql, project_id, [one.digest for one in listed])
        datasets = {one: dataset_of(sql, project_id, one) for one in {item.dataset_id for item in listed}}
        return [Shown(item=one, case=case_of(parts[one.digest]), dataset=datasets[one.dataset_id]) for one in listed]


def run_id_of(project_id: str, dataset_id: str, run_name: str) -> str:
    """The id of a run over a dataset, as Langfuse's SDKs compute it themselves since version 5."""
    seed = orjson.dumps(["langfuse-experiment-v1", project_id, dataset_id, run_name])
    return hashlib.sha256(seed).hexdigest()[:16]


def _no_run(dataset: Dataset, name: str) -> DatasetNotFound:
    return DatasetNotFound(f"{dataset.name!r} has no run {name[:80]!r}.")


def check_run_name(name: str) -> str:
    """Raises Invalid."""
    if not name or len(name) > 500 or "\0" in name:
        raise Invalid(f"A run cannot be named {name[:80]!r}; expected 1 to 500 characters.", param="runName")
    return name
