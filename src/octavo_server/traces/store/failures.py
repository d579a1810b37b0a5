"""The queries over failures: failing spans by signature, and whose latency it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from octavo_server.stores.telemetry import Telemetry
from octavo_server.traces.filter import SIGNATURE
from octavo_server.traces.store.reading import Scope

# A failure is told where it happened: a span that failed because one inside it did is left out.
_DEEPEST = (
    "(trace_id, span_id) NOT IN (SELECT trace_id, parent_span_id FROM spans WHERE {where} AND status = 'error'"
    " AND parent_span_id != '')"
)


class FailureStore:
    """Reads failures of one project."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    async def failures(self, scope: Scope, *, limit: int, skip: int, signature: str = "") -> list[dict[str, Any]]:
        """Failures by signature, the most frequent first."""
        where, params = scope.where()
        if signature:
            where += f" AND {SIGNATURE} = {{signature:String}}"
            params["signature"] = signature
        return await self._telemetry.query(
            f"SELECT {SIGNATURE} AS signature, any(error_class) AS class, argMax(error_type, start) AS type,"  # noqa: S608
            " argMax(status_message, start) AS message, argMax(name, start) AS span_name,"
            " argMax(trace_id, start) AS example_trace, argMax(span_id, start) AS example_span, count() AS count,"
            " uniqExact(trace_id) AS traces, uniqExactIf(user_id, user_id != '') AS users,"
            " arraySlice(groupUniqArrayIf(model, model != ''), 1, 20) AS models, min(start) AS first, max(start) AS last"
            f" FROM spans WHERE {where} AND status = 'error' AND {_DEEPEST.format(where=scope.where()[0])}"
            " GROUP BY signature ORDER BY count DESC, signature LIMIT {limit:UInt32} OFFSET {skip:UInt32}",
            {**params, "limit": limit, "skip": skip},
        )

    async def first_seen(self, project_id: str, signatures: Sequence[str]) -> dict[str, str]:
        """When each was first, as far back as spans are kept."""
        rows = await self._telemetry.query(
            f"SELECT {SIGNATURE} AS signature, min(start) AS first FROM spans"  # noqa: S608
            f" WHERE project_id = {{project:String}} AND status = 'error' AND {SIGNATURE} IN {{wanted:Array(String)}}"
            " GROUP BY signature",
            {"project": project_id, "wanted": list(signatures)},
        )
        return {row["signature"]: row["first"] for row in rows}

    async def series(self, scope: Scope, signatures: Sequence[str], *, interval_s: int) -> list[dict[str, Any]]:
        """How many there were of each, by time bucket."""
        where, params = scope.where()
        return await self._telemetry.query(
            f"SELECT {SIGNATURE} AS signature,"  # noqa: S608
            " toStartOfInterval(start, toIntervalSecond({step:UInt32}), 'UTC') AS time, count() AS count"
            f" FROM spans WHERE {where} AND status = 'error' AND {_DEEPEST.format(where=where)}"
            f" AND {SIGNATURE} IN {{wanted:Array(String)}} GROUP BY signature, time ORDER BY time",
            {**params, "step": interval_s, "wanted": list(signatures)},
        )

    async def shares(self, scope: Scope, signature: str, dimensions: Sequence[str]) -> list[dict[str, Any]]:
        """How one failure is spread over the values of some columns."""
        where, params = scope.where()
        where += f" AND {_DEEPEST.format(where=where)}"
        parts = [
            f"SELECT '{name}' AS dimension, toString({name}) AS value, count() AS count FROM spans WHERE {where}"  # noqa: S608
            f" AND status = 'error' AND {SIGNATURE} = {{signature:String}} GROUP BY value"
            for name in dimensions
        ]
        return await self._telemetry.query(
            f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY dimension, count DESC LIMIT 500",  # noqa: S608
            {**params, "signature": signature},
        )

    async def newest_spans(self, scope: Scope, *, traces: int, spans: int) -> list[dict[str, Any]]:
        """The spans of the newest traces that have a matching span."""
        where, params = scope.where()
        return await self._telemetry.query(
            "SELECT trace_id, span_id, parent_span_id, name, kind, toUnixTimestamp64Nano(start) AS start_ns,"  # noqa: S608
            " toUnixTimestamp64Nano(start) + duration_ns AS end_ns FROM spans WHERE project_id = {project:String}"
            " AND trace_id IN (SELECT trace_id FROM spans"
            f" WHERE {where} GROUP BY trace_id ORDER BY max(start) DESC LIMIT {{traces:UInt32}})"
            " LIMIT {spans:UInt32}",
            {**params, "traces": traces, "spans": spans},
        )
