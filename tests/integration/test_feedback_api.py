"""Scores' configs, comments and saved views through the front door: who may, what is refused, and the events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.http_server import make_key

API = "/api/v1"


async def events(client: httpx.AsyncClient) -> list[str]:
    return [one["action"] for one in (await client.get(f"{API}/events")).json()["data"]]


async def made(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(API + path, json=body)
    assert answer.status_code == 201, answer.text
    value: dict[str, Any] = answer.json()
    return value


async def test_a_score_is_held_to_its_config(console: httpx.AsyncClient) -> None:
    config = await made(
        console, "/score-configs", {"name": "quality", "data_type": "NUMERIC", "min_value": 0, "max_value": 1}
    )
    score = {"trace_id": "t", "name": "quality", "config_id": config["id"]}

    kept = await made(console, "/scores", {**score, "value": 0.5, "comment": "fine"})
    assert (kept["value"], kept["source"], kept["data_type"]) == (0.5, "ANNOTATION", "NUMERIC")
    for wrong, param in (
        ({**score, "value": 2}, "value"),
        ({**score, "value": "good"}, "value"),
        ({**score, "value": 1, "name": "other"}, "config_id"),
        ({**score, "value": 1, "config_id": "none"}, "config_id"),
        ({"name": "x", "value": 1}, "trace_id"),
        ({"name": "x", "value": 1, "session_id": "s", "span_id": "y"}, "trace_id"),
    ):
        answer = await console.post(f"{API}/scores", json=wrong)
        assert (answer.status_code, answer.json()["param"]) == (400, param), answer.text

    changed = await console.patch(f"{API}/score-configs/{config['id']}", json={"is_archived": True})
    assert changed.json()["is_archived"]
    answer = await console.post(f"{API}/scores", json={**score, "value": 0.5})
    assert "archived" in answer.json()["detail"]
    assert (await events(console))[:2] == ["score_config.changed", "score_config.created"]


@pytest.mark.parametrize(
    ("value", "data_type", "number", "text"),
    [(True, "BOOLEAN", 1, ""), (3, "NUMERIC", 3, ""), ("good", "CATEGORICAL", None, "good")],
)
async def test_a_value_says_its_type(
    console: httpx.AsyncClient, value: Any, data_type: str, number: float | None, text: str
) -> None:
    kept = await made(console, "/scores", {"session_id": "s", "name": "x", "value": value})

    assert (kept["data_type"], kept["value"], kept["string_value"]) == (data_type, number, text)


async def test_configs_that_no_score_can_follow_are_refused(console: httpx.AsyncClient) -> None:
    for wrong in (
        {"name": "x", "data_type": "NUMERIC", "min_value": 2, "max_value": 1},
        {"name": "x", "data_type": "CATEGORICAL"},
        {
            "name": "x",
            "data_type": "CATEGORICAL",
            "categories": [{"label": "a", "value": 1}, {"label": "a", "value": 2}],
        },
        {"name": "x", "data_type": "TEXT", "max_value": 1},
    ):
        assert (await console.post(f"{API}/score-configs", json=wrong)).status_code == 400


async def test_comments_are_said_and_taken_back(console: httpx.AsyncClient) -> None:
    said = await made(console, "/comments", {"trace_id": "t", "span_id": "s", "text": "look here"})
    await made(console, "/comments", {"trace_id": "t", "text": "and here"})

    found = (await console.get(f"{API}/comments", params={"trace_id": "t", "span_id": "s"})).json()["data"]
    assert [one["text"] for one in found] == ["look here"]
    assert (await console.delete(f"{API}/comments/{said['id']}")).status_code == 204
    assert (await console.delete(f"{API}/comments/{said['id']}")).status_code == 404
    assert (await events(console))[:3] == ["comment.deleted", "comment.created", "comment.created"]


async def test_a_view_is_its_owners_unless_it_is_shared(console: httpx.AsyncClient, tmp_path: Path) -> None:
    mine = await made(console, "/views", {"name": "mine", "page": "traces", "query": "?filter=x"})
    shared = await made(console, "/views", {"name": "ours", "page": "metrics", "shared": True})
    key = await make_key(console)
    other = httpx.AsyncClient(
        transport=console._transport,
        base_url=console.base_url,
        headers={"authorization": f"Bearer {key['secret_key']}"},
    )

    assert [view["id"] for view in (await console.get(f"{API}/views")).json()["data"]] == [mine["id"], shared["id"]]
    assert [view["mine"] for view in (await other.get(f"{API}/views")).json()["data"]] == [False]
    assert (await other.delete(f"{API}/views/{shared['id']}")).status_code == 404
    changed = await console.patch(f"{API}/views/{mine['id']}", json={"name": "better"})
    assert (changed.json()["name"], changed.json()["query"]) == ("better", "?filter=x")
    assert (await console.delete(f"{API}/views/{mine['id']}")).status_code == 204
    assert (await console.post(f"{API}/views", json={"name": "x", "page": "nowhere"})).status_code == 400
    assert (await events(console))[0] == "view.deleted"


async def test_a_channels_secret_is_told_once(console: httpx.AsyncClient) -> None:
    hook = await made(console, "/channels", {"name": "ops", "kind": "webhook", "url": "http://127.0.0.1:9/hook"})
    assert hook["secret"].startswith("whsec_")
    listed = (await console.get(f"{API}/channels")).json()["data"]
    assert [one["secret"] for one in listed] == [None]
    assert hook["secret"] not in (await console.get(f"{API}/events")).text

    told = (await console.post(f"{API}/channels/{hook['id']}/test")).json()
    assert (told["ok"], told["status"]) == (False, 0)
    mail = await made(console, "/channels", {"name": "team", "kind": "email", "addresses": ["ada@example.com"]})
    assert "OCTAVO_SMTP_URL" in (await console.post(f"{API}/channels/{mail['id']}/test")).json()["message"]
    for wrong in (
        {"name": "x", "kind": "webhook", "url": "ftp://example.com"},
        {"name": "x", "kind": "email", "addresses": ["nobody"]},
        {"name": "x", "kind": "webhook", "url": "http://169.254.169.254/latest"},
    ):
        assert (await console.post(f"{API}/channels", json=wrong)).status_code == 400, wrong


async def test_alert_rules_are_made_changed_and_forgotten(console: httpx.AsyncClient) -> None:
    mail = await made(console, "/channels", {"name": "team", "kind": "email", "addresses": ["ada@example.com"]})
    rule = await made(
        console,
        "/alert-rules",
        {"name": "slow", "measure": "latency_p95", "threshold": 2000, "channel_ids": [mail["id"]]},
    )
    changed = await console.patch(f"{API}/alert-rules/{rule['id']}", json={"enabled": False, "window_minutes": 30})
    assert (changed.json()["enabled"], changed.json()["window_minutes"]) == (False, 30)
    for wrong, param in (
        ({"name": "x", "measure": "nothing", "threshold": 1}, "measures"),
        ({"name": "x", "measure": "calls", "threshold": 1, "channel_ids": ["none"]}, "channel_ids"),
        ({"name": "x", "measure": "calls", "threshold": 1, "filter": "model ="}, "filter"),
    ):
        answer = await console.post(f"{API}/alert-rules", json=wrong)
        assert (answer.status_code, answer.json()["param"]) == (400, param), answer.text
    assert (await console.delete(f"{API}/alert-rules/{rule['id']}")).status_code == 204
    assert (await console.get(f"{API}/alerts")).json()["data"] == []
    assert (await events(console))[:3] == ["alert_rule.deleted", "alert_rule.changed", "alert_rule.created"]
