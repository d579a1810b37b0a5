"""Routes: which connections serve which models, in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid
from octavo_server.costs import store
from octavo_server.costs.model import Route, Target, Timeouts
from octavo_server.costs.store import StoredConnection, StoredRoute
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.stores.control import ControlStore

STRATEGIES = ("fallback", "weighted")
_MOST_TARGETS = 10
_MOST_RETRIES = 10
_LONGEST_PATTERN = 200
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSpec:
    """What a caller says of a route. On a change, None keeps what there is."""

    pattern: str | None = None
    targets: Sequence[Target] | None = None
    strategy: str | None = None
    retries: int | None = None
    timeouts: Timeouts | None = None


class Routes:
    """The verbs on routes of one control store."""

    def __init__(self, control: ControlStore, *, clock: Clock, make_id: Callable[[str], str]) -> None:
        self._control = control
        self._clock = clock
        self._make_id = make_id

    def list(self, by: Principal) -> list[StoredRoute]:
        """The project's routes, by pattern."""
        with self._control.read() as sql:
            return store.list_routes(sql, by.project)

    def create(self, by: Principal, spec: RouteSpec) -> StoredRoute:
        """A new route. Raises Invalid, or Conflict when the pattern has one."""
        now = self._clock.now()
        blank = Route(id=self._make_id("rte"), project_id=by.project, pattern="", targets=())
        route = _changed(blank, replace(spec, pattern=spec.pattern or "", targets=spec.targets or ()))
        made = StoredRoute(route=route, created_at=now, updated_at=now)
        with self._control.transaction() as transaction:
            _check_targets(route, store.list_connections(transaction.connection, by.project))
            store.insert_route(transaction.connection, made)
            transaction.record(event_of(by, "route.created", route.id, now, before=None, after=view_of(route)))
        return made

    def update(self, by: Principal, route_id: str, spec: RouteSpec) -> StoredRoute:
        """Changes what `spec` names. Raises NotFound, Invalid, or Conflict when the pattern has another route."""
        now = self._clock.now()
        with self._control.transaction() as transaction:
            before = store.get_route(transaction.connection, by.project, route_id)
            route = _changed(before.route, spec)
            after = replace(before, route=route, updated_at=now)
            _check_targets(route, store.list_connections(transaction.connection, by.project))
            store.update_route(transaction.connection, after)
            transaction.record(
                event_of(by, "route.updated", route.id, now, before=view_of(before.route), after=view_of(route))
            )
        return after

    def delete(self, by: Principal, route_id: str) -> None:
        """Raises NotFound."""
        with self._control.transaction() as transaction:
            before = store.get_route(transaction.connection, by.project, route_id)
            store.delete_route(transaction.connection, route_id)
            transaction.record(
                event_of(by, "route.deleted", route_id, self._clock.now(), before=view_of(before.route), after=None)
            )


def view_of(route: Route) -> dict[str, JSON]:
    """A route as JSON."""
    return {
        "id": route.id,
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
    }


def _changed(before: Route, spec: RouteSpec) -> Route:
    route = before
    if spec.pattern is not None:
        if not 0 < len(spec.pattern) <= _LONGEST_PATTERN or not spec.pattern.isprintable():
            raise Invalid(
                f"{spec.pattern[:80]!r} is no model name or glob of 1 to {_LONGEST_PATTERN} characters.",
                param="pattern",
            )
        route = replace(route, pattern=spec.pattern)
    if spec.targets is not None:
        if not 0 < len(spec.targets) <= _MOST_TARGETS:
            raise Invalid(f"A route has 1 to {_MOST_TARGETS} targets; {len(spec.targets)} were given.", param="targets")
        for target in spec.targets:
            if not 0 <= target.weight <= 1_000_000 or len(target.model) > _LONGEST_PATTERN:
                raise Invalid("A target's weight is 0 to 1000000 and its model a name.", param="targets")
        route = replace(route, targets=tuple(spec.targets))
    if spec.strategy is not None:
        if spec.strategy not in STRATEGIES:
            raise Invalid(
                f"Unknown strategy {spec.strategy[:80]!r}; expected {' or '.join(STRATEGIES)}.", param="strategy"
            )
        route = replace(route, strategy=spec.strategy)
    if spec.retries is not None:
        if not 0 <= spec.retries <= _MOST_RETRIES:
            raise Invalid(f"{spec.retries} retries; expected 0 to {_MOST_RETRIES}.", param="retries")
        route = replace(route, retries=spec.retries)
    if spec.timeouts is not None:
        waits = (spec.timeouts.connect_s, spec.timeouts.first_byte_s, spec.timeouts.total_s)
        if not all(0 < wait <= _LONGEST_WAIT_S for wait in waits):
            raise Invalid(f"A timeout is more than 0 and at most {_LONGEST_WAIT_S:g} seconds.", param="timeouts")
        route = replace(route, timeouts=spec.timeouts)
    if route.strategy == "weighted" and not any(target.weight for target in route.targets):
        raise Invalid("A weighted route needs a target whose weight is not 0.", param="targets")
    return route


def _check_targets(route: Route, connections: Iterable[StoredConnection]) -> None:
    known = {connection.id for connection in connections}
    for target in route.targets:
        if target.connection_id not in known:
            raise Invalid(
                f"The target {target.connection_id[:80]!r} is no connection of this project; see GET /connections.",
                param="targets",
            )
