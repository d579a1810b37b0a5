"""Scores: taken into the spool when they come, stored by the worker, read back; their configs; comments."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import orjson

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid, NotFound
from octavo_server.core.ids import new_id
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.stores.control import ControlStore
from octavo_server.stores.spool import Spool
from octavo_server.traces.model import Comment, Score, ScoreConfig
from octavo_server.traces.scoring import check_config, check_score, read_value, type_of
from octavo_server.traces.service.ingest import SCORES_KIND
from octavo_server.traces.service.reading import Rows, interval_seconds, known_names, page_of, position_of
from octavo_server.traces.store import feedback
from octavo_server.traces.store.scores import SCORE_DIMENSIONS, SCORE_MEASURES, ScoreScope, ScoreStore

_LONGEST_COMMENT = 10_000
_MOST_CATEGORIES = 200


class Scores:
    """The verbs about scores. Every verb is about one project."""

    def __init__(self, control: ControlStore, spool: Spool, store: ScoreStore, clock: Clock) -> None:
        self._control = control
        self._spool = spool
        self._store = store
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode

    def read(self, by: Principal, *, value: Any, data_type: str | None, **fields: Any) -> Score:
        """A score as a caller gives it: `fields` are those of Score. Raises Invalid, also when its config does not
        exist or does not allow it. Blocks."""
        project = by.project
        config_id = fields.get("config_id") or ""
        config = None
        if config_id:
            try:
                with self._control.read() as sql:
                    config = feedback.get_config(sql, project, config_id)
            except NotFound as error:
                raise Invalid(error.message, param="config_id") from None
        kind = type_of(value, data_type, config)
        number, text = read_value(value, kind, config)
        now_ns = self._clock.now_ns()
        given = {name: one for name, one in fields.items() if one is not None and one != ""}
        score = Score(
            **{
                "id": new_id("scr"),
                "name": "",
                "environment": by.environment or "default",
                "time_ns": now_ns,
                "author": by.id if by.kind == "user" else "",
                "source": "ANNOTATION" if by.kind == "user" else "API",
                **given,
                "project_id": project,
                "data_type": kind,
                "value": number,
                "string_value": text,
                "written_ns": now_ns,
            }
        )
        return check_score(score, config)

    async def write(self, scores: Sequence[Score]) -> None:
        """Keeps scores; when it returns they are safe. Raises SpoolFull."""
        if scores:
            await self._spool.append(SCORES_KIND, self._encode(scores), count=len(scores))

    async def delete(self, by: Principal, score_id: str) -> Score:
        """Takes a score out. Raises NotFound."""
        project = by.project
        rows = await self._store.find(project, ScoreScope(ids=[score_id]), limit=1)
        if not rows:
            raise NotFound(f"There is no score {score_id[:80]!r} in this project.")
        row = rows[0]
        now_ns = self._clock.now_ns()
        gone = Score(
            project_id=project,
            id=row["id"],
            name=row["name"],
            data_type=row["data_type"],
            trace_id=row["trace_id"],
            time_ns=now_ns,
            written_ns=max(now_ns, row["written"] + 1),
            deleted=True,
        )
        await self.write([gone])
        await asyncio.to_thread(self._note_deleted, by, row)
        return gone

    def _note_deleted(self, by: Principal, row: Mapping[str, Any]) -> None:
        view: dict[str, JSON] = {name: row[name] for name in ("id", "name", "trace_id", "session_id", "string_value")}
        with self._control.transaction() as tx:
            tx.record(
                event_of(
                    by,
                    "score.deleted",
                    row["id"],
                    self._clock.now(),
                    before={**view, "value": row["value"]},
                    after=None,
                )
            )

    async def find(self, project_id: str, scope: ScoreScope, *, limit: int, cursor: str = "") -> Rows:
        """Scores, the newest first."""
        rows = await self._store.find(project_id, scope, limit=limit + 1, before=position_of(cursor))
        return page_of(rows, limit, "time", "id")

    async def corrections(self, project_id: str, trace_id: str) -> dict[str, str]:
        """What people wrote that the output should have been: by span, "" for the trace, the newest of each."""
        scope = ScoreScope(trace_ids=(trace_id,), data_types=("CORRECTION",))
        rows = await self._store.find(project_id, scope, limit=1000, before=None)
        return {row["span_id"]: row["string_value"] for row in reversed(rows)}

    async def means(self, project_id: str, trace_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """The mean of each score that is a number, by trace and name."""
        return await self._store.means(project_id, trace_ids) if trace_ids else {}

    async def page(
        self, project_id: str, scope: ScoreScope, *, page: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """A numbered page, from 1 on, and how many scores there are in all."""
        rows, count = await asyncio.gather(
            self._store.find(project_id, scope, limit=limit, skip=(page - 1) * limit),
            self._store.count(project_id, scope),
        )
        return rows, count

    async def metrics(
        self,
        project_id: str,
        scope: ScoreScope,
        *,
        measures: Sequence[str],
        dimensions: Sequence[str],
        interval: str,
        limit: int = 10_000,
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Rows of measures by time bucket and dimensions, and the bucket's seconds."""
        known_names("measure", measures, SCORE_MEASURES)
        known_names("dimension", dimensions, SCORE_DIMENSIONS)
        step = interval_seconds(interval, scope.start, scope.end, self._clock.now())
        rows = await self._store.metrics(
            project_id, scope, measures=measures, dimensions=dimensions, interval_s=step, limit=limit
        )
        return rows, step

    def configs(self, project_id: str) -> list[ScoreConfig]:
        """The project's configs, the newest first. Blocks, as the verbs below do."""
        with self._control.read() as sql:
            return feedback.list_configs(sql, project_id)

    def config(self, project_id: str, config_id: str) -> ScoreConfig:
        """Raises NotFound."""
        with self._control.read() as sql:
            return feedback.get_config(sql, project_id, config_id)

    def create_config(
        self,
        by: Principal,
        *,
        name: str,
        data_type: str,
        min_value: float | None = None,
        max_value: float | None = None,
        categories: Sequence[tuple[str, float]] = (),
        description: str = "",
    ) -> ScoreConfig:
        """Makes a config. Raises Invalid."""
        if len(categories) > _MOST_CATEGORIES:
            raise Invalid(
                f"There are {len(categories)} categories; expected at most {_MOST_CATEGORIES}.", param="categories"
            )
        if data_type == "BOOLEAN" and not categories:
            categories = (("True", 1.0), ("False", 0.0))
        now = self._clock.now()
        config = check_config(
            ScoreConfig(
                id=new_id("scf"),
                project_id=by.project,
                name=name,
                data_type=data_type,
                min_value=min_value,
                max_value=max_value,
                categories=tuple(categories),
                description=description,
                created_at=now,
                updated_at=now,
            )
        )
        with self._control.transaction() as tx:
            feedback.insert_config(tx.connection, config)
            tx.record(event_of(by, "score_config.created", config.id, now, before=None, after=_view(config)))
        return config

    def change_config(self, by: Principal, config_id: str, changes: Mapping[str, Any]) -> ScoreConfig:
        """Changes what is given of a config; its type stays. Raises NotFound, Invalid."""
        now = self._clock.now()
        with self._control.transaction() as tx:
            before = feedback.get_config(tx.connection, by.project, config_id)
            after = check_config(msgspec.structs.replace(before, **{**changes, "updated_at": now}))
            feedback.update_config(tx.connection, after)
            tx.record(event_of(by, "score_config.changed", config_id, now, before=_view(before), after=_view(after)))
        return after

    def comments(self, project_id: str, trace_id: str, span_id: str = "") -> list[Comment]:
        """What is said about a trace, or about one span of it, the oldest first."""
        with self._control.read() as sql:
            found = feedback.list_comments(sql, project_id, trace_id)
        return [one for one in found if not span_id or one.span_id == span_id]

    def read_comment(self, project_id: str, comment_id: str) -> Comment:
        """Raises NotFound."""
        with self._control.read() as sql:
            return feedback.get_comment(sql, project_id, comment_id)

    def comment(self, by: Principal, *, trace_id: str, span_id: str, text: str) -> Comment:
        """Says something about a trace or a span. Raises Invalid."""
        if not text.strip() or len(text) > _LONGEST_COMMENT:
            raise Invalid(f"The comment has {len(text)} characters; expected 1 to {_LONGEST_COMMENT}.", param="text")
        now = self._clock.now()
        said = Comment(
            id=new_id("cmt"),
            project_id=by.project,
            trace_id=trace_id,
            span_id=span_id,
            text=text,
            author=by.id,
            author_name=by.name,
            created_at=now,
        )
        with self._control.transaction() as tx:
            feedback.insert_comment(tx.connection, said)
            tx.record(event_of(by, "comment.created", said.id, now, before=None, after=_comment_view(said)))
        return said

    def delete_comment(self, by: Principal, comment_id: str) -> None:
        """Takes a comment back. Raises NotFound."""
        with self._control.transaction() as tx:
            said = feedback.get_comment(tx.connection, by.project, comment_id)
            feedback.delete_comment(tx.connection, comment_id)
            tx.record(
                event_of(by, "comment.deleted", comment_id, self._clock.now(), before=_comment_view(said), after=None)
            )


def score_rows(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Scores that are not stored yet, as the store would give them back."""
    return [
        {
            **{name: getattr(score, name) for name in Score.__struct_fields__},
            "time": iso_of(score.time_ns),
            "written": score.written_ns,
            "metadata": "" if score.metadata is None else orjson.dumps(score.metadata).decode(),
        }
        for score in scores
    ]


def iso_of(time_ns: int) -> str:
    """A time as the telemetry store writes it."""
    seconds, nanos = divmod(time_ns, 10**9)
    return f"{datetime.utcfromtimestamp(seconds).isoformat()}.{nanos:09d}Z"


def _view(config: ScoreConfig) -> dict[str, JSON]:
    return {
        "name": config.name,
        "data_type": config.data_type,
        "min_value": config.min_value,
        "max_value": config.max_value,
        "categories": [{"label": label, "value": number} for label, number in config.categories],
        "description": config.description,
        "is_archived": config.is_archived,
    }


def _comment_view(comment: Comment) -> dict[str, JSON]:
    return {"trace_id": comment.trace_id, "span_id": comment.span_id, "text": comment.text, "author": comment.author}
