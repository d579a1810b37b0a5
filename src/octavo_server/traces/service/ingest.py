"""From the spool to the store: what was accepted becomes spans, in the worker.

A batch is decoded in pieces, which go on being read while those before them are inserted: the interpreter reads while
the engine writes. However often a batch is tried, each of its spans is stored once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from octavo_server.stores.spool import Entry
from octavo_server.traces.gateway_calls import span_of_call
from octavo_server.traces.mapping import Mapper, Normalise
from octavo_server.traces.masking import masker_of
from octavo_server.traces.model import (
    CaptureMode,
    GatewayCall,
    Origin,
    ProjectRules,
    Score,
    Span,
    SpanEvent,
    SpanLink,
    Usage,
)
from octavo_server.traces.otlp import (
    MalformedOtlp,
    RawLog,
    RawSpan,
    Refused,
    Sender,
    is_valid_time,
    read_logs,
    read_spans,
)
from octavo_server.traces.store import Draft, SpanWriter, draft_of
from octavo_server.traces.store.scores import ScoreStore

log = logging.getLogger("octavo.traces")

GATEWAY_KIND = "gateway"
SPANS_KIND = "otlp.traces"
LOGS_KIND = "otlp.logs"
SCORES_KIND = "scores"

_PIECE_BYTES = 4 << 20
# What a span that nobody foresaw may raise on its way; it is refused, and the rest goes on.
_SPAN_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)

_Key = tuple[str, str]


class Pricer(Protocol):
    """Nano-USD of a call, or None when its price is unknown; `costs.runtime.PriceBook.price_span`."""

    def __call__(self, project_id: str, provider: str, model: str, usage: Usage, at_ns: int) -> int | None: ...


class _Piece(msgspec.Struct):
    drafts: list[Draft]
    logs: dict[str, list[RawLog]]
    scores: list[Score]
    stored: int  # records that are stored when this piece is
    counted: int  # records that the entries hold


class TraceIngest:
    """Turns entries of the spool into stored spans."""

    def __init__(
        self,
        writer: SpanWriter,
        scores: ScoreStore,
        *,
        normalise: Normalise,
        rules: Callable[[], Mapping[str, ProjectRules]],
        price: Pricer | None = None,
    ) -> None:
        self._writer = writer
        self._scores = scores
        self._score_list = msgspec.json.Decoder(list[Score])
        self._rules = rules
        self._price = price
        self._mapper = Mapper(normalise)
        self._calls = msgspec.msgpack.Decoder(GatewayCall)
        self._origins = msgspec.json.Decoder(Origin)
        self._with_logs: set[str] | None = None

    async def store(self, entries: Sequence[Entry], token: str) -> tuple[int, int]:
        """Stores a batch once, however often it is called with it. Returns how many records are stored and how many
        were refused for good."""
        rules = await asyncio.to_thread(self._rules)
        if self._with_logs is None:
            self._with_logs = await self._writer.projects_with_logs()
        pieces: asyncio.Queue[_Piece | None] = asyncio.Queue(maxsize=1)

        async def read() -> None:
            for some in _pieces(entries):
                await pieces.put(await asyncio.to_thread(self._read, some, rules))
            await pieces.put(None)

        reading = asyncio.create_task(read())
        stored = counted = 0
        try:
            while (piece := await _next(pieces, reading)) is not None:
                stored += piece.stored - await self._write(piece, rules, token)
                counted += piece.counted
        finally:
            reading.cancel()
        return stored, counted - stored

    async def _write(self, piece: _Piece, rules: Mapping[str, ProjectRules], token: str) -> int:
        """Writes a piece; returns how many of its spans the store will never take."""
        drafts = piece.drafts
        if piece.scores:
            days = {project_id: ours.retention_days for project_id, ours in rules.items()}
            await self._scores.write(piece.scores, days, token=f"{token}-{piece.scores[0].id}-{len(piece.scores)}")
        for project_id, logs in piece.logs.items():
            ours = rules.get(project_id, ProjectRules())
            await self._writer.write_logs(project_id, logs, retention_days=ours.retention_days, token=token)
            assert self._with_logs is not None
            self._with_logs.add(project_id)
        if self._with_logs:
            drafts = await self._with_their_logs(piece, rules)
        if not drafts:
            return 0
        return len(drafts) - await self._writer.write(drafts, token=token)

    def _read(self, entries: Sequence[Entry], rules: Mapping[str, ProjectRules]) -> _Piece:
        piece = _Piece([], {}, [], 0, 0)
        for entry in entries:
            piece.counted += entry.count
            if entry.kind == GATEWAY_KIND:
                spans: Iterator[Span] = self._gateway_spans(entry)
            elif entry.kind == SPANS_KIND:
                spans = self._sent_spans(entry, rules)
            elif entry.kind == LOGS_KIND:
                piece.stored += self._read_logs(entry, piece, rules)
                continue
            elif entry.kind == SCORES_KIND:
                piece.stored += self._read_scores(entry, piece, rules)
                continue
            else:
                log.error("entry %d of unknown kind %r is refused", entry.seq, entry.kind)
                continue
            before = len(piece.drafts)
            default = ProjectRules()
            piece.drafts.extend(draft_of(span, rules.get(span.project_id, default).retention_days) for span in spans)
            piece.stored += len(piece.drafts) - before
        return piece

    def _gateway_spans(self, entry: Entry) -> Iterator[Span]:
        for frame in entry.frames():
            try:
                yield span_of_call(self._calls.decode(frame))
            except (msgspec.DecodeError, *_SPAN_ERRORS) as error:
                log.error("a gateway record of entry %d cannot be read: %s", entry.seq, error)

    def _sent_spans(self, entry: Entry, rules: Mapping[str, ProjectRules]) -> Iterator[Span]:
        origin = self._origins.decode(entry.meta)
        ours = rules.get(origin.project_id, ProjectRules())
        for frame in entry.frames():
            try:
                for raw in read_spans(frame, json=origin.json):
                    if isinstance(raw, Refused):
                        continue  # told to the sender, and not counted as accepted
                    span = self._map(raw, origin, ours, entry.seq)
                    if span is not None:
                        yield span
            except MalformedOtlp as error:
                log.error("a body of entry %d cannot be read: %s", entry.seq, error.message)

    def _map(self, raw: RawSpan, origin: Origin, rules: ProjectRules, seq: int) -> Span | None:
        try:
            span = self._mapper.span(raw, origin, rules)
        except _SPAN_ERRORS as error:
            log.error("span %s of entry %d cannot be read: %s: %s", raw.span_id, seq, type(error).__name__, error)
            return None
        if span.cost_nano is None and span.usage is not None and span.model and self._price is not None:
            cost = self._price(span.project_id, span.provider, span.model, span.usage, span.start_ns)
            if cost is not None:
                return msgspec.structs.replace(span, cost_nano=cost, cost_source="priced")
        return span

    def _read_scores(self, entry: Entry, piece: _Piece, rules: Mapping[str, ProjectRules]) -> int:
        count = 0
        for frame in entry.frames():
            try:
                scores = self._score_list.decode(frame)
            except msgspec.DecodeError as error:
                log.error("scores of entry %d cannot be read: %s", entry.seq, error)
                continue
            for score in scores:
                if not is_valid_time(score.time_ns):
                    log.error("score %s of entry %d is of no possible time", score.id, entry.seq)
                    continue
                count += 1
                ours = rules.get(score.project_id)
                piece.scores.append(masker_of(ours.masks).score(score) if ours is not None and ours.masks else score)
        return count

    def _read_logs(self, entry: Entry, piece: _Piece, rules: Mapping[str, ProjectRules]) -> int:
        origin = self._origins.decode(entry.meta)
        ours = rules.get(origin.project_id, ProjectRules())
        count = 0
        for frame in entry.frames():
            try:
                records = [self._mapper.log(_dated(one, entry.at), ours) for one in read_logs(frame, json=origin.json)]
            except MalformedOtlp as error:
                log.error("a body of entry %d cannot be read: %s", entry.seq, error.message)
                continue
            piece.logs.setdefault(origin.project_id, []).extend(records)
            count += len(records)
        return count

    async def _with_their_logs(self, piece: _Piece, rules: Mapping[str, ProjectRules]) -> list[Draft]:
        """The piece's spans, and stored ones that log records came for, each with all of its log records."""
        traces: dict[str, set[str]] = defaultdict(set)
        wanted: dict[str, set[_Key]] = defaultdict(set)
        for draft in piece.drafts:
            if self._with_logs and draft.project_id in self._with_logs and draft.seen.source != "gateway":
                traces[draft.project_id].add(draft.seen.trace_id)
        for project_id, records in piece.logs.items():
            for record in records:
                traces[project_id].add(record.trace_id)
                wanted[project_id].add((record.trace_id, record.span_id))
        drafts = {(draft.project_id, draft.seen.trace_id, draft.seen.span_id): draft for draft in piece.drafts}
        for project_id, ids in traces.items():
            ours = rules.get(project_id, ProjectRules())
            kept = await self._writer.logs(project_id, sorted(ids))
            missing = [key for key in wanted[project_id] if (project_id, *key) not in drafts]
            rows = await self._writer.stored_rows(project_id, missing) if missing else []
            rows += [
                {**draft.row, "start_ns": draft.start_ns}
                for key, draft in drafts.items()
                if key[0] == project_id and key[1:] in kept
            ]
            for row in rows:
                told = kept.get((row["trace_id"], row["span_id"]))
                # Where contents are not kept, a row is less than what was sent: mapped again it would lose the rest.
                if told and row.get("captured", CaptureMode.FULL) == CaptureMode.FULL:
                    raw, origin = _raw_of(row, told)
                    span = self._map(raw, msgspec.structs.replace(origin, project_id=project_id), ours, 0)
                    if span is not None:
                        drafts[project_id, span.trace_id, span.span_id] = draft_of(span, ours.retention_days)
        return list(drafts.values())


async def _next(pieces: asyncio.Queue[_Piece | None], reading: asyncio.Task[None]) -> _Piece | None:
    """The next piece, or None when there is no more. Raises what reading raised."""
    getting = asyncio.create_task(pieces.get())
    await asyncio.wait((getting, reading), return_when=asyncio.FIRST_COMPLETED)
    if not getting.done() and pieces.empty():
        getting.cancel()
        await reading
    return await getting


def _raw_of(row: Mapping[str, Any], logs: Sequence[Mapping[str, Any]]) -> tuple[RawSpan, Origin]:
    """A span as it came, from its row, with log records as events of it."""
    attributes = _object(row.get("attributes"))
    for source, column in (("input_from", "input"), ("output_from", "output")):
        if name := row.get(source):
            attributes[str(name)] = row.get(column)
    events = [SpanEvent(**event) for event in _list(row.get("events"))]
    events += [event for event in (SpanEvent(**one) for one in logs) if event not in events]
    start_ns = _number(row["start_ns"])
    raw = RawSpan(
        Sender(
            resource=_object(row.get("resource")),
            scope_name=_text(row.get("scope_name")),
            scope_version=_text(row.get("scope_version")),
            scope_attributes=_object(row.get("scope_attributes")),
        ),
        _text(row["trace_id"]),
        _text(row["span_id"]),
        _text(row.get("parent_span_id")),
        _text(row.get("name")),
        _number(row.get("otel_kind", 0)),
        start_ns,
        start_ns + _number(row.get("duration_ns", 0)),
        {"error": 2, "ok": 1}.get(_text(row.get("status")), 0),
        _text(row.get("status_message")),
        _number(row.get("flags", 0)),
        _text(row.get("trace_state")),
        attributes,
        events,
        [SpanLink(**link) for link in _list(row.get("links"))],
    )
    origin = Origin(project_id="", environment=_text(row.get("environment")), api_key_id=_text(row.get("api_key_id")))
    return raw, origin


def _dated(record: RawLog, at: float) -> RawLog:
    """A log record that says no possible time is of when it came."""
    if is_valid_time(record.event.time_ns):
        return record
    event = msgspec.structs.replace(record.event, time_ns=int(at * 1e9))
    return RawLog(record.trace_id, record.span_id, event)


def _object(value: Any) -> dict[str, Any]:
    told = msgspec.json.decode(value) if isinstance(value, str) and value else value
    return dict(told) if isinstance(told, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    told = msgspec.json.decode(value) if isinstance(value, str) and value else value
    return told if isinstance(told, list) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _pieces(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries in groups that are decoded and inserted together."""
    piece: list[Entry] = []
    size = 0
    for entry in entries:
        if piece and size + len(entry.data) > _PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(entry)
        size += len(entry.data)
    if piece:
        yield piece
