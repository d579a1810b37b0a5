"""What calls cost: the shipped table against its maker's own arithmetic, the project's rules, and the unknown."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from genai_prices.data import providers
from genai_prices.data_units import unit_data
from genai_prices.types import Usage as TheirUsage
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from octavo_server.core.money import usd_to_nano
from octavo_server.costs.model import DETAIL_OF, Connection, PriceRule, Rates, Tier
from octavo_server.costs.runtime import NO_COST, PriceBook, cost, cost_details
from octavo_server.costs.runtime.shipped import ShippedTable
from octavo_server.traces.model import Usage

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ns(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def connection(provider: str = "openai", *, base_url: str = "", prices_as: str = "", name: str = "main") -> Connection:
    return Connection(
        id=f"con_{name}", project_id="prj", name=name, provider=provider, base_url=base_url, prices_as=prices_as
    )


def usd(text: str) -> int:
    return usd_to_nano(text)


# ---- the shipped table ------------------------------------------------------------------------------------------


def theirs(usage: Usage) -> TheirUsage:
    """The same usage in genai-prices' words, where a part is counted in its whole too."""
    details = usage.details
    counts = {key: 0 for key in unit_data if key != "requests"}
    counts |= {
        "input_tokens": usage.input + usage.cache_read + usage.cache_write + usage.input_audio,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": details.get("cache_write_1h", 0),
        "input_audio_tokens": usage.input_audio + details.get("cache_read_audio", 0),
        "cache_audio_read_tokens": details.get("cache_read_audio", 0),
        "input_image_tokens": details.get("input_image", 0) + details.get("cache_read_image", 0),
        "cache_image_read_tokens": details.get("cache_read_image", 0),
        "input_video_tokens": details.get("input_video", 0),
        "output_tokens": usage.output + usage.reasoning + usage.output_audio,
        "output_reasoning_tokens": usage.reasoning,
        "output_audio_tokens": usage.output_audio,
        "output_image_tokens": details.get("output_image", 0),
        "output_video_tokens": details.get("output_video", 0),
        "web_searches": details.get("web_searches", 0),
    }
    return TheirUsage(**counts)


def some_usage(draw: random.Random, rates: Rates) -> Usage:
    """A usage that the rates can price: details they do not list would have no price, or none of their own."""

    def some() -> int:
        return draw.choice((0, 1, draw.randrange(1000), draw.randrange(300_000)))

    usage = Usage(
        input=some(),
        cache_read=some(),
        cache_write=some(),
        input_audio=some(),
        output=some() if rates.output is not None else 0,
        reasoning=some() if rates.output is not None else 0,
        output_audio=some() if rates.output is not None else 0,
    )
    details: dict[str, int] = {}
    left = {bucket: getattr(usage, bucket) for bucket in set(DETAIL_OF.values()) if bucket}
    left[""] = 50
    for detail, bucket in DETAIL_OF.items():
        if detail in rates.details and detail != "citations" and left[bucket]:
            details[detail] = draw.randint(1, left[bucket])
            left[bucket] -= details[detail]
    return Usage(
        **{name: getattr(usage, name) for name in Usage.__struct_fields__ if name != "details"}, details=details
    )


def test_every_model_of_the_table_costs_what_its_maker_computes() -> None:
    """All models, random usage, random instants, all tiers of service: within half a nano-USD, and one more for the
    28 prices of the table that are finer than nano-USD."""
    draw = random.Random(7)
    table = ShippedTable()
    priced = 0
    for price, (provider, info) in zip(
        table.prices(), ((one, info) for one in providers for info in one.models), strict=True
    ):
        assert (price.provider, price.model) == (provider.id, info.id)
        for context, tier in (
            (None, ""),
            ({"processing": "batch"}, "batch"),
            ({"service_tier": "flex"}, "flex"),
            ({"service_tier": "priority"}, "priority"),
        ):
            if tier and not info.price_variants:
                continue
            for _ in range(2):
                at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(4 * 365 * 86_400))
                rates = price.rates(at, tier)
                if rates.input is None:
                    assert cost(rates, Usage(input=1)) is None
                    continue
                usage = some_usage(draw, rates)
                exact = (
                    info.calc_price(
                        theirs(usage), provider, genai_request_timestamp=at, price_context=context
                    ).total_price
                    * 1_000_000_000
                )
                ours = cost(rates, usage)
                assert ours is not None
                assert abs(ours - exact) <= 1, (price.provider, price.model, tier, usage)
                priced += 1
    assert priced > 4500


def test_a_model_without_a_listed_price_is_unknown_unless_its_name_says_free() -> None:
    book = PriceBook()
    router = connection("openai_compatible", base_url="https://openrouter.ai/api/v1")
    stealth = book.rates_for(router, "stealth/crouton-alpha", ns(NOW)).rates
    assert stealth is None or cost(stealth, Usage(input=1)) is None
    free = next(
        one.model for one in ShippedTable().prices() if one.provider == "openrouter" and one.model.endswith(":free")
    )
    assert book.rates_for(router, free, ns(NOW)).rates == NO_COST


def test_a_long_prompt_costs_the_tier_for_all_of_its_tokens() -> None:
    book = PriceBook()
    rates = book.rates_for(connection("anthropic"), "claude-sonnet-4-5", ns(NOW)).rates
    assert rates is not None
    assert cost(rates, Usage(input=200_000)) == usd("0.6")
    assert cost(rates, Usage(input=100_000, cache_read=100_001)) == usd("0.6") + usd("0.0600006")


def test_prices_of_the_past_are_those_of_the_past() -> None:
    book = PriceBook()
    o3 = connection()
    before = book.rates_for(o3, "o3", ns(datetime(2025, 6, 1, tzinfo=UTC))).rates
    after = book.rates_for(o3, "o3", ns(datetime(2025, 7, 1, tzinfo=UTC))).rates
    assert before is not None and after is not None
    assert (before.input, after.input) == (usd("10"), usd("2"))


def test_a_price_by_the_hour_changes_at_its_hour_for_the_cached_model_too() -> None:
    book = PriceBook()
    deepseek = connection("openai_compatible", base_url="https://api.deepseek.com/v1")
    table = ShippedTable()
    price = table.price("deepseek", "deepseek-v4-flash")
    assert price is not None
    seen = set()
    for minutes in range(0, 3 * 24 * 60, 30):
        at = NOW + timedelta(minutes=minutes)
        quote = book.rates_for(deepseek, "deepseek-v4-flash", ns(at))
        assert quote.rates == price.rates(at)
        seen.add(quote.rates.input if quote.rates else None)
    assert len(seen) > 1


@pytest.mark.parametrize(
    ("provider", "base_url", "model", "source"),
    [
        ("openai", "https://api.openai.com/v1", "gpt-4.1-mini", "shipped"),
        ("azure", "https://x.openai.azure.com", "gpt-4.1-mini", "shipped"),
        ("anthropic", "https://api.anthropic.com", "claude-sonnet-4-5-20250929", "shipped"),
        ("gemini", "https://generativelanguage.googleapis.com", "gemini-2.5-flash", "shipped"),
        (
            "bedrock",
            "https://bedrock-runtime.eu-central-1.amazonaws.com",
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "shipped",
        ),
        ("openai_compatible", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", "shipped"),
        ("openai_compatible", "https://openrouter.ai/api/v1", "openai/gpt-4.1-mini", "shipped"),
        ("openai_compatible", "http://10.0.0.1:8000/v1", "gpt-4.1-mini", ""),
        ("vllm", "http://gpu:8000/v1", "deepseek-chat", ""),
        ("ollama", "http://localhost:11434", "llama3.3", ""),
        ("openai", "https://api.openai.com/v1", "a-model-of-tomorrow", ""),
        ("local", "http://127.0.0.1:8080/v1", "smollm2-135m", "free"),
    ],
)
def test_a_connection_pays_its_own_providers_prices(provider: str, base_url: str, model: str, source: str) -> None:
    quote = PriceBook().rates_for(connection(provider, base_url=base_url), model, ns(NOW))
    assert quote.source == source
    assert (quote.rates is None) == (source == "")


def test_prices_as_names_another_provider_or_nothing_to_pay() -> None:
    book = PriceBook()
    proxy = connection("openai_compatible", base_url="http://proxy/v1", prices_as="anthropic", name="proxy")
    free = connection("vllm", base_url="http://gpu/v1", prices_as="free", name="free")
    assert book.rates_for(proxy, "claude-sonnet-4-5", ns(NOW)).source == "shipped"
    quote = book.rates_for(free, "anything", ns(NOW))
    assert quote == (NO_COST, "free")
    assert cost(NO_COST, Usage(input=5, output_audio=7, details={"web_searches": 2, "input_image": 3})) == 0


def test_the_name_in_the_answer_prices_what_the_name_asked_does_not() -> None:
    book = PriceBook()
    azure = connection("azure", base_url="https://x.openai.azure.com")
    assert book.rates_for(azure, "my-deployment", ns(NOW)).rates is None
    quote = book.rates_for(azure, "my-deployment", ns(NOW), served="gpt-4.1-mini-2025-04-14")
    assert quote.rates is not None and quote.rates.input == usd("0.4")


def test_batch_calls_cost_their_own_rate() -> None:
    book = PriceBook()
    standard = book.rates_for(connection(), "gpt-4.1-mini", ns(NOW)).rates
    batch = book.rates_for(connection(), "gpt-4.1-mini", ns(NOW), tier="batch").rates
    assert standard is not None and batch is not None
    assert batch.input == (standard.input or 0) // 2


@pytest.mark.parametrize(
    ("provider", "model", "known"),
    [
        ("openai", "gpt-4.1-mini", True),
        ("az.ai.openai", "gpt-4.1-mini", True),
        ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("gcp.vertex_ai", "gemini-2.5-flash", True),
        ("", "claude-sonnet-4-5", True),
        ("LangChain", "gpt-4.1-mini", True),
        ("litellm", "anthropic/claude-sonnet-4-5", True),
        ("openai", "claude-sonnet-4-5", True),
        ("groq", "claude-sonnet-4-5", False),
        ("openai", "smollm2", False),
        ("", "", False),
        ("", "llama3.3", False),
    ],
)
def test_a_call_seen_elsewhere_is_priced_by_the_names_it_reports(provider: str, model: str, known: bool) -> None:
    priced = PriceBook().price_span("prj", provider, model, Usage(input=1_000_000), ns(NOW))
    assert (priced is not None) == known
    assert priced != 0


# ---- the project's rules ----------------------------------------------------------------------------------------


def rule(
    price: str,
    *,
    model: str = "*",
    provider: str = "*",
    since: datetime = NOW - timedelta(days=10),
    until: datetime | None = None,
    batch: bool = False,
    id: str = "prc_1",
) -> PriceRule:
    return PriceRule(
        id=id,
        project_id="prj",
        provider=provider,
        model=model,
        rates=Rates(input=usd(price), output=usd(price)),
        effective_from=since,
        effective_to=until,
        batch=batch,
    )


def asked(rules: list[PriceRule], *, at: datetime = NOW, tier: str = "", model: str = "gpt-4.1-mini") -> int | None:
    quote = PriceBook({"prj": rules}).rates_for(connection(), model, ns(at), tier=tier)
    return None if quote.source != "rule" or quote.rates is None else quote.rates.input


def test_a_rule_goes_before_the_table_while_it_is_in_force() -> None:
    rules = [rule("7", since=NOW - timedelta(days=2), until=NOW + timedelta(days=2))]
    assert asked(rules) == usd("7")
    assert asked(rules, at=NOW - timedelta(days=2)) == usd("7")
    assert asked(rules, at=NOW - timedelta(days=2, microseconds=1)) is None
    assert asked(rules, at=NOW + timedelta(days=2)) is None


def test_a_rule_of_another_project_is_none_of_ours() -> None:
    book = PriceBook({"prj_other": [rule("7")]})
    assert book.rates_for(connection(), "gpt-4.1-mini", ns(NOW)).source == "shipped"


def test_the_cache_follows_the_rules_dates() -> None:
    book = PriceBook({"prj": [rule("7", since=NOW, until=NOW + timedelta(hours=1))]})
    sources = [
        book.rates_for(connection(), "gpt-4.1-mini", ns(NOW + timedelta(minutes=minutes))).source
        for minutes in (-1, 0, 59, 60, 59, 0, -1)
    ]
    assert sources == ["shipped", "rule", "rule", "shipped", "rule", "rule", "shipped"]


def test_of_overlapping_rules_the_more_specific_and_then_the_latest_wins() -> None:
    late = NOW - timedelta(days=1)
    assert asked([rule("1", model="gpt-*"), rule("2", model="*", since=late)]) == usd("1")
    assert asked([rule("1", model="gpt-4.1-mini"), rule("2", model="gpt-4.1-*", since=late)]) == usd("1")
    assert asked([rule("1", provider="openai"), rule("2", since=late)]) == usd("1")
    assert asked([rule("1"), rule("2", since=late)]) == usd("2")
    assert asked([rule("1", id="prc_b"), rule("2", id="prc_a")]) == usd("1")


@pytest.mark.parametrize("provider", ["openai", "main", "*"])
def test_a_rule_may_name_the_provider_or_the_connection(provider: str) -> None:
    assert asked([rule("7", provider=provider)]) == usd("7")
    assert asked([rule("7", provider="other")]) is None


def test_a_batch_rule_is_for_batch_calls_and_a_plain_one_for_all() -> None:
    both = [rule("8", model="gpt-4.1-mini"), rule("4", batch=True)]
    assert asked(both) == usd("8")
    assert asked(both, tier="batch") == usd("4")
    assert asked([rule("8")], tier="batch") == usd("8")
    assert asked([rule("4", batch=True)]) is None


def test_a_rule_prices_even_what_is_free() -> None:
    quote = PriceBook({"prj": [rule("3")]}).rates_for(connection("local"), "smollm2", ns(NOW))
    assert quote.source == "rule"


def test_a_rule_prices_a_call_seen_elsewhere() -> None:
    book = PriceBook({"prj": [rule("3", provider="google", model="gemini-*")]})
    assert book.price_span("prj", "gcp.vertex_ai", "gemini-2.5-flash", Usage(input=1_000_000), ns(NOW)) == usd("3")


def test_names_without_end_do_not_fill_the_memory() -> None:
    book = PriceBook()
    for number in range(20_000):
        book.rates_for(connection("vllm"), f"model-{number}", ns(NOW))
    book.rates_for(connection("vllm"), "m" * 1_000_000, ns(NOW))
    assert len(book._cache) <= 8192
    assert max(len(text) for key in book._cache for text in key) < 1000


# ---- arithmetic -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bucket", ["input", "cache_read", "cache_write", "input_audio", "output", "reasoning", "output_audio"]
)
def test_what_has_no_price_makes_the_cost_unknown_and_never_zero(bucket: str) -> None:
    rates = Rates(input=None, output=None)
    usage = replace(Usage(), **{bucket: 1})
    assert cost(rates, usage) is None
    assert cost_details(rates, usage) is None
    assert cost(rates, Usage()) == 0


def test_a_use_without_a_price_makes_the_cost_unknown() -> None:
    rates = Rates(input=1, output=1)
    assert cost(rates, Usage(input=1, details={"web_searches": 1})) is None
    assert cost(rates, Usage(input=1, details={"input_image": 1})) == 0


def test_a_bucket_without_a_price_of_its_own_costs_as_its_whole() -> None:
    rates = Rates(input=2_000_000, output=3_000_000)
    assert (
        cost(rates, Usage(cache_read=1)) == cost(rates, Usage(cache_write=1)) == cost(rates, Usage(input_audio=1)) == 2
    )
    assert cost(rates, Usage(reasoning=1)) == cost(rates, Usage(output_audio=1)) == 3


def test_details_are_taken_out_of_their_bucket() -> None:
    rates = Rates(input=1_000_000, output=1_000_000, cache_write=2_000_000, details={"cache_write_1h": 5_000_000})
    assert cost(rates, Usage(cache_write=10, details={"cache_write_1h": 4})) == 6 * 2 + 4 * 5
    assert cost_details(rates, Usage(cache_write=10, details={"cache_write_1h": 4})) == {
        "cache_write_1h": 20,
        "cache_write": 12,
    }


RATE = st.none() | st.integers(0, 10**12)
FLAT = {
    "input": st.integers(0, 10**12),
    "output": st.integers(0, 10**12),
    "cache_read": RATE,
    "cache_write": RATE,
    "reasoning": RATE,
    "input_audio": RATE,
    "output_audio": RATE,
    "request": st.integers(0, 10**8),
    "details": st.dictionaries(st.sampled_from(list(DETAIL_OF)), st.integers(0, 10**12)),
}
RATES = st.builds(
    Rates,
    **FLAT,
    tiers=st.lists(st.integers(0, 10**6), max_size=3, unique=True).flatmap(
        lambda steps: st.tuples(
            *(st.builds(Tier, above=st.just(step), rates=st.builds(Rates, **FLAT)) for step in sorted(steps))
        )
    ),
)
COUNT = st.integers(0, 1_000_000)
BUCKETS = dict.fromkeys(
    ("input", "cache_read", "cache_write", "input_audio", "output", "reasoning", "output_audio"), COUNT
)
PLAIN = st.builds(Usage, **BUCKETS)
USAGE = st.builds(Usage, **BUCKETS, details=st.dictionaries(st.sampled_from(list(DETAIL_OF)), COUNT))


@given(rates=RATES, usage=USAGE)
def test_the_parts_of_a_cost_add_up_to_it(rates: Rates, usage: Usage) -> None:
    total, parts = cost(rates, usage), cost_details(rates, usage)
    assert (total is None) == (parts is None)
    if total is not None and parts is not None:
        assert total >= 0
        assert sum(parts.values()) == total


def untiered(rates: Rates) -> Rates:
    return Rates(
        **{name: getattr(rates, name) for name in Rates.__dataclass_fields__ if name not in ("tiers", "request")}
    )


@given(rates=RATES, usage=PLAIN)
def test_cost_is_additive_over_buckets(rates: Rates, usage: Usage) -> None:
    flat = untiered(rates)
    apart = [cost(flat, Usage(**{bucket: getattr(usage, bucket)})) for bucket in BUCKETS]
    total = cost(flat, usage)
    assert total is not None
    assert abs(total - sum(one for one in apart if one is not None)) <= len(BUCKETS) / 2


@given(rates=RATES, usage=PLAIN)
def test_cost_is_the_exact_fraction_rounded_once(rates: Rates, usage: Usage) -> None:
    prompt = usage.input + usage.cache_read + usage.cache_write + usage.input_audio
    applying = rates
    for tier in rates.tiers:
        if prompt > tier.above:
            applying = tier.rates
    exact = Fraction(applying.request)
    for bucket in BUCKETS:
        rate = getattr(applying, bucket)
        if rate is None:
            rate = applying.output if bucket in ("reasoning", "output_audio") else applying.input
        exact += Fraction(getattr(usage, bucket) * rate, 1_000_000)
    total = cost(rates, usage)
    assert total is not None
    assert abs(total - exact) <= Fraction(1, 2)


def test_a_table_price_finer_than_a_nano_dollar_is_rounded_to_the_nearest() -> None:
    assert usd_to_nano(Decimal("0.18000000000000002")) == 180_000_000
