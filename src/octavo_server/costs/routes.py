"""Routes of cost control: providers, connections, routes, prices, models. Rates are decimal texts in USD per million."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from octavo_server.core.errors import Invalid
from octavo_server.core.money import nano_to_usd, usd_to_nano
from octavo_server.costs.model import DETAIL_OF, OptionField, PriceRule, ProviderKind, Rates, Target, Tier, Timeouts
from octavo_server.costs.runtime import Quote
from octavo_server.costs.service import Costs
from octavo_server.costs.service.connections import ConnectionSpec
from octavo_server.costs.service.prices import CallableModel, PriceRuleSpec
from octavo_server.costs.service.routes import RouteSpec
from octavo_server.costs.store import StoredConnection, StoredRoute
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.edge.pagination import MAX_LIMIT, Page, decode_cursor, encode_cursor

Usd = Annotated[str, Field(pattern=r"^\d{1,6}(\.\d{1,9})?$", examples=["2.5"])]
"""A decimal amount of US dollars, as text: money is never a float."""


class OptionOut(BaseModel):
    """A provider's own field of a connection."""

    name: str
    title: str
    help: str
    kind: str
    choices: list[str]
    default: str
    required: bool

    @classmethod
    def of(cls, option: OptionField) -> OptionOut:
        return cls(
            name=option.name,
            title=option.title,
            help=option.help,
            kind=option.kind,
            choices=list(option.choices),
            default=option.default,
            required=option.required,
        )


class ProviderOut(BaseModel):
    """A kind of provider that connections can be made to."""

    kind: str
    title: str
    default_base_url: str
    needs_secret: bool
    secret_help: str
    models: list[str]
    options: list[OptionOut]

    @classmethod
    def of(cls, kind: ProviderKind) -> ProviderOut:
        return cls(
            kind=kind.kind,
            title=kind.title,
            default_base_url=kind.default_base_url,
            needs_secret=kind.needs_secret,
            secret_help=kind.secret_help,
            models=list(kind.models),
            options=[OptionOut.of(option) for option in kind.options],
        )


class ConnectionChange(BaseModel):
    """What to change of a connection; what is left out stays. `secret` is write-only: "" removes it."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    base_url: str | None = None
    secret: str | None = Field(default=None, repr=False)
    options: dict[str, Any] | None = Field(default=None, repr=False)
    models: list[str] | None = None
    prices_as: str | None = None
    is_default: bool | None = None


class ConnectionIn(ConnectionChange):
    """A connection to be made. `models` are globs (empty: the provider's own), `prices_as` a provider of the price
    table or `free`."""

    name: str
    provider: str


class ConnectionOut(BaseModel):
    """A connection; of its secret only that there is one, and its end."""

    id: str
    name: str
    provider: str
    base_url: str
    has_secret: bool
    secret_last4: str
    secret_options: list[str]
    options: dict[str, Any]
    models: list[str]
    known_models: list[str]
    prices_as: str
    is_default: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: StoredConnection) -> ConnectionOut:
        return cls(
            id=stored.id,
            name=stored.name,
            provider=stored.provider,
            base_url=stored.base_url,
            has_secret=stored.has_secret,
            secret_last4=stored.secret_last4,
            secret_options=list(stored.secret_options),
            options=stored.options,
            models=list(stored.models),
            known_models=list(stored.known_models),
            prices_as=stored.prices_as,
            is_default=stored.is_default,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )


class ProbeOut(BaseModel):
    """What came of testing a connection."""

    ok: bool
    status: int | None
    latency_ms: int
    message: str
    models: list[str]


class TargetBody(BaseModel):
    """A connection and the model to ask it for; no model keeps the name as asked."""

    model_config = ConfigDict(extra="forbid")

    connection_id: str
    model: str = ""
    weight: int = 1


class TimeoutsBody(BaseModel):
    """Seconds: to connect, to the first byte of the answer, and in all."""

    model_config = ConfigDict(extra="forbid")

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    total_s: float = 600.0


class RouteChange(BaseModel):
    """What to change of a route; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    pattern: str | None = None
    targets: list[TargetBody] | None = None
    strategy: Literal["fallback", "weighted"] | None = None
    retries: int | None = None
    timeouts: TimeoutsBody | None = None

    def spec(self) -> RouteSpec:
        return RouteSpec(
            pattern=self.pattern,
            targets=None
            if self.targets is None
            else [Target(connection_id=one.connection_id, model=one.model, weight=one.weight) for one in self.targets],
            strategy=self.strategy,
            retries=self.retries,
            timeouts=None if self.timeouts is None else Timeouts(**self.timeouts.model_dump()),
        )


class RouteIn(RouteChange):
    """A route to be made: calls whose model matches `pattern` go to the targets, by `fallback` (in order) or
    `weighted` (the first drawn by weight, the others in order)."""

    pattern: str
    targets: list[TargetBody]


class RouteOut(BaseModel):
    """A route."""

    id: str
    pattern: str
    targets: list[TargetBody]
    strategy: str
    retries: int
    timeouts: TimeoutsBody
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: StoredRoute) -> RouteOut:
        route = stored.route
        return cls(
            id=route.id,
            pattern=route.pattern,
            targets=[
                TargetBody(connection_id=target.connection_id, model=target.model, weight=target.weight)
                for target in route.targets
            ],
            strategy=route.strategy,
            retries=route.retries,
            timeouts=TimeoutsBody(
                connect_s=route.timeouts.connect_s,
                first_byte_s=route.timeouts.first_byte_s,
                total_s=route.timeouts.total_s,
            ),
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )


class FlatRates(BaseModel):
    """USD per million tokens of each bucket. null is unknown for `input` and `output`, and for the others the rate of
    `input` or `output`. `request` is USD a call; `details` USD per million of what is priced apart."""

    model_config = ConfigDict(extra="forbid")

    input: Usd | None = None
    output: Usd | None = None
    cache_read: Usd | None = None
    cache_write: Usd | None = None
    reasoning: Usd | None = None
    input_audio: Usd | None = None
    output_audio: Usd | None = None
    request: Usd = "0"
    details: dict[str, Usd] = Field(default_factory=dict)


class TierBody(BaseModel):
    """The rates of the whole call when its prompt is longer than `above` tokens."""

    model_config = ConfigDict(extra="forbid")

    above: int = Field(ge=0, le=2**31)
    rates: FlatRates


class RatesBody(FlatRates):
    """Rates, and those of long prompts."""

    tiers: list[TierBody] = Field(default_factory=list, max_length=10)

    @classmethod
    def of(cls, rates: Rates) -> RatesBody:
        tiers = [TierBody(above=tier.above, rates=FlatRates(**_flat(tier.rates))) for tier in rates.tiers]
        return cls(**_flat(rates), tiers=tiers)

    def rates(self) -> Rates:
        """Raises Invalid for a detail that nothing counts."""
        tiers = sorted(self.tiers, key=lambda tier: tier.above)
        return _rates(self, tuple(Tier(above=tier.above, rates=_rates(tier.rates, ())) for tier in tiers))


class PriceRuleIn(BaseModel):
    """A price of the project's own. `provider` is a kind of provider, a provider of the price table, the name of a
    connection or `*`; `model` a name or glob. In force from now unless said otherwise."""

    model_config = ConfigDict(extra="forbid")

    provider: str = "*"
    model: str
    rates: RatesBody
    effective_from: AwareDatetime | None = None
    effective_to: AwareDatetime | None = None
    batch: bool = False
    note: str = ""


class PriceRuleOut(BaseModel):
    """A price of the project's own."""

    id: str
    provider: str
    model: str
    rates: RatesBody
    effective_from: datetime
    effective_to: datetime | None
    batch: bool
    note: str

    @classmethod
    def of(cls, rule: PriceRule) -> PriceRuleOut:
        return cls(
            id=rule.id,
            provider=rule.provider,
            model=rule.model,
            rates=RatesBody.of(rule.rates),
            effective_from=rule.effective_from,
            effective_to=rule.effective_to,
            batch=rule.batch,
            note=rule.note,
        )


class PriceOut(BaseModel):
    """A line of the price table."""

    provider: str
    model: str
    rates: RatesBody
    source: str


class ModelOut(BaseModel):
    """A model the project can call. `rates` is null, and `price_source` empty, when its price is unknown."""

    model: str
    connection: str
    provider: str
    upstream_model: str
    route_id: str
    rates: RatesBody | None
    price_source: str

    @classmethod
    def of(cls, one: CallableModel) -> ModelOut:
        price: Quote = one.price
        return cls(
            model=one.model,
            connection=one.connection,
            provider=one.provider,
            upstream_model=one.upstream_model,
            route_id=one.route_id,
            rates=None if price.rates is None else RatesBody.of(price.rates),
            price_source=price.source,
        )


def build_router(service: Costs) -> APIRouter:
    """The routes of this room, without the API's prefix."""
    router = APIRouter(tags=["costs"])
    _add_connections(router, service)
    _add_routes(router, service)
    _add_prices(router, service)
    return router


def _add_connections(router: APIRouter, service: Costs) -> None:
    @router.get("/providers", **allows(Permission.COSTS_READ))
    def list_providers(caller: Caller) -> Page[ProviderOut]:
        """The kinds of provider there are, and the fields their connections have."""
        return Page(data=[ProviderOut.of(kind) for kind in service.connections.catalogue.values()])

    @router.get("/connections", **allows(Permission.COSTS_READ))
    def list_connections(caller: Caller) -> Page[ConnectionOut]:
        """The project's connections to providers, by name."""
        return Page(data=[ConnectionOut.of(one) for one in service.connections.list(caller)])

    @router.post("/connections", status_code=201, **allows(Permission.COSTS_WRITE))
    def create_connection(body: ConnectionIn, caller: Caller) -> ConnectionOut:
        """Connects the project to a provider. The first connection becomes the default."""
        return ConnectionOut.of(service.connections.create(caller, ConnectionSpec(**body.model_dump())))

    @router.get("/connections/{connection_id}", **allows(Permission.COSTS_READ))
    def get_connection(connection_id: str, caller: Caller) -> ConnectionOut:
        """One connection."""
        return ConnectionOut.of(service.connections.get(caller, connection_id))

    @router.patch("/connections/{connection_id}", **allows(Permission.COSTS_WRITE))
    def update_connection(connection_id: str, body: ConnectionChange, caller: Caller) -> ConnectionOut:
        """Changes a connection; the gateway uses it from its next call on."""
        changed = service.connections.update(caller, connection_id, ConnectionSpec(**body.model_dump()))
        return ConnectionOut.of(changed)

    @router.delete("/connections/{connection_id}", status_code=204, **allows(Permission.COSTS_WRITE))
    def delete_connection(connection_id: str, caller: Caller) -> None:
        """Deletes a connection that no route leads to."""
        service.connections.delete(caller, connection_id)

    @router.post("/connections/{connection_id}/test", **allows(Permission.COSTS_WRITE))
    async def test_connection(connection_id: str, caller: Caller) -> ProbeOut:
        """Sends the provider a free request with the connection's key and lists the models it answers with."""
        probe = await service.connections.test(caller, connection_id)
        return ProbeOut(
            ok=probe.ok,
            status=probe.status,
            latency_ms=probe.latency_ms,
            message=probe.message,
            models=list(probe.models),
        )


def _add_routes(router: APIRouter, service: Costs) -> None:
    @router.get("/routes", **allows(Permission.COSTS_READ))
    def list_routes(caller: Caller) -> Page[RouteOut]:
        """The project's routes, by pattern."""
        return Page(data=[RouteOut.of(one) for one in service.routes.list(caller)])

    @router.post("/routes", status_code=201, **allows(Permission.COSTS_WRITE))
    def create_route(body: RouteIn, caller: Caller) -> RouteOut:
        """Makes a route."""
        return RouteOut.of(service.routes.create(caller, body.spec()))

    @router.patch("/routes/{route_id}", **allows(Permission.COSTS_WRITE))
    def update_route(route_id: str, body: RouteChange, caller: Caller) -> RouteOut:
        """Changes a route; the gateway follows it from its next call on."""
        return RouteOut.of(service.routes.update(caller, route_id, body.spec()))

    @router.delete("/routes/{route_id}", status_code=204, **allows(Permission.COSTS_WRITE))
    def delete_route(route_id: str, caller: Caller) -> None:
        """Deletes a route."""
        service.routes.delete(caller, route_id)


def _add_prices(router: APIRouter, service: Costs) -> None:
    @router.get("/prices", **allows(Permission.COSTS_READ))
    def list_prices(
        caller: Caller,
        provider: str = "",
        model: str = "",
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
        cursor: str = "",
    ) -> Page[PriceOut]:
        """The shipped price table: lines whose provider and model contain the given texts, at today's rates."""
        offset = decode_cursor(cursor) if cursor else 0
        if not isinstance(offset, int) or offset < 0:
            raise Invalid(f"cursor {cursor[:40]!r} is not one of this list; start again without it", param="cursor")
        found = service.prices.search(provider=provider, model=model, offset=offset, limit=limit + 1)
        page = [
            PriceOut(provider=one.provider, model=one.model, rates=RatesBody.of(one.rates), source="shipped")
            for one in found[:limit]
        ]
        return Page(data=page, next_cursor=encode_cursor(offset + limit) if len(found) > limit else None)

    @router.get("/price-rules", **allows(Permission.COSTS_READ))
    def list_price_rules(caller: Caller) -> Page[PriceRuleOut]:
        """The project's own prices, the latest in force first."""
        return Page(data=[PriceRuleOut.of(rule) for rule in service.prices.list_rules(caller)])

    @router.post("/price-rules", status_code=201, **allows(Permission.COSTS_WRITE))
    def create_price_rule(body: PriceRuleIn, caller: Caller) -> PriceRuleOut:
        """Sets a price of the project's own, which goes before the shipped table while it is in force."""
        spec = PriceRuleSpec(
            provider=body.provider,
            model=body.model,
            rates=body.rates.rates(),
            effective_from=body.effective_from,
            effective_to=body.effective_to,
            batch=body.batch,
            note=body.note,
        )
        return PriceRuleOut.of(service.prices.create_rule(caller, spec))

    @router.delete("/price-rules/{rule_id}", status_code=204, **allows(Permission.COSTS_WRITE))
    def delete_price_rule(rule_id: str, caller: Caller) -> None:
        """Deletes a price of the project's own. Calls already priced keep their cost."""
        service.prices.delete_rule(caller, rule_id)

    @router.get("/models", **allows(Permission.ANY))
    def list_models(caller: Caller) -> Page[ModelOut]:
        """The models the project can call by name, where each goes, and its price."""
        return Page(data=[ModelOut.of(one) for one in service.prices.models(caller)])


_BUCKETS = ("input", "output", "cache_read", "cache_write", "reasoning", "input_audio", "output_audio")


def _usd(nano: int) -> str:
    return f"{nano_to_usd(nano).normalize():f}"


def _flat(rates: Rates) -> dict[str, Any]:
    flat: dict[str, Any] = {
        bucket: None if (rate := getattr(rates, bucket)) is None else _usd(rate) for bucket in _BUCKETS
    }
    flat["request"] = _usd(rates.request)
    flat["details"] = {name: _usd(rate) for name, rate in rates.details.items()}
    return flat


def _rates(body: FlatRates, tiers: tuple[Tier, ...]) -> Rates:
    for name in body.details:
        if name not in DETAIL_OF:
            raise Invalid(
                f"Nothing counts {name[:80]!r}; the details are {', '.join(DETAIL_OF)}.", param="rates.details"
            )
    nano: dict[str, int | None] = {
        bucket: None if (text := getattr(body, bucket)) is None else usd_to_nano(Decimal(text)) for bucket in _BUCKETS
    }
    return Rates(
        input=nano["input"],
        output=nano["output"],
        cache_read=nano["cache_read"],
        cache_write=nano["cache_write"],
        reasoning=nano["reasoning"],
        input_audio=nano["input_audio"],
        output_audio=nano["output_audio"],
        request=usd_to_nano(Decimal(body.request)),
        details={name: usd_to_nano(Decimal(text)) for name, text in body.details.items()},
        tiers=tiers,
    )
