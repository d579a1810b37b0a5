"""Connections, routes and price rules on SQLite and on PostgreSQL: what is kept, what is refused, what is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from octavo_server.core.errors import Conflict, Invalid, NotFound
from octavo_server.core.events import Event
from octavo_server.core.money import usd_to_nano
from octavo_server.costs.model import Probe, Rates, Target, Tier, Timeouts
from octavo_server.costs.service import Costs, CurrentPrices
from octavo_server.costs.service.connections import ConnectionSpec
from octavo_server.costs.service.prices import PriceRuleSpec
from octavo_server.costs.service.routes import RouteSpec
from octavo_server.costs.store import StoredConnection
from octavo_server.edge.access import Principal
from octavo_server.stores.control import ControlStore
from octavo_server.traces.model import Usage

SECRET = "sk-very-secret-indeed-4711"


def openai(**fields: Any) -> ConnectionSpec:
    return ConnectionSpec(**{"name": "openai", "provider": "openai", "secret": SECRET, **fields})


def vllm(name: str = "gpu", **fields: Any) -> ConnectionSpec:
    return ConnectionSpec(**{"name": name, "provider": "vllm", **fields})


def events_of(control: ControlStore) -> list[Event]:
    return [stored.event for stored in control.events_after(0)]


# ---- connections ------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_and_its_secret_only_sealed(
    costs: Costs, control_store: ControlStore, ada: Principal
) -> None:
    made = costs.connections.create(
        ada, openai(options={"organization": "org-1", "headers": {"X-Key": "hidden-value"}})
    )
    assert costs.connections.get(ada, made.id) == made
    assert (made.has_secret, made.secret_last4, made.base_url) == (True, "4711", "https://api.openai.com/v1")
    assert made.options == {"organization": "org-1"}
    assert made.secret_options == ("headers",)
    opened = costs.snapshot_parts().connections[made.id]
    assert opened.secret == SECRET
    assert opened.options == {"organization": "org-1", "headers": {"X-Key": "hidden-value"}}
    assert SECRET not in repr(opened)
    with control_store.read() as sql:
        for table in ("connections", "events"):
            kept = repr([tuple(map(bytes_of, row)) for row in sql.execute(text(f"SELECT * FROM {table}"))])
            assert "very-secret" not in kept and "hidden-value" not in kept


def bytes_of(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value


def test_a_sealed_secret_opens_for_its_own_connection_only(costs: Costs, ada: Principal) -> None:
    made = costs.connections.create(ada, openai())
    with pytest.raises(Exception):  # noqa: B017 - whatever the cipher raises
        costs.connections.opened(replace(made, id="con_other"))


def test_every_change_is_one_event_with_digests_that_know_no_secret(
    costs: Costs, control_store: ControlStore, ada: Principal
) -> None:
    made = costs.connections.create(ada, openai())
    costs.connections.update(ada, made.id, ConnectionSpec(secret="sk-another-secret-0815"))
    costs.connections.update(ada, made.id, ConnectionSpec(name="openai-eu"))
    costs.connections.delete(ada, made.id)
    told = events_of(control_store)
    assert [event.action for event in told] == [
        "connection.created",
        "connection.updated",
        "connection.updated",
        "connection.deleted",
    ]
    assert told[0].before_digest is None and told[-1].after_digest is None
    assert [event.before_digest for event in told[1:]] == [event.after_digest for event in told[:-1]]
    assert told[1].before_digest != told[1].after_digest
    assert told[1].details["changed"] == ["secret_last4", "secret_version"]
    assert told[2].details["changed"] == ["name"]
    assert {(event.actor.id, event.project_id, event.request_id, event.subject_id) for event in told} == {
        ("usr_1", "prj_a", "req_1", made.id)
    }


def test_a_change_keeps_what_it_does_not_name(costs: Costs, ada: Principal) -> None:
    made = costs.connections.create(ada, openai(models=["gpt-4*"], options={"headers": {"a": "b"}}))
    changed = costs.connections.update(ada, made.id, ConnectionSpec(prices_as="free", options={"organization": "o"}))
    assert changed.models == ("gpt-4*",)
    assert (changed.secret_version, changed.sealed) == (made.secret_version, made.sealed)
    assert costs.connections.opened(changed).options == {"organization": "o", "headers": {"a": "b"}}
    cleared = costs.connections.update(ada, made.id, ConnectionSpec(options={"headers": {}}))
    assert costs.connections.opened(cleared).options == {}
    assert cleared.secret_version == made.secret_version + 1
    assert cleared.updated_at > cleared.created_at


def test_a_secret_stays_with_the_host_it_was_given_for(costs: Costs, ada: Principal) -> None:
    made = costs.connections.create(ada, openai(options={"headers": {"a": "b"}}))
    with pytest.raises(Invalid, match="secret"):
        costs.connections.update(ada, made.id, ConnectionSpec(base_url="https://evil.example/v1"))
    with pytest.raises(Invalid, match="headers"):
        costs.connections.update(ada, made.id, ConnectionSpec(base_url="https://evil.example/v1", secret="new-secret"))
    same_host = costs.connections.update(ada, made.id, ConnectionSpec(base_url="https://api.openai.com/v2/"))
    assert same_host.base_url == "https://api.openai.com/v2"
    moved = ConnectionSpec(base_url="https://else.example/v1", secret="new-secret", options={"headers": {"a": "c"}})
    assert costs.connections.opened(costs.connections.update(ada, made.id, moved)).secret == "new-secret"


def test_another_project_sees_and_touches_nothing(costs: Costs, ada: Principal, eve: Principal) -> None:
    made = costs.connections.create(ada, openai())
    costs.connections.create(eve, openai())
    assert [one.id for one in costs.connections.list(ada)] == [made.id]
    for act in (
        lambda: costs.connections.get(eve, made.id),
        lambda: costs.connections.update(eve, made.id, ConnectionSpec(name="x")),
        lambda: costs.connections.delete(eve, made.id),
        lambda: costs.connections.get(ada, "con_none"),
        lambda: costs.connections.get(ada, "\0"),
    ):
        with pytest.raises(NotFound):
            act()


def test_there_is_one_default_and_the_first_is_it(costs: Costs, control_store: ControlStore, ada: Principal) -> None:
    first = costs.connections.create(ada, vllm("a"))
    second = costs.connections.create(ada, vllm("b"))
    assert (first.is_default, second.is_default) == (True, False)
    costs.connections.update(ada, second.id, ConnectionSpec(is_default=True))
    third = costs.connections.create(ada, vllm("c", is_default=True))
    assert [one.name for one in costs.connections.list(ada) if one.is_default] == ["c"]
    costs.connections.update(ada, third.id, ConnectionSpec(is_default=False))
    assert not any(one.is_default for one in costs.connections.list(ada))
    assert [event.subject_id for event in events_of(control_store)[2:6]] == [first.id, second.id, second.id, third.id]


def test_a_name_is_taken_once(costs: Costs, control_store: ControlStore, ada: Principal, eve: Principal) -> None:
    costs.connections.create(ada, vllm("a"))
    other = costs.connections.create(ada, vllm("b"))
    costs.connections.create(eve, vllm("a"))
    before = control_store.last_event_seq()
    with pytest.raises(Conflict) as caught:
        costs.connections.create(ada, vllm("a"))
    assert caught.value.param == "name"
    with pytest.raises(Conflict):
        costs.connections.update(ada, other.id, ConnectionSpec(name="a"))
    assert control_store.last_event_seq() == before


REFUSED: list[tuple[ConnectionSpec, str]] = [
    (openai(name="Open AI"), "name"),
    (openai(name=""), "name"),
    (openai(name="-a"), "name"),
    (openai(name="a" * 65), "name"),
    (openai(provider="nobody"), "provider"),
    (openai(secret=""), "secret"),
    (openai(secret=None), "secret"),
    (openai(secret="x" * 20_000), "secret"),
    (openai(options={"organisation": "x"}), "options"),
    (openai(options={"headers": {"a": "b\nc"}}), "options"),
    (openai(options={"headers": "a: b"}), "options"),
    (openai(options={"organization": 7}), "options"),
    (openai(models=[""]), "models"),
    (openai(models=["a\0"]), "models"),
    (openai(models=["m"] * 501), "models"),
    (openai(prices_as="nobody-at-all"), "prices_as"),
    (ConnectionSpec(name="az", provider="azure", secret="s", options={"api_version": "v1"}), "base_url"),
    (ConnectionSpec(name="az", provider="azure", secret="s", base_url="https://x.example"), "options"),
    (
        ConnectionSpec(
            name="az",
            provider="azure",
            secret="s",
            base_url="https://x.example",
            options={"api_version": "1", "auth": "no"},
        ),
        "options",
    ),
    (ConnectionSpec(name="br", provider="bedrock", options={"pool": "many"}), "options"),
    (ConnectionSpec(name="br", provider="bedrock", options={"dual": "yes"}), "options"),
    (ConnectionSpec(name="br", provider="bedrock", options={"regions": "eu"}), "options"),
    (ConnectionSpec(name="br", provider="bedrock", options={"session_token": 1}), "options"),
]


@pytest.mark.parametrize(("spec", "param"), REFUSED)
def test_a_wrong_connection_is_refused_by_the_field_that_is_wrong(
    costs: Costs, control_store: ControlStore, ada: Principal, spec: ConnectionSpec, param: str
) -> None:
    with pytest.raises(Invalid) as caught:
        costs.connections.create(ada, spec)
    assert caught.value.param == param
    assert SECRET not in caught.value.message
    assert control_store.last_event_seq() == 0


def test_options_of_every_kind_are_kept(costs: Costs, ada: Principal) -> None:
    options: dict[str, Any] = {"session_token": "tok", "pool": 3, "dual": True, "regions": ["eu", "us"]}
    made = costs.connections.create(ada, ConnectionSpec(name="br", provider="bedrock", options=options))
    assert made.options == {"pool": 3, "dual": True, "regions": ["eu", "us"]}
    assert (made.has_secret, made.secret_options) == (False, ("session_token",))
    assert costs.connections.opened(made).options == options


def test_the_provider_cannot_change(costs: Costs, ada: Principal) -> None:
    made = costs.connections.create(ada, openai())
    with pytest.raises(Invalid, match="cannot change"):
        costs.connections.update(ada, made.id, ConnectionSpec(provider="vllm"))


def test_prices_as_is_kept_under_the_tables_own_name(costs: Costs, ada: Principal) -> None:
    assert costs.connections.create(ada, vllm(prices_as="gcp.vertex_ai")).prices_as == "google"


BAD_URLS = [
    "ftp://api.example.com",
    "https://",
    "https://user:pass@api.example.com",
    "https://token@api.example.com",
    "https://api.example.com/v1?key=abc",
    "https://api.example.com/v1#x",
    "https://api.example.com:99999",
    "https://api.example.com:0",
    "https://api .example.com",
    "https://api.example.com\\@evil",
    "https://[::1",
    "javascript:alert(1)",
    "https://exämple.com",
    "http://169.254.169.254/latest",
    "http://[fe80::1]/v1",
    "http://[::ffff:169.254.169.254]/v1",
    "http://2852039166/latest",
]
PRIVATE_URLS = [
    "http://127.0.0.1:8000/v1",
    "http://localhost:8000",
    "http://[::1]:8000/v1",
    "http://10.0.0.1",
    "http://192.168.1.1",
    "http://0.0.0.0",
    "http://127.1/v1",
    "http://0x7f000001/v1",
    "http://2130706433/v1",
    "http://[::ffff:10.0.0.1]/v1",
    "http://[64:ff9b::a00:1]/v1",
    "http://[fd00::1]/v1",
    "http://224.0.0.1",
    "http://inside/v1",
    "https://both/v1",
    "https://unknown.example/v1",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_an_address_that_is_none_is_refused_always(costs: Costs, ada: Principal, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        costs.connections.create(ada, vllm(base_url=url))
    assert caught.value.param == "base_url"
    assert "pass" not in caught.value.message


@pytest.mark.parametrize("url", PRIVATE_URLS)
def test_a_private_address_is_refused_where_users_are_not_trusted(
    make_costs: Callable[..., Costs], hosts: dict[str, Any], ada: Principal, url: str
) -> None:
    hosts["localhost"] = ["127.0.0.1", "::1"]
    with pytest.raises(Invalid) as caught:
        make_costs(private_allowed=False).connections.create(ada, vllm(base_url=url))
    assert caught.value.param == "base_url"
    assert make_costs(private_allowed=True).connections.create(ada, vllm(base_url=url)).base_url == url


def test_a_public_address_and_the_servers_own_model_are_allowed_where_users_are_not_trusted(
    make_costs: Callable[..., Costs], ada: Principal
) -> None:
    costs = make_costs(private_allowed=False)
    assert costs.connections.create(ada, openai()).base_url == "https://api.openai.com/v1"
    assert costs.connections.create(ada, vllm(base_url="https://1.1.1.1/v1")).base_url == "https://1.1.1.1/v1"
    local = ConnectionSpec(name="local", provider="local")
    assert costs.connections.create(ada, local).base_url == "http://127.0.0.1:8080/v1"
    with pytest.raises(Invalid):
        costs.connections.create(ada, replace(local, name="other", base_url="http://127.0.0.1:9999"))


async def test_a_test_asks_with_the_secret_and_remembers_the_models(
    costs: Costs, control_store: ControlStore, prober: Any, ada: Principal
) -> None:
    made = costs.connections.create(ada, openai())
    assert (await costs.connections.test(ada, made.id)).ok
    assert prober.asked[0].secret == SECRET
    assert costs.connections.get(ada, made.id).known_models == ("gpt-x", "gpt-y")
    prober.probe_result = Probe(ok=False, status=401, message="wrong key")
    assert not (await costs.connections.test(ada, made.id)).ok
    assert costs.connections.get(ada, made.id).known_models == ("gpt-x", "gpt-y")
    tested = [event for event in events_of(control_store) if event.action == "connection.tested"]
    assert [event.details["ok"] for event in tested] == [True, False]


async def test_a_test_does_not_follow_a_name_that_moved_inside(
    make_costs: Callable[..., Costs], hosts: dict[str, Any], prober: Any, ada: Principal
) -> None:
    costs = make_costs(private_allowed=False)
    made = costs.connections.create(ada, openai())
    hosts["api.openai.com"] = ["169.254.169.254"]
    with pytest.raises(Invalid):
        await costs.connections.test(ada, made.id)
    assert prober.asked == []


# ---- routes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def gpu(costs: Costs, ada: Principal) -> StoredConnection:
    return costs.connections.create(ada, vllm())


def test_a_route_is_kept_as_it_was_given(
    costs: Costs, control_store: ControlStore, ada: Principal, gpu: StoredConnection
) -> None:
    timeouts = Timeouts(connect_s=1.5, first_byte_s=2.0, total_s=30.0)
    spec = RouteSpec(
        pattern="smart",
        targets=[Target(connection_id=gpu.id, model="big", weight=3), Target(connection_id=gpu.id)],
        strategy="weighted",
        retries=0,
        timeouts=timeouts,
    )
    made = costs.routes.create(ada, spec)
    assert costs.routes.list(ada) == [made]
    assert costs.snapshot_parts().routes == {"prj_a": (made.route,)}
    assert made.route.timeouts == timeouts
    changed = costs.routes.update(ada, made.route.id, RouteSpec(retries=5))
    assert changed.route == replace(made.route, retries=5)
    costs.routes.delete(ada, made.route.id)
    assert costs.routes.list(ada) == []
    told = events_of(control_store)[1:]
    assert [event.action for event in told] == ["route.created", "route.updated", "route.deleted"]
    assert told[1].details == {"pattern": "smart", "changed": ["retries"]}


def test_the_snapshot_has_the_most_specific_route_first(costs: Costs, ada: Principal, gpu: StoredConnection) -> None:
    for pattern in ("*", "gpt-4.1", "gpt-*"):
        costs.routes.create(ada, RouteSpec(pattern=pattern, targets=[Target(connection_id=gpu.id)]))
    assert [route.pattern for route in costs.snapshot_parts().routes["prj_a"]] == ["gpt-4.1", "gpt-*", "*"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"pattern": ""}, "pattern"),
        ({"pattern": "a\nb"}, "pattern"),
        ({"pattern": "a" * 201}, "pattern"),
        ({"targets": []}, "targets"),
        ({"targets": [Target(connection_id="con_none")]}, "targets"),
        ({"strategy": "random"}, "strategy"),
        ({"retries": -1}, "retries"),
        ({"retries": 11}, "retries"),
        ({"timeouts": Timeouts(total_s=0.0)}, "timeouts"),
        ({"timeouts": Timeouts(total_s=float("nan"))}, "timeouts"),
    ],
)
def test_a_wrong_route_is_refused(
    costs: Costs, ada: Principal, gpu: StoredConnection, fields: dict[str, Any], param: str
) -> None:
    good: dict[str, Any] = {"pattern": "m", "targets": [Target(connection_id=gpu.id)]}
    with pytest.raises(Invalid) as caught:
        costs.routes.create(ada, RouteSpec(**{**good, **fields}))
    assert caught.value.param == param
    made = costs.routes.create(ada, RouteSpec(**good))
    with pytest.raises(Invalid):
        costs.routes.update(ada, made.route.id, RouteSpec(**fields))
    assert costs.routes.list(ada) == [made]


def test_weights_are_bounded_and_not_all_zero(costs: Costs, ada: Principal, gpu: StoredConnection) -> None:
    for weight in (-1, 1_000_001, 0):
        spec = RouteSpec(pattern="m", strategy="weighted", targets=[Target(connection_id=gpu.id, weight=weight)])
        with pytest.raises(Invalid, match="weight"):
            costs.routes.create(ada, spec)


def test_a_route_leads_to_connections_of_its_own_project(costs: Costs, eve: Principal, gpu: StoredConnection) -> None:
    with pytest.raises(Invalid):
        costs.routes.create(eve, RouteSpec(pattern="m", targets=[Target(connection_id=gpu.id)]))


def test_a_pattern_has_one_route(costs: Costs, ada: Principal, gpu: StoredConnection) -> None:
    targets = [Target(connection_id=gpu.id)]
    costs.routes.create(ada, RouteSpec(pattern="m", targets=targets))
    other = costs.routes.create(ada, RouteSpec(pattern="n", targets=targets))
    with pytest.raises(Conflict):
        costs.routes.create(ada, RouteSpec(pattern="m", targets=targets))
    with pytest.raises(Conflict):
        costs.routes.update(ada, other.route.id, RouteSpec(pattern="m"))
    with pytest.raises(NotFound):
        costs.routes.delete(ada, "rte_none")


def test_a_connection_that_a_route_leads_to_is_not_deleted(costs: Costs, ada: Principal, gpu: StoredConnection) -> None:
    made = costs.routes.create(ada, RouteSpec(pattern="smart", targets=[Target(connection_id=gpu.id)]))
    with pytest.raises(Conflict, match="smart"):
        costs.connections.delete(ada, gpu.id)
    costs.routes.delete(ada, made.route.id)
    costs.connections.delete(ada, gpu.id)
    assert costs.connections.list(ada) == []


# ---- prices -----------------------------------------------------------------------------------------------------


def test_a_price_rule_is_kept_exactly(costs: Costs, control_store: ControlStore, ada: Principal) -> None:
    rates = Rates(
        input=usd_to_nano("2.123456789"),
        output=None,
        cache_read=0,
        request=5,
        details={"web_searches": usd_to_nano("10000")},
        tiers=(Tier(above=200_000, rates=Rates(input=usd_to_nano("4"), output=1)),),
    )
    since = datetime(2026, 1, 1, tzinfo=UTC)
    spec = PriceRuleSpec(
        provider="openai", model="gpt-*", rates=rates, effective_from=since, effective_to=since + timedelta(days=30)
    )
    made = costs.prices.create_rule(ada, spec)
    assert costs.prices.list_rules(ada) == [made]
    assert made.rates == rates
    assert costs.snapshot_parts().price_rules == {"prj_a": (made,)}
    costs.prices.delete_rule(ada, made.id)
    assert costs.prices.list_rules(ada) == []
    assert [event.action for event in events_of(control_store)] == ["price_rule.created", "price_rule.deleted"]
    with pytest.raises(NotFound):
        costs.prices.delete_rule(ada, made.id)


def test_a_rule_is_in_force_from_now_unless_said_otherwise(costs: Costs, ada: Principal) -> None:
    rule = costs.prices.create_rule(ada, PriceRuleSpec(provider="*", model="*", rates=Rates(input=1, output=1)))
    assert rule.effective_from.year == 2026
    assert rule.effective_to is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"provider": ""}, "provider"),
        ({"provider": "a\0"}, "provider"),
        ({"note": "x" * 1001}, "note"),
        ({"note": "\0"}, "note"),
        ({"effective_to": datetime(2020, 1, 1, tzinfo=UTC)}, "effective_to"),
        ({"effective_to": datetime.max.replace(tzinfo=UTC)}, "effective_to"),
        ({"effective_from": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}, "effective_from"),
    ],
)
def test_a_wrong_rule_is_refused(costs: Costs, ada: Principal, fields: dict[str, Any], param: str) -> None:
    good = {"provider": "*", "model": "*", "rates": Rates(input=1, output=1)}
    with pytest.raises(Invalid) as caught:
        costs.prices.create_rule(ada, PriceRuleSpec(**{**good, **fields}))
    assert caught.value.param == param


def test_the_table_is_searched_by_provider_and_model(costs: Costs) -> None:
    found = costs.prices.search(provider="openai", model="4.1-mini")
    assert {one.provider for one in found} == {"openai"}
    mini = next(one for one in found if one.model == "gpt-4.1-mini")
    assert mini.rates.input == usd_to_nano("0.4")
    assert len(costs.prices.search(limit=7)) == 7
    assert costs.prices.search(offset=5, limit=2) == costs.prices.search(limit=7)[5:]
    assert costs.prices.search(model="no such model") == []


def test_the_models_of_a_project_are_those_it_can_call_with_their_price(
    costs: Costs, ada: Principal, eve: Principal, gpu: StoredConnection
) -> None:
    costs.connections.create(ada, openai())
    costs.connections.create(ada, ConnectionSpec(name="local", provider="local"))
    costs.routes.create(ada, RouteSpec(pattern="smart", targets=[Target(connection_id=gpu.id, model="big")]))
    costs.prices.create_rule(ada, PriceRuleSpec(provider="gpu", model="big", rates=Rates(input=1, output=1)))
    listed = {one.model: one for one in costs.prices.models(ada)}
    assert (listed["gpt-4.1-mini"].connection, listed["gpt-4.1-mini"].price.source) == ("openai", "shipped")
    assert (listed["smollm2-135m"].connection, listed["smollm2-135m"].price.source) == ("local", "free")
    assert (listed["smart"].upstream_model, listed["smart"].price.source) == ("big", "rule")
    assert not any(name.startswith("claude") for name in listed)
    assert costs.prices.models(eve) == []


async def test_what_a_test_found_can_be_called(
    costs: Costs, prober: Any, ada: Principal, gpu: StoredConnection
) -> None:
    prober.probe_result = Probe(ok=True, status=200, models=("llama", "", "x" * 300))
    await costs.connections.test(ada, gpu.id)
    assert [(one.model, one.price.source) for one in costs.prices.models(ada)] == [("llama", "")]


def test_the_worker_prices_by_the_rules_of_now(costs: Costs, control_store: ControlStore, ada: Principal) -> None:
    clock = Standing()
    prices = CurrentPrices(control_store, clock=clock)
    at_ns = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 10**9
    usage = Usage(input=1_000_000)
    assert prices.price_span("prj_a", "", "mystery", usage, at_ns) is None
    rule = costs.prices.create_rule(
        ada, PriceRuleSpec(provider="*", model="mystery", rates=Rates(input=usd_to_nano("3"), output=1))
    )
    assert prices.price_span("prj_a", "", "mystery", usage, at_ns) is None  # it has looked just now
    clock.ns += 2 * 10**9
    assert prices.price_span("prj_a", "", "mystery", usage, at_ns) == usd_to_nano("3")
    assert prices.price_span("prj_b", "", "mystery", usage, at_ns) is None
    costs.prices.delete_rule(ada, rule.id)
    clock.ns += 2 * 10**9
    assert prices.price_span("prj_a", "", "mystery", usage, at_ns) is None


class Standing:
    """A clock that is moved by hand."""

    ns = 10**18

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.ns / 10**9, UTC)

    def now_ns(self) -> int:
        return self.ns


# ---- races ------------------------------------------------------------------------------------------------------


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What each act returned or raised, all started together."""
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(index: int, act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[index] = act()
        except (Conflict, Invalid, NotFound) as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index, act)) for index, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_writers_of_one_name_one_gets_it(costs: Costs, control_store: ControlStore, ada: Principal) -> None:
    results = at_once(*[lambda: costs.connections.create(ada, vllm("same"))] * 6)
    assert sum(isinstance(result, StoredConnection) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 5
    assert control_store.last_event_seq() == 1


def test_of_writers_of_the_default_one_stays_it(costs: Costs, ada: Principal) -> None:
    made = [costs.connections.create(ada, vllm(f"c{number}")) for number in range(4)]
    spec = ConnectionSpec(is_default=True)
    at_once(*[partial(costs.connections.update, ada, one.id, spec) for one in made])
    assert sum(one.is_default for one in costs.connections.list(ada)) == 1


def test_a_route_and_the_deletion_of_its_connection_never_both_happen(costs: Costs, ada: Principal) -> None:
    for number in range(5):
        made = costs.connections.create(ada, vllm(f"c{number}"))
        spec = RouteSpec(pattern=f"m{number}", targets=[Target(connection_id=made.id)])
        at_once(partial(costs.connections.delete, ada, made.id), partial(costs.routes.create, ada, spec))
    alive = {one.id for one in costs.connections.list(ada)}
    assert all(target.connection_id in alive for one in costs.routes.list(ada) for target in one.route.targets)
