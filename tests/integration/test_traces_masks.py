"""A project's masks and capture mode on what clients send, through the front door to what is on disk in the store."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from tests.integration.otlp_server import Octavo, document, octavo, span
from tests.unit.traces.spans import any_value, key_values, protobuf

SECRET = "müller-4711"
MASK = "m[üu]ller-[0-9]+"
MASKED = "[MASKED]"
ESCAPED = json.dumps(SECRET)  # "m\u00fcller-4711", as Python's clients write JSON
DUMP = """
import sys
from pathlib import Path
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry

engine = EmbeddedTelemetry(Path(sys.argv[1]), connections=1)
for table in ("spans", "span_logs", "scores"):
    sys.stdout.buffer.write(engine.run(f"SELECT * FROM {table}", output="JSONEachRow"))
engine.shut()
"""


def messages(text: str) -> str:
    call = {"function": {"name": "find", "arguments": json.dumps({"who": text})}}
    return json.dumps([{"role": "user", "content": text, "tool_calls": [call]}])


def attributes(secret: str) -> dict[str, Any]:
    return {
        "gen_ai.input.messages": messages(secret),
        "output.value": f"He is {secret}.",
        "llm.input_messages.0.message.content": secret,
        "llm.invocation_parameters": json.dumps({"temperature": 0.5, "system": secret}),
        "gen_ai.request.stop_sequences": [secret],
        "retrieval.documents.0.document.content": secret,
        "langfuse.observation.metadata.note": json.dumps(secret),
        "langfuse.trace.tags": [secret, "kind"],
        "user.id": secret,
        "whatever": {"deep": [{"er": secret}]},
        "gen_ai.usage.input_tokens": 4711,
    }


def everything(secret: str) -> dict[str, Any]:
    """A span with the secret wherever there is a place for one."""
    return {
        "name": f"ask {secret}",
        "attributes": attributes(secret),
        "status": {"code": 2, "message": f"no {secret}"},
        "events": [{"name": f"seen {secret}", "attributes": key_values({"exception.message": secret})}],
        "links": [{"trace_id": b"\1" * 16, "span_id": b"\2" * 8, "attributes": key_values({"why": secret})}],
    }


def log_records(trace: int) -> bytes:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in (1, 9):  # of a span that is there, and of one that is not
        record = records.add(
            trace_id=trace.to_bytes(16), span_id=number.to_bytes(8), event_name="gen_ai.user.message",
            time_unix_nano=time.time_ns(),
        )  # fmt: skip
        record.body.CopyFrom(any_value({"content": SECRET}))
        record.attributes.extend(key_values({"note": ESCAPED, "count": 1}))
    return bytes(request.SerializeToString())


def send_all(server: Octavo) -> str:
    """Everything that can be sent; returns the trace's id."""
    trace, now = server.new_trace(), time.time_ns()
    known = {"trace_id": trace.to_bytes(16), "start_time_unix_nano": now, "end_time_unix_nano": now + 1000}
    resource = {"service.name": "shop", "process.command_line": f"run --for {SECRET}"}
    answer = server.send(protobuf({**known, **everything(SECRET)}, resource=resource))
    assert (answer.status, answer.rejected) == (200, 0)
    text = {"key": "input.value", "value": {"stringValue": f'{{"a": {ESCAPED}}}'}}
    assert server.send(document(span(trace, 2, name=SECRET, attributes=[text])), json=True).status == 200
    assert server.send(log_records(trace), path="/v1/logs").status == 200
    score = {"traceId": f"{trace:032x}", "name": "opinion", "dataType": "TEXT", "value": f"{SECRET} is right",
             "comment": f"by {SECRET}", "metadata": {"who": SECRET}}  # fmt: skip
    assert server.http.post("/api/public/scores", json=score).status_code == 200
    event = {"id": "e1", "type": "score-create", "timestamp": "2026-11-01T00:00:00Z", "body": {**score, "id": "s2"}}
    assert server.http.post("/api/public/ingestion", json={"batch": [event]}).status_code == 207
    server.settle()
    return f"{trace:032x}"


def told(server: Octavo, trace: str) -> str:
    """All that the API says of a trace."""
    paths = [
        f"/api/v1/traces/{trace}",
        f"/api/v1/spans/{1:016x}?trace_id={trace}",
        f"/api/v1/spans/{2:016x}?trace_id={trace}",
        "/api/v1/traces/export",
        "/api/v1/scores",
        f"/api/public/traces/{trace}",
        "/api/public/v2/observations?fields=core,basic,time,io,metadata,model,usage,prompt,metrics",
    ]
    answers = [server.http.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths), [answer.text[:300] for answer in answers]
    return "\n".join(answer.text for answer in answers)


def on_disk(data: Path) -> list[dict[str, Any]]:
    """All rows of the store, read by another process when the server has ended."""
    done = subprocess.run(
        [sys.executable, "-c", DUMP, str(data / "telemetry")], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def has_secret(text: str) -> bool:
    """Also when JSON has escaped it, once or more often."""
    return "ller-4711" in text


def restrict(server: Octavo, **rules: Any) -> None:
    [project] = [one for one in server.admin.call("GET", "/projects")["data"] if one["name"] == "Fuzzed"]
    server.admin.call("PATCH", f"/projects/{project['slug']}", rules)


def test_masked_texts_are_nowhere_in_the_store(tmp_path: Path) -> None:
    with octavo(tmp_path) as server:
        before = send_all(server)
        assert has_secret(told(server, before))
        restrict(server, masks=[MASK])
        trace = send_all(server)  # at once: what comes after the masks were set is masked

        said = server.http.get(f"/api/v1/spans/{1:016x}", params={"trace_id": trace}).text
        one = orjson.loads(said)
        assert not has_secret(said)
        assert json.loads(one["input"])[0]["content"] == MASKED
        assert json.loads(json.loads(one["input"])[0]["tool_calls"][0]["function"]["arguments"]) == {"who": MASKED}
        assert one["output"] == f"He is {MASKED}."
        assert (one["name"], one["user_id"], one["metadata"]["note"]) == (f"ask {MASKED}", MASKED, MASKED)
        assert one["usage"]["input"] == 4711

    rows = [row for row in on_disk(tmp_path / "data") if row["trace_id"] == trace]
    assert len(rows) == 2 + 2 + 2
    assert [row for row in rows if has_secret(json.dumps(row))] == []


@pytest.mark.parametrize("capture", ["metadata", "none"])
def test_contents_that_are_not_captured_are_nowhere_in_the_store(tmp_path: Path, capture: str) -> None:
    with octavo(tmp_path) as server:
        restrict(server, capture=capture)
        trace, now = server.new_trace(), time.time_ns()
        known = {"trace_id": trace.to_bytes(16), "start_time_unix_nano": now, "end_time_unix_nano": now + 1000}
        sent = everything(SECRET)
        sent["name"] = sent["events"][0]["name"] = "ask"
        for named in ("user.id", "langfuse.trace.tags", "langfuse.observation.metadata.note"):
            del sent["attributes"][named]  # what is no content, and kept with the mode `metadata`
        assert server.send(protobuf({**known, **sent})).status == 200
        assert server.send(log_records(trace), path="/v1/logs").status == 200
        server.settle()
        one = httpx.get(
            f"{server.stack.url}/api/v1/spans/{1:016x}",
            params={"trace_id": f"{trace:032x}"},
            headers={"authorization": f"Bearer {server.secret}"},
        ).json()
        assert (one["usage"]["input"], one["captured"]) == (4711, capture)
        assert one["parameters"] == ({"temperature": 0.5} if capture == "metadata" else {})

    rows = on_disk(tmp_path / "data")
    assert len(rows) == 1 + 2
    assert [row for row in rows if has_secret(json.dumps(row))] == []
