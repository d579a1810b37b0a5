"""Prices: the project's own rules, the shipped table, and what each model of the project costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from octavo_server.core.clock import Clock
from octavo_server.core.digest import JSON
from octavo_server.core.errors import Invalid, NotFound
from octavo_server.costs import store
from octavo_server.costs.model import (
    Connection,
    PriceRule,
    ProviderKind,
    Rates,
    Route,
)
from octavo_server.costs.runtime import PriceBook, Quote, RoutePlan, ShippedTable, callable_models, plan_route
from octavo_server.costs.store import StoredConnection, rates_json
from octavo_server.edge.access import Principal
from octavo_server.edge.changes import event_of
from octavo_server.stores.control import ControlStore

_LONGEST_NAME = 200
_LONGEST_NOTE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRuleSpec:
    """What a caller says of a price rule; it is in force from now unless said otherwise, and for ever."""

    provider: str
    model: str
    rates: Rates
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    batch: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """A line of the shipped table."""

    provider: str
    model: str
    rates: Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class CallableModel:
    """A model that the project can call by this name, where the call goes first, and what it costs there."""

    model: str
    connection: str
    provider: str
    upstream_model: str
    route_id: str
    price: Quote


class Prices:
    """The verbs on prices of one control store."""

    def __init__(
        self,
        control: ControlStore,
        *,
        clock: Clock,
        make_id: Callable[[str], str],
        catalogue: Mapping[str, ProviderKind],
        table: ShippedTable,
    ) -> None:
        self._control = control
        self._clock = clock
        self._make_id = make_id
        self._catalogue = catalogue
        self._table = table

    def list_rules(self, by: Principal) -> list[PriceRule]:
        """The project's own prices, the latest in force first."""
        with self._control.read() as sql:
            return store.list_price_rules(sql, by.project)

    def create_rule(self, by: Principal, spec: PriceRuleSpec) -> PriceRule:
        """A new price of the project's own. Rules may overlap: see `docs/guides/costs.md`. Raises Invalid."""
        now = self._clock.now()
        if len(spec.note) > _LONGEST_NOTE or "\0" in spec.note:
            raise Invalid(f"The note is longer than {_LONGEST_NOTE} characters, or no text.", param="note")
        for name, at in (("effective_from", spec.effective_from), ("effective_to", spec.effective_to)):
            if at is not None and not 2000 <= at.year < 2200:
                raise Invalid(f"{at.isoformat()} is no time of a price; expected the years 2000 to 2199.", param=name)
        rule = PriceRule(
            id=self._make_id("prc"),
            project_id=by.project,
            provider=_name(spec.provider, "provider"),
            model=_name(spec.model, "model"),
            rates=spec.rates,
            effective_from=spec.effective_from or now,
            effective_to=spec.effective_to,
            batch=spec.batch,
            note=spec.note,
        )
        if rule.effective_to is not None and rule.effective_to <= rule.effective_from:
            raise Invalid(
                f"The rule would end ({rule.effective_to.isoformat()}) before it begins "
                f"({rule.effective_from.isoformat()}).",
                param="effective_to",
            )
        with self._control.transaction() as transaction:
            store.insert_price_rule(transaction.connection, rule, now)
            transaction.record(event_of(by, "price_rule.created", rule.id, now, before=None, after=view_of(rule)))
        return rule

    def delete_rule(self, by: Principal, rule_id: str) -> None:
        """Raises NotFound. Calls already priced keep their cost."""
        with self._control.transaction() as transaction:
            before = store.get_price_rule(transaction.connection, by.project, rule_id)
            store.delete_price_rule(transaction.connection, rule_id)
            transaction.record(
                event_of(by, "price_rule.deleted", rule_id, self._clock.now(), before=view_of(before), after=None)
            )

    def search(self, *, provider: str = "", model: str = "", offset: int = 0, limit: int = 100) -> list[ListedPrice]:
        """Lines of the shipped table whose names contain these texts, with their rates of now."""
        now = self._clock.now()
        provider, model = provider.lower(), model.lower()
        found = [price for price in self._table.prices() if provider in price.provider and model in price.model.lower()]
        return [
            ListedPrice(provider=price.provider, model=price.model, rates=price.rates(now))
            for price in found[offset : offset + limit]
        ]

    def models(self, by: Principal) -> list[CallableModel]:
        """What the project can call: the exact names of its routes, of its connections' models and of their last
        tests, and the models of the shipped table that its connections claim."""
        with self._control.read() as sql:
            stored = store.list_connections(sql, by.project)
            routes = [one.route for one in store.list_routes(sql, by.project)]
            rules = store.list_price_rules(sql, by.project)
        connections = [_unopened(one) for one in stored]
        provider_models = {kind.kind: kind.models for kind in self._catalogue.values()}
        book = PriceBook({by.project: rules}, self._table)
        now_ns = self._clock.now_ns()
        listed: list[CallableModel] = []
        for name in callable_models(routes, connections, provider_models=provider_models, book=book):
            plan = _planned(routes, connections, name, provider_models)
            if plan is None:
                continue
            hop = plan.hops[0]
            listed.append(
                CallableModel(
                    model=name,
                    connection=hop.connection.name,
                    provider=hop.connection.provider,
                    upstream_model=hop.model,
                    route_id=plan.route_id,
                    price=book.rates_for(hop.connection, hop.model, now_ns),
                )
            )
        return listed


def view_of(rule: PriceRule) -> dict[str, JSON]:
    """A price rule as JSON, its rates in nano-USD per million."""
    return {
        "id": rule.id,
        "provider": rule.provider,
        "model": rule.model,
        "rates": rates_json(rule.rates),
        "effective_from": rule.effective_from.isoformat(),
        "effective_to": None if rule.effective_to is None else rule.effective_to.isoformat(),
        "batch": rule.batch,
        "note": rule.note,
    }


def _planned(
    routes: list[Route], connections: list[Connection], model: str, provider_models: Mapping[str, tuple[str, ...]]
) -> RoutePlan | None:
    try:
        return plan_route(routes, connections, model, provider_models=provider_models)
    except NotFound:
        return None


def _unopened(stored: StoredConnection) -> Connection:
    """A connection without its secrets, which neither routing nor pricing asks for."""
    return Connection(
        id=stored.id,
        project_id=stored.project_id,
        name=stored.name,
        provider=stored.provider,
        base_url=stored.base_url,
        models=stored.models,
        prices_as=stored.prices_as,
        is_default=stored.is_default,
        known_models=stored.known_models,
    )


def _name(name: str, param: str) -> str:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise Invalid(f"{name[:80]!r} is no {param} of 1 to {_LONGEST_NAME} characters.", param=param)
    return name
