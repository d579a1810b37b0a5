"""Experiments: what Langfuse's SDKs run over a dataset exists as attributes of spans alone. The span that its item's
`root_observation_id` names is the item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from octavo_server.stores.telemetry import Telemetry


def _attribute(name: str) -> str:
    return f"JSONExtractString(attributes, 'langfuse.experiment.{name}')"


_ITEM = f"{_attribute('item.root_observation_id')} = span_id"
_COLUMNS = {
    "experiment_id": _attribute("id"),
    "experiment_name": _attribute("name"),
    "dataset_id": _attribute("dataset.id"),
    "item_id": _attribute("item.id"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentScope:
    """Which experiments or items are wanted. `values`: any of these, by column of `experiment_id`, `experiment_name`,
    `dataset_id` and `item_id`."""

    project_id: str
    start: datetime
    end: datetime | None = None
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def where(self) -> tuple[str, dict[str, Any]]:
        """The WHERE clause and its parameters."""
        parts = [
            "project_id = {project:String}",
            "start >= {from:DateTime64(9, 'UTC')}",
            f"{_COLUMNS['experiment_id']} != ''",
        ]
        params: dict[str, Any] = {"project": self.project_id, "from": self.start}
        if self.end is not None:
            parts.append("start < {to:DateTime64(9, 'UTC')}")
            params["to"] = self.end
        for name, wanted in self.values.items():
            if wanted:
                parts.append(f"{_COLUMNS[name]} IN {{{name}:Array(String)}}")
                params[name] = list(wanted)
        return " AND ".join(parts), params


class ExperimentStore:
    """The queries over experiments."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def experiments(
        self, scope: ExperimentScope, *, limit: int, before: tuple[str, str] | None
    ) -> list[dict[str, Any]]:
        """Experiments, those with the latest span first, behind a position of that time and the id."""
        where, params = scope.where()
        having = ""
        if before is not None:
            having = "HAVING (latest, id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        return await self._telemetry.query(
            f"SELECT {_COLUMNS['experiment_id']} AS id, any({_COLUMNS['experiment_name']}) AS name,"  # noqa: S608
            f" any({_COLUMNS['dataset_id']}) AS dataset_id, max({_attribute('description')}) AS description,"
            f" max({_attribute('metadata')}) AS metadata, min(start) AS began, max(start) AS latest,"
            " max(addNanoseconds(start, duration_ns)) AS ended,"
            f" uniqExactIf(span_id, {_ITEM}) AS items FROM spans WHERE {where} GROUP BY id {having}"
            " ORDER BY latest DESC, id DESC LIMIT {limit:UInt32}",
            {**params, "limit": limit},
        )

    async def items(
        self, scope: ExperimentScope, *, limit: int, before: tuple[str, str] | None
    ) -> list[dict[str, Any]]:
        """The spans that are items, whole, the newest first, behind a position of start and id."""
        where, params = scope.where()
        if before is not None:
            where += " AND (start, span_id) < ({before:DateTime64(9, 'UTC')}, {before_id:String})"
            params |= {"before": before[0], "before_id": before[1]}
        return await self._telemetry.query(
            f"SELECT * FROM spans WHERE {where} AND {_ITEM} ORDER BY start DESC, span_id DESC LIMIT {{limit:UInt32}}",  # noqa: S608
            {**params, "limit": limit},
        )
