"""Where a call goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.core.errors import NotFound
from octavo_server.costs.model import Connection, Route, Target, Timeouts, glob_matches, specificity
from octavo_server.costs.runtime import PriceBook, RoutePlan, Router, callable_models, plan_route

DEFAULTS = {"openai": ("gpt-*", "o3"), "anthropic": ("claude-*",), "local": ("smollm2-135m",)}


def connection(name: str, provider: str = "openai_compatible", **fields: object) -> Connection:
    return Connection(id=f"con_{name}", project_id="prj", name=name, provider=provider, base_url="", **fields)  # type: ignore[arg-type]


def route(pattern: str, *targets: Target, **fields: object) -> Route:
    return Route(id=f"rte_{pattern}", project_id="prj", pattern=pattern, targets=targets, **fields)  # type: ignore[arg-type]


def to(name: str, model: str = "", weight: int = 1) -> Target:
    return Target(connection_id=f"con_{name}", model=model, weight=weight)


OPENAI, CLAUDE, GPU = connection("openai", "openai"), connection("claude", "anthropic"), connection("gpu")


def plan(model: str, *connections: Connection, routes: tuple[Route, ...] = ()) -> RoutePlan:
    return plan_route(routes, connections, model, provider_models=DEFAULTS)


def went(found: RoutePlan) -> list[tuple[str, str]]:
    return [(hop.connection.name, hop.model) for hop in found.hops]


def test_the_exact_route_goes_before_every_glob_and_the_longer_glob_before_the_shorter() -> None:
    routes = (route("*", to("gpu")), route("gpt-4*", to("claude")), route("gpt-4.1", to("openai")))
    assert went(plan("gpt-4.1", OPENAI, CLAUDE, GPU, routes=routes)) == [("openai", "gpt-4.1")]
    assert went(plan("gpt-4o", OPENAI, CLAUDE, GPU, routes=routes)) == [("claude", "gpt-4o")]
    assert went(plan("gpt-3", OPENAI, CLAUDE, GPU, routes=routes)) == [("gpu", "gpt-3")]


def test_a_route_keeps_its_chain_its_retries_and_its_timeouts() -> None:
    timeouts = Timeouts(connect_s=1.0, first_byte_s=2.0, total_s=3.0)
    routes = (route("fast", to("openai", "gpt-4.1-mini"), to("gpu"), retries=1, timeouts=timeouts),)
    found = plan("fast", OPENAI, GPU, routes=routes)
    assert went(found) == [("openai", "gpt-4.1-mini"), ("gpu", "fast")]
    assert (found.retries, found.timeouts, found.route_id) == (1, timeouts, "rte_fast")
    assert found.order(0.99) == found.hops


def test_a_route_whose_connections_are_gone_is_passed_over() -> None:
    routes = (route("gpt-4.1", to("gone")), route("gpt-*", to("gone"), to("gpu")))
    assert went(plan("gpt-4.1", OPENAI, GPU, routes=routes)) == [("gpu", "gpt-4.1")]


def test_a_connections_name_before_a_slash_chooses_it() -> None:
    assert went(plan("gpu/meta/llama", OPENAI, GPU)) == [("gpu", "meta/llama")]
    with pytest.raises(NotFound):
        plan("gpu/", OPENAI, GPU)


def test_a_model_goes_to_the_connection_that_claims_it_most_specifically() -> None:
    own = connection("own", models=("gpt-4.1-*",))
    assert went(plan("gpt-4.1-mini", OPENAI, own)) == [("own", "gpt-4.1-mini")]
    assert went(plan("gpt-5", OPENAI, own)) == [("openai", "gpt-5")]
    assert went(plan("claude-sonnet", OPENAI, CLAUDE)) == [("claude", "claude-sonnet")]


def test_of_equal_claims_the_default_wins_and_then_the_first_name() -> None:
    first, second = connection("a", "openai"), connection("b", "openai")
    assert went(plan("gpt-5", second, first)) == [("a", "gpt-5")]
    default = connection("z", "openai", is_default=True)
    assert went(plan("gpt-5", second, first, default)) == [("z", "gpt-5")]
    assert went(plan("gpt-5", connection("ab", "openai"), first)) == [("a", "gpt-5")]


def test_the_default_takes_what_nobody_claims() -> None:
    assert went(plan("mystery", OPENAI, connection("gpu", is_default=True))) == [("gpu", "mystery")]
    assert went(plan("org/mystery", OPENAI, connection("gpu", is_default=True))) == [("gpu", "org/mystery")]


def test_an_unknown_model_says_what_to_do() -> None:
    with pytest.raises(NotFound) as caught:
        plan("smolm2-135m", OPENAI, connection("local", "local"), routes=(route("smart", to("openai")),))
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "Did you mean smollm2-135m?" in caught.value.message
    assert "local, openai" in caught.value.message


def test_close_names_are_at_most_five_and_come_from_tests_too() -> None:
    many = connection("gpu", known_models=tuple(f"model-{number}" for number in range(9)))
    with pytest.raises(NotFound) as caught:
        plan("model-x", many)
    assert caught.value.message.partition("Did you mean ")[2].partition("?")[0].count(",") == 4


def test_no_connection_and_no_model_are_told_apart() -> None:
    with pytest.raises(NotFound, match="none yet"):
        plan("gpt-5")
    with pytest.raises(NotFound, match="names no model"):
        plan("", OPENAI)


WEIGHTED = RoutePlan(
    hops=plan_route(
        (route("m", to("openai", weight=3), to("claude", weight=0), to("gpu", weight=1), strategy="weighted"),),
        (OPENAI, CLAUDE, GPU),
        "m",
        provider_models={},
    ).hops,
    weighted=True,
)


@given(draw=st.floats(0, 1, exclude_max=True))
def test_a_weighted_route_draws_the_first_and_keeps_the_rest_in_order(draw: float) -> None:
    order = [hop.connection.name for hop in WEIGHTED.order(draw)]
    assert order == (["openai", "claude", "gpu"] if draw < 0.75 else ["gpu", "openai", "claude"])


def test_a_router_keeps_plans_by_project_and_not_without_end() -> None:
    router = Router({"prj": (route("m", to("gpu")),)}, {"con_gpu": connection("gpu", is_default=True)}, DEFAULTS)
    assert router.plan("prj", "m") is router.plan("prj", "m")
    for number in range(10_000):
        router.plan("prj", f"m-{number}")
    assert len(router._plans) <= 4096
    with pytest.raises(NotFound):
        router.plan("prj_other", "m")
    with pytest.raises(NotFound, match="1000000 characters"):
        router.plan("prj", "m" * 1_000_000)


def test_the_models_that_can_be_called_are_named_by_routes_connections_tests_and_the_table() -> None:
    routes = (route("smart", to("openai")), route("any-*", to("openai")))
    tested = connection("gpu", models=("llama-*", "exact"), known_models=("llama-3", "other"))
    default = connection("box", known_models=("whatever",), is_default=True)
    named = callable_models(
        routes, (OPENAI, tested, default), provider_models={"openai": ("gpt-4.1*",)}, book=PriceBook()
    )
    assert {"smart", "exact", "llama-3", "whatever", "gpt-4.1-mini"} <= set(named)
    assert not {"any-*", "llama-*", "other", "o3", "gpt-4o"} & set(named)
    assert named == sorted(named)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("gpt-*", "gpt-4", True),
        ("gpt-*", "GPT-4", False),
        ("gpt-?", "gpt-44", False),
        ("*", "", True),
        ("a[b]*", "a[b]c", True),
        ("a[b]*", "abc", False),
        ("a.c", "abc", False),
        ("[ab]", "[ab]", True),
    ],
)
def test_globs_know_two_wildcards_only(pattern: str, text: str, matches: bool) -> None:
    assert glob_matches(pattern, text) == matches


def test_an_exact_name_is_more_specific_than_any_glob() -> None:
    assert specificity("o3") > specificity("a-very-long-glob-*") > specificity("a-*") > specificity("*")
