"""Spans that an exporter was told are taken are stored, each once, wherever the server or its worker is killed.

A few kills by default; a soak with `OCTAVO_SOAK_KILLS=20 pytest -s tests/e2e/test_traces_kill_9.py`.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Admin, Stack
from tests.unit.traces.spans import protobuf

KILLS = int(os.environ.get("OCTAVO_SOAK_KILLS", "1"))
"""How often the whole server is killed; and its worker alone as often again."""

EXPORTERS = 4
SPANS = 20
AGAIN = frozenset({429, 502, 503, 504})
SECOND = 1_000_000_000


class Exporter(threading.Thread):
    """Sends a body after another over its own connection, each again until it is acknowledged, as exporters do. Every
    trace comes in two bodies, its children before their parent."""

    def __init__(self, url: str, secret: str, number: int) -> None:
        super().__init__(daemon=True)
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/x-protobuf"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=10.0)
        self._number = number
        self.stopping = threading.Event()
        self.acknowledged: list[tuple[str, str]] = []
        self.bodies = self.repeated = 0
        self.refused: list[str] = []

    def run(self) -> None:
        with self._http:
            for count in itertools.count(1):
                if self.stopping.is_set():
                    return
                trace, start = self._number << 32 | count, time.time_ns()
                for numbers in (range(2, SPANS + 1), range(1, 2)):
                    self._export(trace, start, numbers)

    def _export(self, trace: int, start: int, numbers: range) -> None:
        spans = [
            {
                "trace_id": trace.to_bytes(16),
                "span_id": (trace << 8 | number).to_bytes(8),
                "parent_span_id": b"" if number == 1 else (trace << 8 | 1).to_bytes(8),
                "start_time_unix_nano": start + number,
                "end_time_unix_nano": start + SECOND - number,
                "attributes": {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 0 if number == 1 else 1},
            }
            for number in numbers
        ]
        body = protobuf(*spans)
        while not self._send(body):
            self.repeated += 1
            time.sleep(random.uniform(0.01, 0.1))
        self.bodies += 1
        self.acknowledged += [(span["trace_id"].hex(), span["span_id"].hex()) for span in spans]

    def _send(self, body: bytes) -> bool:
        try:
            answer = self._http.post("/v1/traces", content=body)
        except httpx.TransportError:
            return False
        if answer.status_code not in AGAIN | {200}:
            self.refused.append(f"{answer.status_code} {answer.text[:200]}")
        return answer.status_code == 200


@pytest.mark.slow
def test_acknowledged_spans_are_stored_once(tmp_path: Path) -> None:
    """Slow: the server is started anew after each kill."""
    began = time.monotonic()
    stack = Stack(tmp_path / "data")
    stack.start()
    try:
        admin = Admin(stack.url)
        secret = admin.new_project("Killed", "http://127.0.0.1:9")
        admin.close()
        exporters = [Exporter(stack.url, secret, number) for number in range(1, EXPORTERS + 1)]
        for exporter in exporters:
            exporter.start()
        down_s = []
        for whole in random.sample([True, False] * KILLS, 2 * KILLS):
            time.sleep(random.uniform(0.2, 2.0))
            if whole:
                at = time.monotonic()
                stack.kill()
                stack.start()
                down_s.append(time.monotonic() - at)
            else:
                kill_worker(stack)
        time.sleep(0.5)
        for exporter in exporters:
            exporter.stopping.set()
        for exporter in exporters:
            exporter.join()
        sent = [one for exporter in exporters for one in exporter.acknowledged]
        found = stored(stack.url, secret, spans=len(sent))
        tokens = queried(stack.url, secret, "/metrics?measures=total_tokens&interval=none").json()["rows"]
    finally:
        stack.stop()

    print(
        f"\n{KILLS} kills of the server (down {min(down_s):.1f} to {max(down_s):.1f} s) and {KILLS} of the worker alone in "
        f"{time.monotonic() - began:.0f} s: {sum(one.bodies for one in exporters)} bodies of {len(sent)} spans "
        f"acknowledged, {sum(one.repeated for one in exporters)} sent again, {len(found)} spans stored"
    )
    assert [refusal for exporter in exporters for refusal in exporter.refused] == []
    assert len(sent) > KILLS * SPANS
    assert [one for one, times in Counter(found).items() if times > 1] == []
    assert set(found) == set(sent)
    assert len(found) == len(sent) == len(set(sent))
    assert tokens[0]["total_tokens"] == len(sent) // SPANS * (SPANS - 1)


def kill_worker(stack: Stack) -> None:
    """`kill -9` of the process that owns the telemetry store, when there is one now."""
    with_admin = stack.admin()
    worker = with_admin.call("GET", "/server")["worker"]["pid"]
    with_admin.close()
    if worker is not None:
        try:
            os.kill(worker, signal.SIGKILL)
        except ProcessLookupError:
            pass


def queried(url: str, secret: str, path: str) -> httpx.Response:
    """An answer of the API, as soon as the worker gives one."""
    for _ in range(300):
        answer = httpx.get(f"{url}/api/v1{path}", headers={"authorization": f"Bearer {secret}"}, timeout=60.0)
        if answer.status_code == 200:
            return answer
        time.sleep(0.2)
    raise AssertionError(answer.text)


def stored(url: str, secret: str, *, spans: int) -> list[tuple[str, str]]:
    """The ids of all spans that can be queried, once there is nothing left to wait for."""
    for _ in range(300):
        if queried(url, secret, "/metrics/count").json()["spans"] >= spans:
            break
        time.sleep(0.2)
    time.sleep(0.5)  # what should not come has time to come
    lines = queried(url, secret, "/traces/export").text.splitlines()
    return [(one["trace_id"], one["span_id"]) for one in map(json.loads, lines)]
