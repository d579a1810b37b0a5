"""Links of Langfuse's dataset runs: which trace an item was run in. A run is what its links say, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Index, Table, Text, delete, func, insert, select

from octavo_server.evals.datasets import Run, RunLink
from octavo_server.stores.control import UtcDateTime, metadata

links = Table(
    "dataset_run_links",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("dataset_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("run_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("span_id", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
Index("ix_dataset_run_links_run", links.c.project_id, links.c.dataset_id, links.c.run_name)


def insert_link(sql: Connection, project_id: str, one: RunLink) -> None:
    """Notes that an item was run."""
    sql.execute(
        insert(links).values(
            project_id=project_id,
            id=one.id,
            dataset_id=one.dataset_id,
            run_id=one.run_id,
            run_name=one.run_name,
            description=one.description,
            metadata=orjson.dumps(one.metadata).decode(),
            item_id=one.item_id,
            trace_id=one.trace_id,
            span_id=one.span_id,
            created_at=one.created_at,
        )
    )


def list_runs(
    sql: Connection, project_id: str, dataset_id: str, *, name: str = "", limit: int = 1, skip: int = 0
) -> tuple[list[Run], int]:
    """The runs of a dataset, those that began last first, and how many there are. What is told of one is what its
    newest link tells."""
    ours = [links.c.project_id == project_id, links.c.dataset_id == dataset_id]
    if name:
        ours.append(links.c.run_name == name)
    began, ended = func.min(links.c.created_at), func.max(links.c.created_at)
    groups = sql.execute(
        select(links.c.run_name, began.label("began"), ended.label("ended"), func.max(links.c.id).label("newest"))
        .where(*ours)
        .group_by(links.c.run_name)
        .order_by(began.desc(), links.c.run_name)
        .limit(limit)
        .offset(skip)
    ).all()
    count = sql.execute(select(func.count(links.c.run_name.distinct())).where(*ours)).scalar_one()
    newest = sql.execute(
        select(links).where(links.c.project_id == project_id, links.c.id.in_([row.newest for row in groups]))
    )
    told = {row.id: row for row in newest}
    return [
        Run(
            id=told[row.newest].run_id,
            name=row.run_name,
            description=told[row.newest].description,
            metadata=orjson.loads(told[row.newest].metadata),
            created_at=row.began,
            updated_at=row.ended,
        )
        for row in groups
    ], int(count)


def list_links(
    sql: Connection, project_id: str, dataset_id: str, run_name: str, *, limit: int, skip: int = 0
) -> tuple[list[RunLink], int]:
    """The links of a run, the newest first, and how many there are."""
    ours = (links.c.project_id == project_id, links.c.dataset_id == dataset_id, links.c.run_name == run_name)
    count = sql.execute(select(func.count()).select_from(links).where(*ours)).scalar_one()
    rows: Sequence[Any] = sql.execute(
        select(links).where(*ours).order_by(links.c.id.desc()).limit(limit).offset(skip)
    ).all()
    return [_link(row) for row in rows], int(count)


def delete_links(sql: Connection, project_id: str, dataset_id: str, run_name: str | None = None) -> int:
    """Forgets the links of a run, or of all runs of a dataset, and says how many those were."""
    ours = [links.c.project_id == project_id, links.c.dataset_id == dataset_id]
    if run_name is not None:
        ours.append(links.c.run_name == run_name)
    return sql.execute(delete(links).where(*ours)).rowcount


def _link(row: Any) -> RunLink:
    fields = dict(row._mapping)
    del fields["project_id"]
    fields["metadata"] = orjson.loads(fields["metadata"])
    return RunLink(**fields)
