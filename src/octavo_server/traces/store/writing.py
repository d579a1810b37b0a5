"""Writing spans so that none counts twice: again under the same id it replaces what is there, or is dropped when it is
the same. One process writes."""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
import orjson

from octavo_server.stores.telemetry import QueryFailed, QueryRefused, Telemetry
from octavo_server.traces.counting import SLACK_NS, Joined, Seen, count_once, join_calls
from octavo_server.traces.otlp import RawLog
from octavo_server.traces.store.rows import Draft

log = logging.getLogger("octavo.traces")

_IDS_A_QUERY = 1000
_MONTHS_AN_INSERT = 60  # of the 100 partitions that an insert may touch
_MODEL_KINDS = frozenset({"llm", "embedding"})
_EARLIER_NS = 60_000_000_000
"""How long a client's span may have run before the gateway's record of its call began, when that comes last."""

_TRACES_KNOWN = 100_000
_OF_GATEWAY = "source = 'gateway' AND parent_span_id = ''"
_OF_CLIENTS = "source != 'gateway' AND kind IN ('llm', 'embedding')"

_SEEN = """
    trace_id, span_id, parent_span_id, kind, source, toUnixTimestamp64Nano(start) AS start_ns,
    toUnixTimestamp64Nano(start) + duration_ns AS end_ns, usage_known AND (tokens_total > 0 OR cost_nano > 0) AS has_usage,
    status = 'error' AS failed, counted, duplicate_of, match, call_digest, response_id, content_hash
"""

T = TypeVar("T")
_Key = tuple[str, str]


class _Recent:
    """What this process, which alone writes, knows of a project's spans without asking the store."""

    def __init__(self, newest_ns: int, gateway_ns: int, client_ns: int) -> None:
        self.floor_ns = newest_ns
        """Of traces with spans that began later than this, `traces` has all that are stored."""
        self.traces: dict[str, int] = {}  # where the newest span of each began, the least lately written first
        self.gateway_ns = gateway_ns  # where the newest call without a caller's trace began
        self.client_ns = client_ns  # where the newest call that a client reported began

    def stored(self, trace_ids: Iterable[str], first_ns: int) -> list[str]:
        """Those of which spans that began at `first_ns` or later may be stored."""
        return list(trace_ids) if first_ns <= self.floor_ns else [one for one in trace_ids if one in self.traces]

    def note(self, spans: Iterable[Seen]) -> None:
        """To be called before spans are written: an interrupted write may have stored them."""
        traces = self.traces
        for span in spans:
            traces[span.trace_id] = max(traces.pop(span.trace_id, 0), span.start_ns)
            if _is_lone_call(span):
                self.gateway_ns = max(self.gateway_ns, span.start_ns)
            elif _is_client_call(span):
                self.client_ns = max(self.client_ns, span.start_ns)
        for oldest in list(itertools.islice(traces, max(0, len(traces) - _TRACES_KNOWN))):
            self.floor_ns = max(self.floor_ns, traces.pop(oldest))


class SpanWriter:
    """Stores drafts of spans."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._recent: dict[str, _Recent] = {}

    async def write(self, drafts: Sequence[Draft], *, token: str) -> int:
        """Stores spans, each once, and says how many are stored. Called again with the same spans, also after it was
        interrupted anywhere, it comes to the same."""
        projects: dict[str, list[Draft]] = defaultdict(list)
        for draft in drafts:
            projects[draft.project_id].append(draft)
        refused = 0
        for project_id, ours in projects.items():
            refused += await self._write_project(project_id, ours, token)
        return len(drafts) - refused

    async def _write_project(self, project_id: str, drafts: list[Draft], token: str) -> int:
        batch: dict[_Key, Draft] = {}
        for draft in drafts:
            key = draft.seen.trace_id, draft.seen.span_id
            if key not in batch or not _is_unfinished(draft.seen, batch[key].seen):
                batch[key] = draft
        recent = await self._recent_of(project_id)
        others = {trace_id for (trace_id, _), draft in batch.items() if not _begins_a_trace(draft.seen)}
        known = await self._known(project_id, {key: draft for key, draft in batch.items() if key[0] in others}, recent)
        for seen in known:
            key = seen.trace_id, seen.span_id
            if key in batch and _is_unfinished(batch[key].seen, seen):
                del batch[key]
        gone: set[int] = set()
        moved = await self._join(project_id, batch, known, gone, recent)
        recent.note(draft.seen for draft in batch.values())
        # The gateway made up these calls' trace ids, so nothing is stored of their traces but by an earlier try of
        # this batch, which the token of their own insert tells.
        alone = [
            draft for (trace_id, _), draft in batch.items() if _begins_a_trace(draft.seen) and trace_id not in others
        ]
        rest = {key: draft for key, draft in batch.items() if not _begins_a_trace(draft.seen) or key[0] in others}
        await self._count(project_id, rest, known)
        stored: dict[_Key, list[Seen]] = defaultdict(list)
        for seen in known:
            stored[seen.trace_id, seen.span_id].append(seen)
        lines: list[tuple[int, int, bytes]] = []
        for key, draft in rest.items():
            digest, line = draft.encoded()
            there = stored.get(key, ())
            gone.update(one.content_hash for one in there if one.content_hash != digest)
            if not any(one.content_hash == digest for one in there):
                lines.append((draft.start_ns, digest, line))
        refused = 0
        for part in (*_by_months([(draft.start_ns, *draft.encoded()) for draft in alone]), *_by_months(lines)):
            refused += await self._insert("spans", part, token)
        batch = {**batch, **rest}
        await self._insert("trace_times", list(_times(project_id, batch.values(), moved)), token)
        if gone:
            await self._delete(project_id, gone, batch.values(), known)
        return refused

    async def _recent_of(self, project_id: str) -> _Recent:
        if project_id not in self._recent:
            rows = await self._telemetry.query(
                f"SELECT toUnixTimestamp64Nano(max(start)) AS newest, toUnixTimestamp64Nano(maxIf(start, {_OF_GATEWAY}))"  # noqa: S608
                f" AS gateway, toUnixTimestamp64Nano(maxIf(start, {_OF_CLIENTS})) AS client"
                " FROM spans WHERE project_id = {project:String}",
                {"project": project_id},
            )
            self._recent[project_id] = _Recent(rows[0]["newest"], rows[0]["gateway"], rows[0]["client"])
        return self._recent[project_id]

    async def _known(self, project_id: str, batch: Mapping[_Key, Draft], recent: _Recent) -> list[Seen]:
        """What is stored of the traces of this batch, in the time that it spans."""
        if not batch:
            return []
        first = min(draft.start_ns for draft in batch.values())
        last = max(draft.seen.end_ns for draft in batch.values())
        ids = recent.stored({trace_id for trace_id, _ in batch}, first)
        found: list[Seen] = []
        for some in _chunks(ids, _IDS_A_QUERY):
            found += await self._seen(project_id, "trace_id IN {ids:Array(String)}", {"ids": some}, first, last)
        stored = {(one.trace_id, one.parent_span_id) for one in found}
        inner = {(draft.seen.trace_id, draft.seen.parent_span_id) for draft in batch.values()}
        late = {
            trace_id
            for (trace_id, span_id), draft in batch.items()
            if (trace_id, span_id) in stored
            or (
                (draft.seen.has_usage or (trace_id, span_id) in inner)
                and draft.seen.parent_span_id
                and (trace_id, draft.seen.parent_span_id) not in batch
            )
        }
        for some in _chunks(sorted(late), _IDS_A_QUERY):
            # The steps around these came before them: look for those that report usage too.
            rows = await self._telemetry.query(
                "SELECT toUnixTimestamp64Nano(min(first)) AS first FROM trace_times"
                " WHERE project_id = {project:String} AND trace_id IN {ids:Array(String)} HAVING count() > 0",
                {"project": project_id, "ids": some},
            )
            if rows and rows[0]["first"] < first:
                found += await self._seen(
                    project_id, "trace_id IN {ids:Array(String)}", {"ids": some}, rows[0]["first"], first - 1
                )
        return [*found, *await self._inner(project_id, found, last)]

    async def _inner(self, project_id: str, found: Sequence[Seen], last_ns: int) -> list[Seen]:
        """What began after `last_ns` inside those of these spans that do not count for what is inside them: they would
        count again where that is not seen."""
        outer = [one for one in found if not one.counted and (one.has_usage or one.kind in _MODEL_KINDS)]
        end = max((one.end_ns for one in outer), default=last_ns)
        inner: list[Seen] = []
        if end > last_ns:
            for some in _chunks(sorted({one.trace_id for one in outer}), _IDS_A_QUERY):
                inner += await self._seen(
                    project_id, "trace_id IN {ids:Array(String)}", {"ids": some}, last_ns + 1, end
                )
        return inner

    async def _seen(
        self, project_id: str, condition: str, params: Mapping[str, Any], first_ns: int, last_ns: int
    ) -> list[Seen]:
        rows = await self._telemetry.query(
            f"SELECT {_SEEN} FROM spans WHERE project_id = {{project:String}}"  # noqa: S608
            " AND start >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')"
            f" AND start <= fromUnixTimestamp64Nano({{last:Int64}}, 'UTC') AND {condition}",
            {"project": project_id, "first": first_ns, "last": last_ns, **params},
        )
        return [
            Seen(**{**row, **{name: bool(row[name]) for name in ("has_usage", "failed", "counted")}}) for row in rows
        ]

    async def _join(
        self, project_id: str, batch: dict[_Key, Draft], known: list[Seen], gone: set[int], recent: _Recent
    ) -> dict[str, str]:
        """Puts the gateway's records of calls that their client reported too into the client's traces. Returns where
        the traces that are empty now went."""
        clients = [draft.seen for draft in batch.values() if _is_client_call(draft.seen)]
        calls = [draft.seen for draft in batch.values() if _is_lone_call(draft.seen)]
        if not clients and not calls:
            return {}
        same = "(call_digest IN {digests:Array(UInt64)} OR (response_id != '' AND response_id IN {responses:Array(String)}))"
        free = "(duplicate_of = '' OR duplicate_of IN {calls:Array(String)})"
        candidates: list[Seen] = []
        for ours, theirs, earlier, newest in (
            (clients, _OF_GATEWAY, SLACK_NS, recent.gateway_ns),
            (calls, _OF_CLIENTS, _EARLIER_NS, recent.client_ns),
        ):
            for some in _chunks(ours, _IDS_A_QUERY):
                around = _around(some, earlier)
                if around[0] > newest:
                    continue  # whoever only uses the gateway, or only instruments, has nothing to join
                candidates += await self._seen(
                    project_id,
                    f"{theirs} AND {same}" + (f" AND {free}" if ours is calls else ""),
                    {
                        "digests": list({one.call_digest for one in some if one.call_digest}),
                        "responses": list({one.response_id for one in some if one.response_id}),
                        "calls": [one.span_id for one in some],
                    },
                    *around,
                )
        fresh = [one for one in candidates if (one.trace_id, one.span_id) not in batch]
        pairs = join_calls(
            [*clients, *(one for one in fresh if one.source != "gateway")],
            [*calls, *(one for one in fresh if one.source == "gateway")],
        )
        if not pairs:
            return {}
        others = {client.trace_id for client, _, _ in pairs} - {trace_id for trace_id, _ in batch}
        first = min(min(client.start_ns, call.start_ns) for client, call, _ in pairs)
        last = max(max(client.end_ns, call.end_ns) for client, call, _ in pairs)
        for named in _chunks(sorted(others), _IDS_A_QUERY):
            found = await self._seen(project_id, "trace_id IN {ids:Array(String)}", {"ids": named}, first, last)
            known += [*found, *await self._inner(project_id, found, last)]
        return await self._move(project_id, pairs, batch, known, gone)

    async def _move(
        self, project_id: str, pairs: list[Joined], batch: dict[_Key, Draft], known: list[Seen], gone: set[int]
    ) -> dict[str, str]:
        moved: dict[str, str] = {}
        for client, call, match in pairs:
            stored = [one for one in (client, call) if one.content_hash and (one.trace_id, one.span_id) not in batch]
            for one in stored:
                draft = await self._load(project_id, one)
                if draft is not None:
                    batch[one.trace_id, one.span_id] = draft
            mine, theirs = batch.get((client.trace_id, client.span_id)), batch.get((call.trace_id, call.span_id))
            if mine is None or theirs is None:
                continue
            old = theirs.seen.trace_id
            if call.content_hash and old != client.trace_id:
                known.append(msgspec.structs.replace(call))
            gone.update(one.content_hash for one in known if (one.trace_id, one.span_id) == (old, call.span_id))
            del batch[old, call.span_id]
            theirs.seen.trace_id, theirs.seen.parent_span_id = client.trace_id, client.span_id
            theirs.seen.match = mine.seen.match = match
            mine.seen.duplicate_of = mine.seen.duplicate_of or call.span_id
            batch[client.trace_id, call.span_id] = theirs
            moved[old] = client.trace_id
        return moved

    async def _count(self, project_id: str, batch: dict[_Key, Draft], known: Sequence[Seen]) -> None:
        """Sets what counts in the traces of this batch, on stored spans too."""
        traces: dict[str, list[Seen]] = defaultdict(list)
        for seen in known:
            if (seen.trace_id, seen.span_id) not in batch:
                traces[seen.trace_id].append(seen)
        for draft in batch.values():
            traces[draft.seen.trace_id].append(draft.seen)
        for spans in traces.values():
            for changed in count_once(spans):
                if changed.content_hash and (changed.trace_id, changed.span_id) not in batch:
                    draft_ = await self._load(project_id, changed)
                    if draft_ is not None:
                        batch[changed.trace_id, changed.span_id] = draft_

    async def _load(self, project_id: str, seen: Seen) -> Draft | None:
        """A stored span, to be written again with changes."""
        rows = await self._telemetry.query(
            "SELECT * FROM spans WHERE project_id = {project:String}"
            " AND start = fromUnixTimestamp64Nano({start:Int64}, 'UTC')"
            " AND trace_id = {trace:String} AND span_id = {span:String} LIMIT 1",
            {"project": project_id, "start": seen.start_ns, "trace": seen.trace_id, "span": seen.span_id},
        )
        return Draft(seen, project_id, {**rows[0], "start": seen.start_ns}, seen.start_ns) if rows else None

    async def _insert(self, table: str, lines: Sequence[tuple[int, int, bytes]], token: str) -> int:
        """Inserts lines, and returns how many of them the store will never take; those are logged and left out, since
        what is behind them must not wait for ever."""
        if not lines:
            return 0
        name = blake2b(b"".join(digest.to_bytes(8) for _, digest, _ in lines), digest_size=12).hexdigest()
        try:
            rows: Any = [orjson.Fragment(line) for _, _, line in lines]
            await self._telemetry.insert(table, rows, token=f"{token}-{name}")
        except (QueryRefused, QueryFailed) as error:
            if len(lines) == 1:
                log.error("a row of %s is refused for good: %s", table, error.__cause__ or error.message)
                return 1
            half = len(lines) // 2
            return await self._insert(table, lines[:half], token) + await self._insert(table, lines[half:], token)
        return 0

    async def _delete(self, project_id: str, hashes: set[int], drafts: Iterable[Draft], known: Sequence[Seen]) -> None:
        """Removes rows that were replaced."""
        starts = [one.start_ns for one in known if one.content_hash in hashes]
        if not starts:
            return
        for some in _chunks(sorted(hashes), _IDS_A_QUERY):
            await self._telemetry.execute(
                "DELETE FROM spans WHERE project_id = {project:String}"
                " AND start >= fromUnixTimestamp64Nano({first:Int64}, 'UTC')"
                " AND start <= fromUnixTimestamp64Nano({last:Int64}, 'UTC') AND content_hash IN {gone:Array(UInt64)}",
                {"project": project_id, "first": min(starts), "last": max(starts), "gone": some},
            )

    async def delete_older(self, project_id: str, before: datetime) -> int:
        """Deletes the project's spans that began before this, and says how many there were. The tables' TTL does this
        by itself for the days that held when a span came; this is for days that were shortened since."""
        about = {"project": project_id, "before": before}
        where = "project_id = {project:String} AND start < {before:DateTime64(9, 'UTC')}"
        found = await self._telemetry.query(f"SELECT count() AS spans FROM spans WHERE {where}", about)  # noqa: S608
        if found[0]["spans"]:
            for table, condition in (
                ("spans", where),
                ("trace_times", where.replace("start", "last")),
                ("span_logs", where.replace("start", "time")),
            ):
                await self._telemetry.execute(f"DELETE FROM {table} WHERE {condition}", about)  # noqa: S608
        return int(found[0]["spans"])

    async def write_logs(self, project_id: str, logs: Sequence[RawLog], *, retention_days: int, token: str) -> None:
        """Keeps log records that belong to spans, for spans that come later."""
        lines = []
        for one in logs:
            event = orjson.dumps(
                {"name": one.event.name, "time_ns": one.event.time_ns, "attributes": one.event.attributes}
            )
            digest = int.from_bytes(blake2b(event, digest_size=8).digest(), "little") | 1
            row = {
                "project_id": project_id,
                "trace_id": one.trace_id,
                "span_id": one.span_id,
                "time": one.event.time_ns,
                "event": event.decode(),
                "content_hash": digest,
                "retention_days": retention_days,
            }
            lines.append((one.event.time_ns, digest, orjson.dumps(row)))
        for part in _by_months(lines):
            await self._insert("span_logs", part, token)

    async def logs(self, project_id: str, traces: Sequence[str]) -> dict[_Key, list[dict[str, Any]]]:
        """The kept log records of these traces by trace and span, in order of time."""
        found: dict[_Key, list[dict[str, Any]]] = defaultdict(list)
        for some in _chunks(traces, _IDS_A_QUERY):
            rows = await self._telemetry.query(
                "SELECT DISTINCT trace_id, span_id, event, time FROM span_logs WHERE project_id = {project:String}"
                " AND trace_id IN {ids:Array(String)} ORDER BY time",
                {"project": project_id, "ids": some},
            )
            for row in rows:
                found[row["trace_id"], row["span_id"]].append(orjson.loads(row["event"]))
        return found

    async def projects_with_logs(self) -> set[str]:
        """Projects that have log records at all; the others need not be asked for each batch."""
        rows = await self._telemetry.query("SELECT DISTINCT project_id FROM span_logs")
        return {row["project_id"] for row in rows}

    async def stored_rows(self, project_id: str, spans: Sequence[_Key]) -> list[dict[str, Any]]:
        """Whole rows of spans, where they are stored."""
        rows: list[dict[str, Any]] = []
        for some in _chunks(spans, _IDS_A_QUERY // 2):
            rows += await self._telemetry.query(
                "WITH (SELECT (min(first), max(last)) FROM trace_times WHERE project_id = {project:String}"
                " AND trace_id IN {traces:Array(String)}) AS times"
                " SELECT *, toUnixTimestamp64Nano(start) AS start_ns FROM spans WHERE project_id = {project:String}"
                " AND start >= times.1 AND start <= times.2"
                " AND trace_id IN {traces:Array(String)} AND span_id IN {spans:Array(String)}",
                {
                    "project": project_id,
                    "traces": list({trace_id for trace_id, _ in some}),
                    "spans": [span_id for _, span_id in some],
                },
            )
        return rows


def _around(spans: Sequence[Seen], earlier_ns: int) -> tuple[int, int]:
    """The time in which what belongs to these may have begun."""
    return min(one.start_ns for one in spans) - earlier_ns, max(one.end_ns for one in spans) + SLACK_NS


def _is_unfinished(seen: Seen, other: Seen) -> bool:
    """Whether a span was told of before its end, and the other telling is of later: it stays, whichever comes last."""
    return seen.end_ns <= seen.start_ns < other.end_ns


def _begins_a_trace(seen: Seen) -> bool:
    """A gateway's record that no caller's trace context came with."""
    return seen.source == "gateway" and not seen.parent_span_id


def _is_client_call(seen: Seen) -> bool:
    return seen.source != "gateway" and seen.kind in _MODEL_KINDS and bool(seen.call_digest or seen.response_id)


def _is_lone_call(seen: Seen) -> bool:
    return seen.source == "gateway" and not seen.parent_span_id and bool(seen.call_digest or seen.response_id)


def _times(project_id: str, drafts: Iterable[Draft], moved: Mapping[str, str]) -> Iterator[tuple[int, int, bytes]]:
    """Rows of `trace_times`: when each trace of a batch was."""
    times: dict[str, list[int]] = {}
    for draft in drafts:
        start, days = draft.start_ns, draft.row.get("retention_days", 90)
        known = times.get(draft.seen.trace_id)
        if known is None:
            times[draft.seen.trace_id] = [start, start, days]
        else:
            known[0], known[1], known[2] = min(known[0], start), max(known[1], start), max(known[2], days)
    for old, new in moved.items():
        if new in times:
            times[old] = times[new]
    for trace_id, (first, last, days) in times.items():
        row = orjson.dumps(
            {
                "project_id": project_id,
                "trace_id": trace_id,
                "first": first,
                "last": last,
                "moved_to": moved.get(trace_id, ""),
                "retention_days": days,
            }
        )
        yield first, int.from_bytes(blake2b(row, digest_size=8).digest(), "little"), row


def _by_months(lines: list[tuple[int, int, bytes]]) -> Iterator[list[tuple[int, int, bytes]]]:
    """The lines in inserts that touch few enough partitions each."""
    if not lines:
        return
    first, last = min(at for at, _, _ in lines), max(at for at, _, _ in lines)
    if last - first < _MONTHS_AN_INSERT * 28 * 86_400 * 10**9:
        yield lines
        return
    months: dict[tuple[int, int], list[tuple[int, int, bytes]]] = defaultdict(list)
    for line in lines:
        at = datetime.fromtimestamp(line[0] // 10**9, UTC)
        months[at.year, at.month].append(line)
    for some in _chunks(sorted(months), _MONTHS_AN_INSERT):
        yield [line for month in some for line in months[month]]


def _chunks(values: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
