"""Datasets through the front door: who may, shapes, refusals, pages, and files in and out."""

from __future__ import annotations

import json
from typing import Any

import httpx
from tests.integration.http_server import make_key

API = "/api/v1/datasets"


async def done(client: httpx.AsyncClient, method: str, path: str, status: int = 200, **sent: Any) -> Any:
    answer = await client.request(method, API + path, **sent)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_a_dataset_grows_by_versions_that_are_paged(console: httpx.AsyncClient) -> None:
    made = await done(console, "POST", "", 201, json={"name": "qa", "splits": {"train": 1, "test": 1}})
    assert (made["version"]["number"], made["version"]["cases"]) == (1, 0)
    cases = [{"inputs": {"q": number}, "expected": number, "tags": ["math"]} for number in range(5)]
    put = await done(console, "POST", "/qa/cases", json={"cases": [*cases, cases[0]], "message": "first"})
    assert (put["added"], put["duplicates"], put["version"]["message"]) == (5, ["case 6"], "first")
    page = await done(console, "GET", "/qa/cases", params={"limit": 3, "tag": "math"})
    rest = await done(console, "GET", f"/{made['id']}/cases", params={"limit": 3, "cursor": page["next_cursor"]})
    assert [one["inputs"]["q"] for one in page["data"] + rest["data"]] == [0, 1, 2, 3, 4]
    assert rest["next_cursor"] is None
    assert {one["split"] for one in page["data"] + rest["data"]} == {"train", "test"}
    first = page["data"][0]
    assert await done(console, "GET", f"/qa/cases/{first['id']}") == first
    after = await done(console, "DELETE", "/qa/cases", params={"id": first["id"], "message": "wrong"})
    assert (after["number"], after["cases"], after["removed"]) == (3, 4, 1)
    assert (await done(console, "GET", f"/qa/cases/{first['id']}"))["in_dataset"] is False
    pinned = await done(console, "GET", "/qa/cases", params={"version": put["version"]["digest"]})
    assert (len(pinned["data"]), pinned["version"]["number"]) == (5, 2)
    (difference,) = await done(console, "GET", "/qa/diff", params={"before": "2", "after": "latest"})
    assert (difference["id"], difference["before"]["expected"], difference["after"]) == (first["id"], 0, None)
    versions = await done(console, "GET", "/qa/versions", params={"limit": 2})
    assert [one["number"] for one in versions["data"]] == [3, 2]
    changed = await done(console, "PATCH", "/qa", json={"description": "Sums", "metadata": {"owner": "ada"}})
    assert (changed["description"], changed["splits"], changed["version"]["number"]) == (
        "Sums",
        {"train": 1, "test": 1},
        3,
    )
    assert [one["name"] for one in (await done(console, "GET", ""))["data"]] == ["qa"]
    await done(console, "DELETE", "/qa", 204)
    await done(console, "GET", "/qa", 404)


async def test_what_is_refused_says_why(console: httpx.AsyncClient) -> None:
    await done(console, "POST", "", 201, json={"name": "qa", "input_schema": {"type": "string"}})
    refused = [
        ("POST", "", 409, {"json": {"name": "qa"}}),
        ("POST", "", 400, {"json": {"name": "x", "input_schema": {"type": "nothing"}}}),
        ("POST", "", 400, {"json": {"name": "x", "splits": {"a": 0}}}),
        ("POST", "/qa/cases", 400, {"json": {"cases": [{"inputs": 1}]}}),
        ("POST", "/qa/cases", 409, {"json": {"cases": [{"inputs": "a"}], "expected": 3}}),
        ("POST", "/nothing/cases", 404, {"json": {"cases": [{"inputs": "a"}]}}),
        ("GET", "/qa/cases", 400, {"params": {"version": "v1"}}),
        ("GET", "/qa/cases", 404, {"params": {"version": "7"}}),
        ("GET", "/qa/cases", 400, {"params": {"cursor": "x"}}),
        ("GET", "/qa/cases/none", 404, {}),
        ("DELETE", "/qa/cases", 404, {"params": {"id": "none"}}),
        ("DELETE", "/qa/cases", 400, {}),
        ("POST", "/qa/import", 400, {"json": {"format": "csv", "content": "a\n1\n"}}),
        ("POST", "/qa/cases/from-traces", 400, {"json": {}}),
    ]
    for method, path, status, sent in refused:
        problem = await done(console, method, path, status, **sent)
        assert problem["detail"], (method, path)
    told = await done(
        console, "POST", "/qa/import", 400, json={"format": "jsonl", "content": '{"input": "a"}\n{"x": 1}'}
    )
    assert (told["code"], "line 2" in told["detail"]) == ("invalid_cases", True)


async def test_files_come_in_and_go_out(console: httpx.AsyncClient) -> None:
    await done(console, "POST", "", 201, json={"name": "qa"})
    content = 'question,answer,level\n"What, is it?",42,easy\nWhy?,,hard\n'
    sent = {"format": "csv", "content": content, "mapping": {"metadata": ["level"]}, "split": "test", "tags": ["t"]}
    put = await done(console, "POST", "/qa/import", json=sent)
    assert (put["added"], put["version"]["message"]) == (2, "Imported 2 rows")
    out = await console.get(f"{API}/qa/export")
    rows = [json.loads(line) for line in out.text.splitlines()]
    assert (rows[0]["inputs"], rows[0]["expected"], rows[0]["metadata"], rows[0]["split"], rows[0]["tags"]) == (
        "What, is it?",
        "42",
        {"level": "easy"},
        "test",
        ["t"],
    )
    assert out.headers["x-octavo-version-digest"] == put["version"]["digest"]
    again = await done(console, "POST", "/qa/import", json={"format": "jsonl", "content": out.text})
    assert (again["unchanged"], again["version"]["number"]) == (2, put["version"]["number"])
    await done(console, "POST", "", 201, json={"name": "copy"})
    table = await console.get(f"{API}/qa/export", params={"format": "csv", "version": "2", "split": "test"})
    lines = [line.partition(",")[2] for line in table.text.splitlines()]
    without_ids = "\n".join(lines)
    copied = await done(console, "POST", "/copy/import", json={"format": "csv", "content": without_ids})
    assert copied["version"]["digest"] == put["version"]["digest"]


async def test_leaks_are_told(console: httpx.AsyncClient) -> None:
    await done(console, "POST", "", 201, json={"name": "qa"})
    cases = [{"inputs": "How far away is the moon?", "split": one} for one in ("train", "test")]
    await done(console, "POST", "/qa/cases", json={"cases": cases})
    told = await done(console, "GET", "/qa/leakage")
    assert (told["leaks"], told["complete"], told["pairs"][0]["similarity"]) == (1, True, 1.0)


async def test_only_who_may_reads_and_writes(console: httpx.AsyncClient) -> None:
    await done(console, "POST", "", 201, json={"name": "qa"})
    app = await make_key(console)
    reader = await make_key(console, scopes=["evals.read"])
    writer = await make_key(console, scopes=["evals.write"])
    body = {"cases": [{"inputs": "a"}]}
    for key, read, write in ((app, 200, 200), (reader, 200, 403), (writer, 403, 200)):
        header = {"authorization": f"Bearer {key['secret_key']}"}
        assert (await console.get(f"{API}/qa", headers=header)).status_code == read
        assert (await console.post(f"{API}/qa/cases", json=body, headers=header)).status_code == write
    header = {"authorization": f"Bearer {writer['secret_key']}"}
    taken = await console.post(f"{API}/qa/cases/from-traces", json={"trace_ids": ["t"]}, headers=header)
    assert taken.status_code == 403
