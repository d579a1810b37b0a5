"""The verbs of cost control: connections to providers, routes of models, prices. Every change is one transaction
with its event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from octavo_server.core.clock import Clock
from octavo_server.core.ids import new_id
from octavo_server.costs import store
from octavo_server.costs.model import Connection, PriceRule, Prober, ProviderKind, Route, specificity
from octavo_server.costs.runtime import ShippedTable
from octavo_server.costs.service.addresses import Addresses, Resolve, resolve_host
from octavo_server.costs.service.connections import Connections, Sealer
from octavo_server.costs.service.pricer import CurrentPrices, by_their_project
from octavo_server.costs.service.prices import Prices
from octavo_server.costs.service.routes import Routes
from octavo_server.stores.control import ControlStore


class SnapshotParts(NamedTuple):
    """This room's share of the gateway's snapshot, under the same names."""

    connections: Mapping[str, Connection]  # by id, secrets in clear
    routes: Mapping[str, tuple[Route, ...]]  # by project id, most specific first
    price_rules: Mapping[str, tuple[PriceRule, ...]]  # by project id, the latest in force first


class Costs:
    """The room's service, one part for each noun: `connections`, `routes`, `prices`."""

    def __init__(
        self,
        control: ControlStore,
        *,
        secrets: Sealer,
        clock: Clock,
        providers: Sequence[ProviderKind],
        prober: Prober,
        private_allowed: bool,
        table: ShippedTable | None = None,
        local_url: str = "",
        resolve: Resolve = resolve_host,
        make_id: Callable[[str], str] = new_id,
    ) -> None:
        """`private_allowed` is the setting `upstream_private`; `providers` the catalogue, in its order; `local_url`
        where this server's own model answers."""
        catalogue = {provider.kind: provider for provider in providers}
        table = table or ShippedTable()
        addresses = Addresses(private_allowed=private_allowed, resolve=resolve)
        self._control = control
        self._table = table
        self.connections = Connections(
            control,
            secrets=secrets,
            clock=clock,
            catalogue=catalogue,
            prober=prober,
            addresses=addresses,
            table=table,
            local_url=local_url,
            make_id=make_id,
        )
        self.routes = Routes(control, clock=clock, make_id=make_id)
        self.prices = Prices(control, clock=clock, make_id=make_id, catalogue=catalogue, table=table)

    def snapshot_parts(self) -> SnapshotParts:
        """Connections, routes and price rules of all projects, as one state of the store."""
        with self._control.read() as sql:
            connections = store.list_connections(sql)
            routes = store.list_routes(sql)
            rules = store.list_price_rules(sql)
        by_project: dict[str, list[Route]] = {}
        for stored in routes:
            by_project.setdefault(stored.route.project_id, []).append(stored.route)
        return SnapshotParts(
            connections={one.id: self.connections.opened(one) for one in connections},
            routes={
                project: tuple(sorted(ours, key=lambda route: (specificity(route.pattern), route.id), reverse=True))
                for project, ours in by_project.items()
            },
            price_rules=by_their_project(rules),
        )


__all__ = ["Costs", "CurrentPrices", "Sealer", "SnapshotParts"]
