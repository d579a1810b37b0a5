"""Score configs, comments and saved views, in the control store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Connection, Float, Index, Table, Text, delete, insert, select, update
from sqlalchemy.engine import Row

from octavo_server.core.errors import NotFound
from octavo_server.stores.control import Json, UtcDateTime, metadata
from octavo_server.traces.model import Comment, SavedView, ScoreConfig

score_configs = Table(
    "score_configs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("data_type", Text, nullable=False),
    Column("min_value", Float),
    Column("max_value", Float),
    Column("categories", Json, nullable=False),
    Column("description", Text, nullable=False),
    Column("is_archived", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_score_configs_project", score_configs.c.project_id, score_configs.c.created_at)

comments = Table(
    "comments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("span_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
Index("ix_comments_trace", comments.c.project_id, comments.c.trace_id)


saved_views = Table(
    "saved_views",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("page", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_saved_views_project", saved_views.c.project_id, saved_views.c.page, saved_views.c.name)


def list_configs(sql: Connection, project_id: str) -> list[ScoreConfig]:
    """The project's configs, the newest first."""
    query = select(score_configs).where(score_configs.c.project_id == project_id)
    return [_config(row) for row in sql.execute(query.order_by(score_configs.c.created_at.desc(), score_configs.c.id))]


def get_config(sql: Connection, project_id: str, config_id: str) -> ScoreConfig:
    """Raises NotFound."""
    query = select(score_configs).where(score_configs.c.project_id == project_id, score_configs.c.id == config_id)
    row = sql.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no score config {config_id[:80]!r} in this project.")
    return _config(row)


def insert_config(sql: Connection, config: ScoreConfig) -> None:
    sql.execute(insert(score_configs).values(_config_values(config)))


def update_config(sql: Connection, config: ScoreConfig) -> None:
    sql.execute(update(score_configs).where(score_configs.c.id == config.id).values(_config_values(config)))


def list_comments(sql: Connection, project_id: str, trace_id: str) -> list[Comment]:
    """What is said about a trace and its spans, the oldest first."""
    query = select(comments).where(comments.c.project_id == project_id)
    if trace_id:
        query = query.where(comments.c.trace_id == trace_id)
    return [_comment(row) for row in sql.execute(query.order_by(comments.c.created_at, comments.c.id).limit(1000))]


def get_comment(sql: Connection, project_id: str, comment_id: str) -> Comment:
    """Raises NotFound."""
    query = select(comments).where(comments.c.project_id == project_id, comments.c.id == comment_id)
    row = sql.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no comment {comment_id[:80]!r} in this project.")
    return _comment(row)


def insert_comment(sql: Connection, comment: Comment) -> None:
    sql.execute(insert(comments).values({name: getattr(comment, name) for name in Comment.__struct_fields__}))


def delete_comment(sql: Connection, comment_id: str) -> None:
    sql.execute(delete(comments).where(comments.c.id == comment_id))


def list_views(sql: Connection, project_id: str, page: str) -> list[SavedView]:
    """The views of a page, or of all pages, by name."""
    query = select(saved_views).where(saved_views.c.project_id == project_id)
    if page:
        query = query.where(saved_views.c.page == page)
    return [SavedView(**row._asdict()) for row in sql.execute(query.order_by(saved_views.c.name, saved_views.c.id))]


def get_view(sql: Connection, project_id: str, view_id: str) -> SavedView:
    """Raises NotFound."""
    query = select(saved_views).where(saved_views.c.project_id == project_id, saved_views.c.id == view_id)
    row = sql.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no saved view {view_id[:80]!r} in this project.")
    return SavedView(**row._asdict())


def insert_view(sql: Connection, view: SavedView) -> None:
    sql.execute(insert(saved_views).values({name: getattr(view, name) for name in SavedView.__struct_fields__}))


def update_view(sql: Connection, view: SavedView) -> None:
    values = {name: getattr(view, name) for name in SavedView.__struct_fields__}
    sql.execute(update(saved_views).where(saved_views.c.id == view.id).values(values))


def delete_view(sql: Connection, view_id: str) -> None:
    sql.execute(delete(saved_views).where(saved_views.c.id == view_id))


def _config(row: Row[Any]) -> ScoreConfig:
    values = row._asdict()
    return ScoreConfig(**{**values, "categories": tuple((label, number) for label, number in values["categories"])})


def _config_values(config: ScoreConfig) -> dict[str, Any]:
    values = {name: getattr(config, name) for name in ScoreConfig.__struct_fields__}
    return {**values, "categories": [list(category) for category in config.categories]}


def _comment(row: Row[Any]) -> Comment:
    return Comment(**row._asdict())
