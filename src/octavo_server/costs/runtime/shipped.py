"""The price table that ships with the product: genai-prices' data, read as integer rates. No network: the package's
updater is never started, and of its code only the matching of names is used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from genai_prices.data import providers as shipped_providers
from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from octavo_server.core.money import usd_to_nano
from octavo_server.costs.model import NO_COST, Rates, Tier

# Our bucket or detail for each price of the table. What is not here (hours of audio, pages, pixels, …) is reported
# by no endpoint of the gateway.
_BUCKETS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
}
_DETAILS = {
    "cache_write_1h_mtok": "cache_write_1h",
    "cache_audio_read_mtok": "cache_read_audio",
    "cache_image_read_mtok": "cache_read_image",
    "input_image_mtok": "input_image",
    "input_video_mtok": "input_video",
    "output_image_mtok": "output_image",
    "output_video_mtok": "output_video",
    "output_citation_mtok": "citations",
}

_TIERS_OF_SERVICE: Mapping[str, Mapping[str, str]] = {
    "batch": {"processing": "batch"},
    "default": {"service_tier": "default"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}

_NOTHING = Rates(input=None, output=None)


@dataclass(frozen=True, slots=True)
class ShippedPrice:
    """The prices of one model of one provider in the table."""

    provider: str
    model: str
    _info: ModelInfo
    _own: bool  # False when found through the provider's fallback to another one, whose variants do not apply

    @property
    def deprecated(self) -> bool:
        """Whether the provider means to end the model."""
        return bool(self._info.deprecated)

    def rates(self, at: datetime, tier: str = "") -> Rates:
        """What the model cost at an instant; `tier` is the tier of service (`batch`, `flex`, `priority`, `fast`)."""
        context = _TIERS_OF_SERVICE.get(tier) if self._own else None
        rates = rates_of(self._info.get_prices(at, context))
        # The table lists no price both for what is free and for what it does not know; only a name tells them apart.
        return NO_COST if rates == _NOTHING and self.model.endswith(":free") else rates

    def changes(self, at: datetime) -> Iterator[datetime]:
        """Instants at which the price may change: all those around `at`, and perhaps others."""
        prices = self._info.prices
        constraints = [one.constraint for one in prices] if isinstance(prices, list) else []
        constraints += [one.constraint for one in self._info.price_variants or ()]
        for constraint in constraints:
            if isinstance(constraint, StartDateConstraint):
                yield _midnight(constraint.start_date)
            elif isinstance(constraint, TimeOfDateConstraint):
                for days in (-1, 0, 1):
                    day = at.date() + timedelta(days=days)
                    yield _at(day, constraint.start_time)
                    yield _at(day, constraint.end_time)


class ShippedTable:
    """Finds models in the table by the names that providers and clients use for them."""

    def __init__(self, providers: Sequence[Provider] | None = None) -> None:
        self._providers = list(shipped_providers if providers is None else providers)

    def provider_named(self, name: str) -> str | None:
        """The table's id for a provider's name, such as `gcp.vertex_ai` or `aws.bedrock`; None when it has none."""
        provider = self._find(name)
        return provider.id if provider else None

    def provider_at(self, base_url: str) -> str | None:
        """The provider whose API is at this URL; None when the table knows none there."""
        return next((one.id for one in self._providers if re.match(one.api_pattern, base_url)), None)

    def provider_of(self, model: str) -> str | None:
        """The provider whose own model this is, going by its name; None when it could be anybody's."""
        name = model.lower()
        return next((one.id for one in self._providers if one.model_match and one.model_match.is_match(name)), None)

    def price(self, provider: str, model: str) -> ShippedPrice | None:
        """The prices of a model as this provider (a name as `provider_named` takes them) offers it."""
        found = self._find(provider)
        info = found.find_model(model, all_providers=self._providers) if found else None
        if found is None or info is None:
            return None
        return ShippedPrice(found.id, info.id, info, any(info is one for one in found.models))

    def prices(self) -> Iterator[ShippedPrice]:
        """Every model of the table, by provider."""
        for provider in self._providers:
            for info in provider.models:
                yield ShippedPrice(provider.id, info.id, info, _own=True)

    def _find(self, name: str) -> Provider | None:
        return find_provider_by_id(self._providers, name) if name else None


def rates_of(price: ModelPrice) -> Rates:
    """A price of the table as integer rates. A price that depends on the prompt's length becomes tiers."""
    listed = {key: value for key, value in vars(price).items() if isinstance(value, Decimal | TieredPrices)}
    steps = sorted({tier.start for value in listed.values() if isinstance(value, TieredPrices) for tier in value.tiers})
    tiers = tuple(Tier(above=step, rates=_rates_at(listed, step)) for step in steps)
    return _rates_at(listed, -1, tiers)


def _rates_at(listed: Mapping[str, Decimal | TieredPrices], step: int, tiers: tuple[Tier, ...] = ()) -> Rates:
    """The rates of prompts that are just above `step` tokens long; below all steps for -1."""
    nano = {key: usd_to_nano(_step_of(value, step)) for key, value in listed.items()}
    details = {ours: nano[theirs] for theirs, ours in _DETAILS.items() if theirs in nano}
    if "web_searches_kcount" in nano:
        details["web_searches"] = nano["web_searches_kcount"] * 1000
    buckets: dict[str, int | None] = {ours: nano.get(theirs) for theirs, ours in _BUCKETS.items()}
    return Rates(
        input=buckets["input"],
        output=buckets["output"],
        cache_read=buckets["cache_read"],
        cache_write=buckets["cache_write"],
        reasoning=buckets["reasoning"],
        input_audio=buckets["input_audio"],
        output_audio=buckets["output_audio"],
        request=usd_to_nano(_step_of(listed.get("requests_kcount", Decimal(0)), step) / 1000),
        details=details,
        tiers=tiers,
    )


def _step_of(price: Decimal | TieredPrices, step: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= step]
    return reached[-1] if reached else price.base


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _at(day: date, moment: time) -> datetime:
    naive = datetime.combine(day, moment)
    return naive.replace(tzinfo=UTC) if naive.tzinfo is None else naive.astimezone(UTC)
