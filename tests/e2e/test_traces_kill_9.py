"""Spans that an exporter was told are taken are stored, each once, wherever the server is killed."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Admin, Stack
from tests.unit.traces.spans import protobuf

KILLS = 3
SPANS = 20


class Exporter(threading.Thread):
    """Sends a trace after another, each again until it is acknowledged, as exporters do."""

    def __init__(self, url: str, secret: str) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/v1/traces"
        self._headers = {"authorization": f"Bearer {secret}", "content-type": "application/x-protobuf"}
        self.stopping = threading.Event()
        self.acknowledged: list[int] = []

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            start = time.time_ns()
            spans = [
                {
                    "trace_id": number.to_bytes(16),
                    "span_id": (number * 1000 + at).to_bytes(8),
                    "start_time_unix_nano": start + at,
                    "end_time_unix_nano": start + at + 1,
                }
                for at in range(SPANS)
            ]
            body = protobuf(*spans)
            while not self._send(body):
                time.sleep(0.1)
            self.acknowledged.append(number)

    def _send(self, body: bytes) -> bool:
        try:
            return httpx.post(self._url, content=body, headers=self._headers, timeout=10.0).status_code == 200
        except httpx.TransportError:
            return False


@pytest.mark.slow
def test_acknowledged_spans_are_stored_once(tmp_path: Path) -> None:
    """Slow: the server is started anew after each kill."""
    stack = Stack(tmp_path / "data")
    stack.start()
    try:
        admin = Admin(stack.url)
        secret = admin.new_project("Killed", "http://127.0.0.1:9")
        admin.close()
        exporter = Exporter(stack.url, secret)
        exporter.start()
        for _ in range(KILLS):
            time.sleep(random.uniform(0.3, 1.5))
            stack.kill()
            stack.start()
        time.sleep(0.5)
        exporter.stopping.set()
        exporter.join()
        count = stored(stack.url, secret, traces=len(exporter.acknowledged))
    finally:
        stack.stop()

    assert len(exporter.acknowledged) > KILLS
    assert count == {"traces": len(exporter.acknowledged), "spans": len(exporter.acknowledged) * SPANS}


def stored(url: str, secret: str, *, traces: int) -> dict[str, int]:
    """What can be queried, once there is nothing left to wait for."""
    headers = {"authorization": f"Bearer {secret}"}
    for _ in range(300):
        answer = httpx.get(f"{url}/api/v1/metrics/count", headers=headers, timeout=30.0)
        if answer.status_code == 200 and answer.json()["traces"] >= traces:
            break
        time.sleep(0.2)
    time.sleep(0.5)  # what should not come has time to come
    found: dict[str, int] = httpx.get(f"{url}/api/v1/metrics/count", headers=headers, timeout=30.0).json()
    return found
