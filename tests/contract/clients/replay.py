"""Sends recordings to an Octavo over HTTP, each client's to a project of its own, and reads back what it shows."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.e2e.stack import Admin, Stack

RECORDED = Path(__file__).parent / "recorded"
SINCE = "2026-01-01T00:00:00Z"
FOR_EVER_DAYS = 3650
PATIENCE_S = 60.0

Span = dict[str, Any]


class Replay:
    """What Octavo shows of each client: its spans by scene, in order of time."""

    def __init__(self, stack: Stack, names: Iterable[str] = ()) -> None:
        self.names = sorted(names) or sorted(path.parent.name for path in RECORDED.glob("*/recording.json"))
        self.recordings: dict[str, Any] = {
            name: json.loads((RECORDED / name / "recording.json").read_text()) for name in self.names
        }
        console = stack.admin()
        self._projects = {name: self._send(stack.url, console, name) for name in self.names}
        self.seen = {name: self._read(console, name) for name in self.names}
        console.close()

    def _send(self, url: str, console: Admin, name: str) -> str:
        """Makes a project and sends it all that the client sent; returns its slug."""
        project = console.call("POST", "/projects", {"name": name})
        console.work_in(project["slug"])
        console.call("PATCH", f"/projects/{project['id']}", {"retention_days": FOR_EVER_DAYS})
        key = console.call("POST", "/api-keys", {"name": "client", "environment": "production"})
        with httpx.Client(headers={"authorization": f"Bearer {key['secret_key']}"}, timeout=30.0) as client:
            for scene in self.recordings[name]["scenes"].values():
                for sent in scene["sent"]:
                    answer = client.post(
                        url + sent["path"],
                        content=(RECORDED / name / sent["body"]).read_bytes(),
                        headers={"content-type": sent["type"], "content-encoding": "gzip"},
                    )
                    # Nothing refused, not even in part.
                    assert (answer.status_code, answer.content) in ((200, b""), (200, b"{}")), (name, answer.text)
        return str(project["slug"])

    def _read(self, console: Admin, name: str) -> dict[str, list[Span]]:
        scenes = {scene: self._sent_ids(name, scene) for scene in self.recordings[name]["scenes"]}
        awaited = sum(map(len, scenes.values()))
        console.work_in(self._projects[name])
        deadline = time.monotonic() + PATIENCE_S
        while (stored := console.call("GET", "/metrics/count")["spans"]) < awaited:
            assert time.monotonic() < deadline, f"{name}: {stored} of {awaited} spans stored"
            time.sleep(0.1)
        spans = sorted(console.lines("/traces/export", **{"from": SINCE}), key=lambda one: one["start_time"])
        assert len(spans) == awaited
        return {scene: [one for one in spans if one["span_id"] in ids] for scene, ids in scenes.items()}

    def _sent_ids(self, name: str, scene: str) -> set[str]:
        ids: set[str] = set()
        for sent in self.recordings[name]["scenes"][scene]["sent"]:
            body = gzip.decompress((RECORDED / name / sent["body"]).read_bytes())
            if not sent["path"].endswith("/traces"):
                continue
            if "json" in sent["type"]:
                told = [one for r in json.loads(body)["resourceSpans"] for s in r["scopeSpans"] for one in s["spans"]]
                ids |= {one["spanId"] for one in told}
            else:
                request = ExportTraceServiceRequest.FromString(body)
                ids |= {one.span_id.hex() for r in request.resource_spans for s in r.scope_spans for one in s.spans}
        return ids
