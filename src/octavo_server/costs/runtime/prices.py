"""What a call costs: the project's own rules first, the shipped table after, unknown when neither knows. Money is
integer nano-USD; a cost is exact until it is rounded once, half up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from octavo_server.costs.model import (
    DETAIL_OF,
    FREE,
    NO_COST,
    Connection,
    PriceRule,
    Rates,
    glob_matches,
    specificity,
)
from octavo_server.costs.runtime.shipped import ShippedPrice, ShippedTable
from octavo_server.traces.model import Usage

Pricer = Callable[[str, str, str, Usage, int], int | None]
"""Prices a call that was seen, not made, here: (project_id, provider, model, usage, at_ns) to nano-USD or None."""

_PER = 1_000_000  # rates are for a million
_HALF = _PER // 2
_CACHED = 8192  # priced names; a client may send any number of them
_LONGEST_KEY = 1000  # a name that is longer is not worth the memory
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVER = 2**63

# Kinds of connection whose provider the table calls otherwise. Other kinds are found by URL, never by name: the same
# model costs what its host asks.
_TABLE_IDS = {
    "openai": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "bedrock": "aws",
    "local": FREE,
}


class Quote(NamedTuple):
    """Rates and where they are from: `rule`, `shipped`, `free`, or "" when the price is unknown."""

    rates: Rates | None
    source: str


class _Priced(NamedTuple):
    since_ns: int
    until_ns: int
    quote: Quote


class PriceBook:
    """All prices of one state of the control store. Immutable but for its cache; safe to share between threads."""

    def __init__(
        self, rules: Mapping[str, Sequence[PriceRule]] | None = None, table: ShippedTable | None = None
    ) -> None:
        """`rules` by project id."""
        self._rules = {project: sorted(ours, key=_precedence, reverse=True) for project, ours in (rules or {}).items()}
        self._table = table or ShippedTable()
        self._cache: dict[tuple[str, ...], _Priced] = {}

    def rates_for(self, connection: Connection, model: str, at_ns: int, *, tier: str = "", served: str = "") -> Quote:
        """The price in force at an instant for calls through `connection` of `model`, the name asked upstream.

        `served` is the model's name in the answer, which is more exact than an alias or a deployment's name and goes
        first in the shipped table; `tier` the tier of service in the answer (`batch`, `flex`, `priority`, …)."""
        key = (connection.id, model, served, tier)
        priced = self._cache.get(key)
        if priced is None or not priced.since_ns <= at_ns < priced.until_ns:
            table_id = self.table_id(connection)
            names = (table_id, connection.provider, connection.name)
            models = tuple(dict.fromkeys(one for one in (served, model) if one))
            shipped = next((found for one in models if (found := self._table.price(table_id, one))), None)
            quote = self._quote(connection.project_id, names, models, shipped, at_ns, tier)
            priced = self._keep(key, quote)
        return priced.quote

    def rates(self, project_id: str, provider: str, model: str, at_ns: int, *, tier: str = "") -> Quote:
        """The price in force at an instant of a call that was made elsewhere. `provider` is a name as instrumentations
        report it (`openai`, `gcp.vertex_ai`, …), or "" to go by the model's name."""
        key = ("", project_id, provider, model, tier)
        priced = self._cache.get(key)
        if priced is None or not priced.since_ns <= at_ns < priced.until_ns:
            shipped = self._find(provider, model)
            names = (provider, shipped.provider) if shipped else (provider,)
            priced = self._keep(key, self._quote(project_id, names, (model,), shipped, at_ns, tier))
        return priced.quote

    def price_span(self, project_id: str, provider: str, model: str, usage: Usage, at_ns: int) -> int | None:
        """Nano-USD of a call that was made elsewhere, or None when its price is unknown. A `Pricer`."""
        rates = self.rates(project_id, provider, model, at_ns).rates
        return None if rates is None else cost(rates, usage)

    def table_id(self, connection: Connection) -> str:
        """The provider in the shipped table whose prices a connection pays; "" when there is none, or `free`."""
        return (
            connection.prices_as
            or _TABLE_IDS.get(connection.provider)
            or self._table.provider_at(connection.base_url)
            or ""
        )

    def _find(self, provider: str, model: str) -> ShippedPrice | None:
        table_id = self._table.provider_named(provider)
        if table_id and (found := self._table.price(table_id, model)):
            return found
        if table_id not in (None, "openai"):  # OpenAI's client is how most other providers are called too
            return None
        prefix, slash, rest = model.partition("/")
        if slash and (found := self._table.price(prefix, rest)):
            return found
        own = self._table.provider_of(model)
        return self._table.price(own, model) if own else None

    def _quote(
        self,
        project_id: str,
        names: tuple[str, ...],
        models: tuple[str, ...],
        shipped: ShippedPrice | None,
        at_ns: int,
        tier: str,
    ) -> _Priced:
        at = _EPOCH + timedelta(microseconds=at_ns // 1000)
        rules = [
            rule
            for rule in self._rules.get(project_id, ())
            if (rule.provider == "*" or rule.provider in names)
            and any(glob_matches(rule.model, model) for model in models)
            and (tier == "batch" or not rule.batch)
        ]
        since_ns, until_ns = _between(at_ns, _changes(rules, shipped, at))
        for rule in rules:
            if rule.effective_from <= at and (rule.effective_to is None or at < rule.effective_to):
                return _Priced(since_ns, until_ns, Quote(rule.rates, "rule"))
        if names[0] == FREE:
            return _Priced(since_ns, until_ns, Quote(NO_COST, "free"))
        if shipped is None:
            return _Priced(since_ns, until_ns, Quote(None, ""))
        return _Priced(since_ns, until_ns, Quote(shipped.rates(at, tier), "shipped"))

    def models_of(self, connection: Connection) -> list[str]:
        """The models that the shipped table knows of the provider a connection leads to, but those it means to end."""
        table_id = self.table_id(connection)
        return [one.model for one in self._table.prices() if one.provider == table_id and not one.deprecated]

    def _keep(self, key: tuple[str, ...], priced: _Priced) -> _Priced:
        if sum(map(len, key)) > _LONGEST_KEY:
            return priced
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[key] = priced
        return priced


def cost(rates: Rates, usage: Usage) -> int | None:
    """Nano-USD of a call, or None when it used something whose price is unknown. Exact, then rounded half up once."""
    if rates.tiers:
        rates = _tier(rates, usage)
    exact = rates.request * _PER
    if usage.details:
        for _, count, rate in _lines(rates, usage):
            if rate is None:
                return None
            exact += count * rate
        return (exact + _HALF) // _PER
    plain = rates.input
    if usage.input:
        if plain is None:
            return None
        exact += usage.input * plain
    if usage.cache_read:
        rate = plain if rates.cache_read is None else rates.cache_read
        if rate is None:
            return None
        exact += usage.cache_read * rate
    if usage.cache_write:
        rate = plain if rates.cache_write is None else rates.cache_write
        if rate is None:
            return None
        exact += usage.cache_write * rate
    if usage.input_audio:
        rate = plain if rates.input_audio is None else rates.input_audio
        if rate is None:
            return None
        exact += usage.input_audio * rate
    plain = rates.output
    if usage.output:
        if plain is None:
            return None
        exact += usage.output * plain
    if usage.reasoning:
        rate = plain if rates.reasoning is None else rates.reasoning
        if rate is None:
            return None
        exact += usage.reasoning * rate
    if usage.output_audio:
        rate = plain if rates.output_audio is None else rates.output_audio
        if rate is None:
            return None
        exact += usage.output_audio * rate
    return (exact + _HALF) // _PER


def cost_details(rates: Rates, usage: Usage) -> dict[str, int] | None:
    """Nano-USD by bucket and detail, adding up to `cost` exactly: each is rounded together with those before it, so it
    is within one nano-USD of its exact value. None when the cost is unknown."""
    rates = _tier(rates, usage)
    parts: dict[str, int] = {}
    exact = rates.request * _PER
    if exact:
        parts["request"] = rates.request
    rounded = rates.request
    for name, count, rate in _lines(rates, usage):
        if rate is None:
            return None
        exact += count * rate
        parts[name] = (exact + _HALF) // _PER - rounded
        rounded += parts[name]
    return parts


def _lines(rates: Rates, usage: Usage) -> Iterator[tuple[str, int, int | None]]:
    """What the call used and the rate of each, for rates without tiers: details that have a price of their own are taken out of their bucket."""
    counts = {
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "input_audio": usage.input_audio,
        "output": usage.output,
        "reasoning": usage.reasoning,
        "output_audio": usage.output_audio,
    }
    for detail, count in usage.details.items():
        bucket = DETAIL_OF.get(detail)
        rate = rates.details.get(detail)
        if bucket:
            count = min(count, counts[bucket])
            if rate is None:
                continue
            counts[bucket] -= count
        if bucket is not None and count:
            yield detail, count, rate
    for bucket, count in counts.items():
        if count:
            yield bucket, count, _rate(rates, bucket)


def _rate(rates: Rates, bucket: str) -> int | None:
    own: int | None = getattr(rates, bucket)
    if own is not None:
        return own
    return rates.output if bucket in ("output", "reasoning", "output_audio") else rates.input


def _tier(rates: Rates, usage: Usage) -> Rates:
    prompt = usage.input + usage.cache_read + usage.cache_write + usage.input_audio
    for tier in reversed(rates.tiers):
        if prompt > tier.above:
            return tier.rates
    return rates


def _precedence(rule: PriceRule) -> tuple[bool, bool, tuple[int, int], datetime, str]:
    """Rules that say more go first; of those that say as much, the one in force the latest, then the newest."""
    return (rule.batch, rule.provider != "*", specificity(rule.model), rule.effective_from, rule.id)


def _changes(rules: Sequence[PriceRule], shipped: ShippedPrice | None, at: datetime) -> Iterator[datetime]:
    for rule in rules:
        yield rule.effective_from
        if rule.effective_to is not None:
            yield rule.effective_to
    if shipped is not None:
        yield from shipped.changes(at)


def _between(at_ns: int, changes: Iterator[datetime]) -> tuple[int, int]:
    """The longest stretch around an instant in which none of `changes` lies."""
    since, until = 0, _EVER
    for change in changes:
        # Exact: a timedelta has whole microseconds, and a float of seconds would not.
        change_ns = (change - _EPOCH) // timedelta(microseconds=1) * 1000
        if change_ns <= at_ns:
            since = max(since, change_ns)
        else:
            until = min(until, change_ns)
    return since, until
