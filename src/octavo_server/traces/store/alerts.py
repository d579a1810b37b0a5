"""Channels, alert rules, alerts and their deliveries, in the control store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Row

from octavo_server.core.errors import NotFound
from octavo_server.stores.control import Json, UtcDateTime, metadata
from octavo_server.traces.model import Alert, AlertRule, Channel, Delivery

channels = Table(
    "channels",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("addresses", Json, nullable=False),
    Column("sealed", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_channels_project", channels.c.project_id, channels.c.name)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("measure", Text, nullable=False),
    Column("filter", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("window_minutes", Integer, nullable=False),
    Column("direction", Text, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("channel_ids", Json, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_alert_rules_project", alert_rules.c.project_id, alert_rules.c.name)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("value", Float),
    Column("threshold", Float, nullable=False),
    Column("calm", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("resolved_at", UtcDateTime),
)
Index("ix_alerts_project", alerts.c.project_id, alerts.c.started_at)
Index("ix_alerts_rule", alerts.c.rule_id, alerts.c.state)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("alert_id", Text, nullable=False),
    Column("channel_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
Index("ix_deliveries_due", deliveries.c.state, deliveries.c.due_at)
Index("ix_deliveries_alert", deliveries.c.alert_id)

T = TypeVar("T", Channel, AlertRule, Alert, Delivery)
_TABLES = {Channel: channels, AlertRule: alert_rules, Alert: alerts, Delivery: deliveries}
_NAMES = {Channel: "channel", AlertRule: "alert rule", Alert: "alert", Delivery: "delivery"}
_LISTS = ("addresses", "channel_ids")


def get(sql: Connection, kind: type[T], project_id: str, row_id: str) -> T:
    """One of the project's. Raises NotFound."""
    table = _TABLES[kind]
    row = sql.execute(select(table).where(table.c.project_id == project_id, table.c.id == row_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no {_NAMES[kind]} {row_id[:80]!r} in this project.")
    return _read(kind, row)


def add(sql: Connection, value: T) -> None:
    sql.execute(insert(_TABLES[type(value)]).values(_values(value)))


def put(sql: Connection, value: T) -> None:
    """Writes what is there already anew."""
    table = _TABLES[type(value)]
    sql.execute(update(table).where(table.c.id == value.id).values(_values(value)))


def drop(sql: Connection, value: T) -> None:
    table = _TABLES[type(value)]
    sql.execute(delete(table).where(table.c.id == value.id))


def list_channels(sql: Connection, project_id: str) -> list[Channel]:
    """The project's channels by name."""
    query = select(channels).where(channels.c.project_id == project_id).order_by(channels.c.name, channels.c.id)
    return [_read(Channel, row) for row in sql.execute(query)]


def list_rules(sql: Connection, project_id: str = "") -> list[AlertRule]:
    """The rules of a project by name, or those of all projects that are enabled."""
    query = select(alert_rules).order_by(alert_rules.c.name, alert_rules.c.id)
    if project_id:
        query = query.where(alert_rules.c.project_id == project_id)
    else:
        query = query.where(alert_rules.c.enabled.is_(True))
    return [_read(AlertRule, row) for row in sql.execute(query)]


def list_alerts(sql: Connection, project_id: str, *, state: str, limit: int, skip: int) -> list[Alert]:
    """Alerts, the newest first."""
    query = select(alerts).where(alerts.c.project_id == project_id)
    if state:
        query = query.where(alerts.c.state == state)
    query = query.order_by(alerts.c.started_at.desc(), alerts.c.id.desc()).limit(limit).offset(skip)
    return [_read(Alert, row) for row in sql.execute(query)]


def firing(sql: Connection, rule_id: str) -> Alert | None:
    """The alert of a rule that is not resolved."""
    row = sql.execute(select(alerts).where(alerts.c.rule_id == rule_id, alerts.c.state == "firing")).first()
    return None if row is None else _read(Alert, row)


def deliveries_of(sql: Connection, alert_ids: Sequence[str]) -> list[Delivery]:
    """All tellings of some alerts, the oldest first."""
    query = select(deliveries).where(deliveries.c.alert_id.in_(alert_ids)).order_by(deliveries.c.due_at)
    return [_read(Delivery, row) for row in sql.execute(query)]


def due(sql: Connection, now: datetime, *, limit: int) -> list[Delivery]:
    """What is to be told now, the oldest first."""
    query = select(deliveries).where(deliveries.c.state == "pending", deliveries.c.due_at <= now)
    return [_read(Delivery, row) for row in sql.execute(query.order_by(deliveries.c.due_at).limit(limit))]


def _read(kind: type[T], row: Row[Any]) -> T:
    values = row._asdict()
    for name in _LISTS:
        if name in values:
            values[name] = tuple(values[name])
    if values.get("sealed") is not None:
        values["sealed"] = bytes(values["sealed"])
    return kind(**values)


def _values(value: Any) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(value, name) for name in value.__struct_fields__}
    for name in _LISTS:
        if name in values:
            values[name] = list(values[name])
    return values
