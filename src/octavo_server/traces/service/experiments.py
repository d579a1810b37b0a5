"""Experiments and their items read back, with the scores about them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from octavo_server.traces.service.reading import Rows, page_of, position_of
from octavo_server.traces.service.scores import Scores
from octavo_server.traces.store.experiments import ExperimentScope, ExperimentStore
from octavo_server.traces.store.scores import ScoreScope

_MOST_SCORES = 5_000


class Experiments:
    """The verbs. Every verb is about one project."""

    def __init__(self, store: ExperimentStore, scores: Scores) -> None:
        self._store = store
        self._scores = scores

    async def find(self, scope: ExperimentScope, *, limit: int, cursor: str) -> Rows:
        """Experiments, those with the latest span first."""
        rows = await self._store.experiments(scope, limit=limit + 1, before=position_of(cursor))
        return page_of(rows, limit, "latest", "id")

    async def items(self, scope: ExperimentScope, *, limit: int, cursor: str) -> Rows:
        """The spans that are items, the newest first."""
        rows = await self._store.items(scope, limit=limit + 1, before=position_of(cursor))
        return page_of(rows, limit, "start", "span_id")

    async def scores_of(
        self, project_id: str, rows: list[dict[str, Any]], *, each: int
    ) -> dict[str, list[dict[str, Any]]]:
        """The newest scores about experiments, by their ids."""
        scope = ScoreScope(experiment_ids=[row["id"] for row in rows])
        return await self._by(project_id, scope, "experiment_id", each) if rows else {}

    async def item_scores(
        self, project_id: str, rows: list[dict[str, Any]], *, each: int
    ) -> dict[str, list[dict[str, Any]]]:
        """The newest scores about items, or their traces, by trace."""
        scope = ScoreScope(trace_ids=list({row["trace_id"] for row in rows}))
        return await self._by(project_id, scope, "trace_id", each) if rows else {}

    async def _by(self, project_id: str, scope: ScoreScope, key: str, each: int) -> dict[str, list[dict[str, Any]]]:
        found = await self._scores.find(project_id, scope, limit=_MOST_SCORES)
        by_key: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in found.rows:
            if len(by_key[row[key]]) < each:
                by_key[row[key]].append(row)
        return by_key
