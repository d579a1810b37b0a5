"""Tables of connections, routes and price rules, and their queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from octavo_server.core.digest import JSON
from octavo_server.core.errors import Conflict, NotFound
from octavo_server.costs.model import PriceRule, Rates, Route, Target, Tier, Timeouts
from octavo_server.stores.control import Json, UtcDateTime, metadata

connections = Table(
    "connections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("sealed", LargeBinary),  # encrypted JSON: the secret and the options that are secrets
    Column("has_secret", Boolean, nullable=False),
    Column("secret_version", Integer, nullable=False),  # counts the changes of what is sealed
    Column("secret_last4", Text, nullable=False),
    Column("secret_options", Json, nullable=False),  # names only
    Column("options", Json, nullable=False),
    Column("models", Json, nullable=False),
    Column("known_models", Json, nullable=False),
    Column("prices_as", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("project_id", "name", name="uq_connections_name"),
)
Index(
    "uq_connections_default",
    connections.c.project_id,
    unique=True,
    sqlite_where=connections.c.is_default == true(),
    postgresql_where=connections.c.is_default == true(),
)

model_routes = Table(
    "model_routes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("targets", Json, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("timeouts", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("project_id", "pattern", name="uq_model_routes_pattern"),
)

price_rules = Table(
    "price_rules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False, index=True),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("rates", Json, nullable=False),
    Column("effective_from", UtcDateTime, nullable=False),
    Column("effective_to", UtcDateTime),
    Column("batch", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConnection:
    """A connection as it is kept: what is secret is sealed."""

    id: str
    project_id: str
    name: str
    provider: str
    base_url: str
    sealed: bytes | None
    has_secret: bool
    secret_version: int
    secret_last4: str
    secret_options: tuple[str, ...]
    options: dict[str, JSON]
    models: tuple[str, ...]
    known_models: tuple[str, ...]
    prices_as: str
    is_default: bool
    created_at: datetime
    updated_at: datetime


def list_connections(sql: Connection, project_id: str | None = None) -> list[StoredConnection]:
    """The connections of a project, or of all, by name."""
    query = select(connections).order_by(connections.c.name, connections.c.id)
    if project_id is not None:
        query = query.where(connections.c.project_id == project_id)
    return [_connection(row) for row in sql.execute(query)]


def get_connection(sql: Connection, project_id: str, connection_id: str) -> StoredConnection:
    """Raises NotFound, also for what cannot be an id: PostgreSQL takes no NUL, SQLite no lone surrogate."""
    query = select(connections).where(connections.c.project_id == project_id, connections.c.id == connection_id)
    row = sql.execute(query).one_or_none() if connection_id.isprintable() else None
    if row is None:
        raise NotFound(f"No connection {connection_id[:80]!r} in this project.")
    return _connection(row)


def default_connection(sql: Connection, project_id: str) -> StoredConnection | None:
    """The project's default connection, if it has one."""
    query = select(connections).where(connections.c.project_id == project_id, connections.c.is_default == true())
    row = sql.execute(query).one_or_none()
    return None if row is None else _connection(row)


def insert_connection(sql: Connection, connection: StoredConnection) -> None:
    """Raises Conflict when the name is taken."""
    try:
        sql.execute(insert(connections).values(_connection_values(connection)))
    except IntegrityError:
        raise _name_taken(connection) from None


def update_connection(sql: Connection, connection: StoredConnection) -> None:
    """Raises Conflict when the name is taken."""
    try:
        sql.execute(update(connections).where(connections.c.id == connection.id).values(_connection_values(connection)))
    except IntegrityError:
        raise _name_taken(connection) from None


def delete_connection(sql: Connection, connection_id: str) -> None:
    sql.execute(delete(connections).where(connections.c.id == connection_id))


def _name_taken(connection: StoredConnection) -> Conflict:
    return Conflict(
        f"A connection named {connection.name!r} exists in this project; choose another name.", param="name"
    )


def _connection(row: Row[Any]) -> StoredConnection:
    return StoredConnection(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        provider=row.provider,
        base_url=row.base_url,
        sealed=None if row.sealed is None else bytes(row.sealed),
        has_secret=row.has_secret,
        secret_version=row.secret_version,
        secret_last4=row.secret_last4,
        secret_options=tuple(row.secret_options),
        options=row.options,
        models=tuple(row.models),
        known_models=tuple(row.known_models),
        prices_as=row.prices_as,
        is_default=row.is_default,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _connection_values(connection: StoredConnection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "project_id": connection.project_id,
        "name": connection.name,
        "provider": connection.provider,
        "base_url": connection.base_url,
        "sealed": connection.sealed,
        "has_secret": connection.has_secret,
        "secret_version": connection.secret_version,
        "secret_last4": connection.secret_last4,
        "secret_options": list(connection.secret_options),
        "options": connection.options,
        "models": list(connection.models),
        "known_models": list(connection.known_models),
        "prices_as": connection.prices_as,
        "is_default": connection.is_default,
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRoute:
    """A route with its times."""

    route: Route
    created_at: datetime
    updated_at: datetime


def list_routes(sql: Connection, project_id: str | None = None) -> list[StoredRoute]:
    """The routes of a project, or of all, by pattern."""
    query = select(model_routes).order_by(model_routes.c.pattern, model_routes.c.id)
    if project_id is not None:
        query = query.where(model_routes.c.project_id == project_id)
    return [_route(row) for row in sql.execute(query)]


def get_route(sql: Connection, project_id: str, route_id: str) -> StoredRoute:
    """Raises NotFound."""
    query = select(model_routes).where(model_routes.c.project_id == project_id, model_routes.c.id == route_id)
    row = sql.execute(query).one_or_none() if route_id.isprintable() else None
    if row is None:
        raise NotFound(f"No route {route_id[:80]!r} in this project.")
    return _route(row)


def insert_route(sql: Connection, stored: StoredRoute) -> None:
    """Raises Conflict when the pattern has a route."""
    try:
        sql.execute(insert(model_routes).values(_route_values(stored)))
    except IntegrityError:
        raise _pattern_taken(stored.route) from None


def update_route(sql: Connection, stored: StoredRoute) -> None:
    """Raises Conflict when the pattern has another route."""
    try:
        sql.execute(update(model_routes).where(model_routes.c.id == stored.route.id).values(_route_values(stored)))
    except IntegrityError:
        raise _pattern_taken(stored.route) from None


def delete_route(sql: Connection, route_id: str) -> None:
    sql.execute(delete(model_routes).where(model_routes.c.id == route_id))


def _pattern_taken(route: Route) -> Conflict:
    return Conflict(f"A route for {route.pattern!r} exists in this project; change that one.", param="pattern")


def _route(row: Row[Any]) -> StoredRoute:
    route = Route(
        id=row.id,
        project_id=row.project_id,
        pattern=row.pattern,
        targets=tuple(Target(**target) for target in row.targets),
        strategy=row.strategy,
        retries=row.retries,
        timeouts=Timeouts(**row.timeouts),
    )
    return StoredRoute(route=route, created_at=row.created_at, updated_at=row.updated_at)


def _route_values(stored: StoredRoute) -> dict[str, Any]:
    route = stored.route
    return {
        "id": route.id,
        "project_id": route.project_id,
        "pattern": route.pattern,
        "targets": [
            {"connection_id": target.connection_id, "model": target.model, "weight": target.weight}
            for target in route.targets
        ],
        "strategy": route.strategy,
        "retries": route.retries,
        "timeouts": {
            "connect_s": route.timeouts.connect_s,
            "first_byte_s": route.timeouts.first_byte_s,
            "total_s": route.timeouts.total_s,
        },
        "created_at": stored.created_at,
        "updated_at": stored.updated_at,
    }


def list_price_rules(sql: Connection, project_id: str | None = None) -> list[PriceRule]:
    """The price rules of a project, or of all, the latest in force first."""
    query = select(price_rules).order_by(price_rules.c.effective_from.desc(), price_rules.c.id.desc())
    if project_id is not None:
        query = query.where(price_rules.c.project_id == project_id)
    return [_price_rule(row) for row in sql.execute(query)]


def get_price_rule(sql: Connection, project_id: str, rule_id: str) -> PriceRule:
    """Raises NotFound."""
    query = select(price_rules).where(price_rules.c.project_id == project_id, price_rules.c.id == rule_id)
    row = sql.execute(query).one_or_none() if rule_id.isprintable() else None
    if row is None:
        raise NotFound(f"No price rule {rule_id[:80]!r} in this project.")
    return _price_rule(row)


def insert_price_rule(sql: Connection, rule: PriceRule, created_at: datetime) -> None:
    sql.execute(
        insert(price_rules).values(
            id=rule.id,
            project_id=rule.project_id,
            provider=rule.provider,
            model=rule.model,
            rates=rates_json(rule.rates),
            effective_from=rule.effective_from,
            effective_to=rule.effective_to,
            batch=rule.batch,
            note=rule.note,
            created_at=created_at,
        )
    )


def delete_price_rule(sql: Connection, rule_id: str) -> None:
    sql.execute(delete(price_rules).where(price_rules.c.id == rule_id))


def _price_rule(row: Row[Any]) -> PriceRule:
    return PriceRule(
        id=row.id,
        project_id=row.project_id,
        provider=row.provider,
        model=row.model,
        rates=_rates(row.rates),
        effective_from=row.effective_from,
        effective_to=row.effective_to,
        batch=row.batch,
        note=row.note,
    )


_BUCKETS = ("input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio")


def rates_json(rates: Rates) -> dict[str, JSON]:
    """Rates as they are kept, in nano-USD."""
    kept: dict[str, JSON] = {bucket: getattr(rates, bucket) for bucket in _BUCKETS}
    kept["request"] = rates.request
    kept["details"] = dict(rates.details)
    kept["tiers"] = [{"above": tier.above, "rates": rates_json(tier.rates)} for tier in rates.tiers]
    return kept


def _rates(kept: Mapping[str, Any]) -> Rates:
    return Rates(
        **{bucket: kept.get(bucket) for bucket in _BUCKETS},
        request=kept.get("request", 0),
        details=kept.get("details", {}),
        tiers=tuple(Tier(above=tier["above"], rates=_rates(tier["rates"])) for tier in _each(kept.get("tiers"))),
    )


def _each(values: Iterable[Any] | None) -> Iterable[Any]:
    return values or ()
