"""Prompts through the front door: who may, shapes, refusals, and Langfuse's routes beside Octavo's."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.integration.http_server import make_key

API = "/api/v1/prompts"
LANGFUSE = "/api/public/v2/prompts"


async def made(client: httpx.AsyncClient, name: str, template: Any, path: str = "", **fields: Any) -> dict[str, Any]:
    answer = await client.post(API + path, json={"name": name, "template": template, **fields})
    assert answer.status_code == 201, answer.text
    value: dict[str, Any] = answer.json()
    return value


async def test_a_version_is_resolved_with_its_etag(console: httpx.AsyncClient) -> None:
    first = await made(
        console,
        "a/greet",
        [{"role": "system", "content": "Be {{tone}}."}, {"placeholder": "history"}],
        variables=[{"name": "tone", "type": "string", "description": "How to sound"}],
        model="gpt-5",
        parameters={"temperature": 0.5},
        labels=["production"],
        tags=["x"],
        message="begin",
    )
    assert (first["number"], first["labels"], first["author"]["kind"]) == (1, ["production", "latest"], "user")
    for reference in ("a/greet", "a/greet@1", f"a/greet@{first['digest']}"):
        answer = await console.get(f"{API}/resolve", params={"reference": reference})
        assert answer.json() == first
    known = {"if-none-match": answer.headers["etag"]}
    again = await console.get(f"{API}/resolve", params={"reference": "a/greet"}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    await console.put(f"{API}/labels", json={"name": "a/greet", "label": "staging", "number": 1})
    assert (await console.get(f"{API}/resolve", params={"reference": "a/greet"}, headers=known)).status_code == 200
    missing = await console.get(f"{API}/resolve", params={"reference": "a/greet@canary"})
    assert (missing.status_code, missing.json()["code"]) == (404, "prompt_not_found")
    filled = await console.post(
        f"{API}/render",
        json={
            "reference": "a/greet",
            "variables": {"tone": "kind"},
            "placeholders": {"history": [{"role": "user", "content": "hi"}]},
        },
    )
    assert filled.json()["messages"][1] == {"role": "user", "content": "hi"}


async def test_lists_are_paged_and_versions_compared(console: httpx.AsyncClient) -> None:
    for name in ("a", "b", "c"):
        await made(console, name, "one {{x}}", tags=["t"])
    await made(console, "a", "two {{x}}", parameters={"seed": 1}, tools=[{"name": "f"}])
    page = (await console.get(API, params={"limit": 2, "tag": "t"})).json()
    assert [one["name"] for one in page["data"]] == ["a", "b"]
    assert page["data"][0]["versions"] == [1, 2]
    rest = (await console.get(API, params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert ([one["name"] for one in rest["data"]], rest["next_cursor"]) == (["c"], None)
    versions = (await console.get(f"{API}/versions", params={"name": "a", "limit": 1})).json()
    assert [one["number"] for one in versions["data"]] == [2]
    wrong = await console.get(API, params={"cursor": versions["next_cursor"]})
    assert wrong.status_code == 400
    changes = (await console.get(f"{API}/diff", params={"before": "a@1", "after": "a@2"})).json()
    assert [one["part"] for one in changes] == ["parameters.seed", "template", "tools"]
    assert "+two {{x}}" in changes[1]["diff"]


async def test_labels_are_moved_by_who_may(console: httpx.AsyncClient) -> None:
    await made(console, "a", "1", labels=["production"])
    await made(console, "a", "2")
    move = {"name": "a", "label": "production", "number": 2, "expected": 2, "reason": "better"}
    assert (await console.put(f"{API}/labels", json=move)).status_code == 409
    moved = await console.put(f"{API}/labels", json={**move, "expected": 1})
    assert moved.json() == {"production": 2, "latest": 2}
    history = (await console.get(f"{API}/labels/history", params={"name": "a"})).json()
    assert [(one["from_number"], one["to_number"], one["reason"]) for one in history] == [
        (1, 2, "better"),
        (None, 1, ""),
    ]
    assert (await console.put(f"{API}/labels/protected", json={"labels": ["production"]})).status_code == 200

    writer = await make_key(console, scopes=["prompts.read", "prompts.write"])
    reader = await make_key(console)
    key = {"authorization": f"Bearer {writer['secret_key']}"}
    refused = await console.put(f"{API}/labels", json={**move, "number": 1}, headers=key)
    assert (refused.status_code, "protected" in refused.json()["detail"]) == (403, True)
    assert (await console.put(f"{API}/labels/protected", json={"labels": []}, headers=key)).status_code == 403
    key = {"authorization": f"Bearer {reader['secret_key']}"}
    assert (await console.get(API, headers=key)).status_code == 200
    assert (await console.post(API, json={"name": "b", "template": "x"}, headers=key)).status_code == 403


async def test_forks_merge_back_or_tell_the_conflict(console: httpx.AsyncClient) -> None:
    await made(console, "a", "1")
    fork = await console.post(f"{API}/fork", json={"reference": "a@1", "name": "try"})
    assert fork.status_code == 201
    await made(console, "try", "2")
    merged = await console.post(f"{API}/merge", json={"reference": "try@latest"})
    assert (merged.status_code, merged.json()["number"], merged.json()["expanded"]) == (201, 2, "2")
    await made(console, "try", "3")
    await made(console, "a", "4")
    clash = await console.post(f"{API}/merge", json={"reference": "try@latest"})
    assert (clash.status_code, clash.json()["code"]) == (409, "merge_conflict")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"name": "a@b", "template": "x"}),
        ("", {"name": "a", "template": [{"role": "user"}]}),
        ("", {"name": "a", "template": "x", "labels": ["9"]}),
        ("", {"name": "a", "template": "x", "labels": ["Up"]}),
        ("", {"name": "a", "template": "x", "tags": ['"']}),
        ("", {"name": "a", "template": "x", "message": "\0"}),
        ("", {"name": "a", "template": "{% x", "engine": "jinja2"}),
        ("", {"name": "a", "template": "x", "parameters": {"seed": 2**70}}),
        ("", {"name": "a", "template": "x", "config": "\ud800"}),
        ("/render", {"body": {"template": "{{x}}"}, "variables": {"x": "\ud800"}}),
        ("/render", {"body": {"template": "{{x}}"}, "variables": {}}),
        ("/render", {"body": {"template": "x"}, "reference": "a"}),
        ("/render", {}),
    ],
)
async def test_what_makes_no_sense_is_refused(console: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    answer = await console.post(API + path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (400, 400), answer.text


async def test_langfuses_routes_take_every_name(console: httpx.AsyncClient) -> None:
    key = await make_key(console, scopes=["prompts.read", "prompts.write"])
    console.headers["authorization"] = f"Bearer {key['secret_key']}"
    for name in ("plain", "folder/greet", "50% off?", "a b", "x/versions/2", "ü"):
        quoted = httpx.URL("/").copy_with(params={"n": name}).query.decode()[2:].replace("+", "%20").replace("/", "%2F")
        answer = await console.post(LANGFUSE, json={"name": name, "prompt": f"I am {name}", "labels": ["production"]})
        assert answer.status_code == 200, answer.text
        found = (await console.get(f"{LANGFUSE}/{quoted}")).json()
        assert (found["name"], found["prompt"], found["version"], found["type"]) == (name, f"I am {name}", 1, "text")
        moved = await console.patch(f"{LANGFUSE}/{quoted}/versions/1", json={"newLabels": ["staging"]})
        assert set(moved.json()["labels"]) == {"production", "staging", "latest"}
        assert (await console.delete(f"{LANGFUSE}/{quoted}")).status_code == 204
        gone = await console.get(f"{LANGFUSE}/{quoted}")
        assert (gone.status_code, gone.json()["error"]) == (404, "LangfuseNotFoundError")


async def test_files_of_other_tools_come_in_and_go_out(console: httpx.AsyncClient) -> None:
    await made(console, "child", "Be kind.", labels=["production"])
    await made(console, "a", [{"role": "system", "content": "{{> child}} {{x}}"}], model="m", labels=["production"])
    for form in ("langfuse", "mlflow", "promptfoo", "dotprompt", "prompty"):
        file = await console.get(f"{API}/export", params={"reference": "a", "format": form})
        assert file.status_code == 200
        answer = await console.post(
            f"{API}/import", json={"format": form, "content": file.text, "name": f"from/{form}"}
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()[0]["expanded"] == [{"role": "system", "content": "Be kind. {{x}}"}]
    many = json.dumps([{"name": "new", "prompt": "1"}, {"name": "new", "prompt": [{"role": "user", "content": "2"}]}])
    refused = await console.post(f"{API}/import", json={"format": "langfuse", "content": many})
    assert refused.status_code == 400
    assert (await console.get(f"{API}/resolve", params={"reference": "new@latest"})).status_code == 404
    dates = "---\nname: x\nmodel: {parameters: {d: 2020-01-01}}\n---\nx"
    refused = await console.post(f"{API}/import", json={"format": "prompty", "content": dates})
    assert refused.status_code == 400
