"""A whole server in its own process, and an exporter's view of it: bodies in, answers read as OTLP writes them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from tests.e2e.stack import Admin, Stack

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class Answer(NamedTuple):
    """What an exporter reads: the refused spans of a success, or the code of a failure; and the words."""

    status: int
    rejected: int
    code: int
    message: str
    retry_after: str


class Octavo:
    """The server with one project, and its accounting since the last look."""

    def __init__(self, stack: Stack, admin: Admin, secret: str) -> None:
        self.stack = stack
        self.admin = admin
        self.secret = secret
        self.http = httpx.Client(base_url=stack.url, timeout=30.0, headers={"authorization": f"Bearer {secret}"})
        self._numbers = itertools.count(1)

    def new_trace(self) -> int:
        """The number of a trace that no other test has."""
        return next(self._numbers)

    def send(
        self, body: bytes, *, json: bool = False, path: str = "/v1/traces", kind: str | None = None, **headers: str
    ) -> Answer:
        """Sends a body; the answer is read strictly in the encoding of the request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        media = JSON if json else PROTOBUF
        answer = self.http.post(path, content=body, headers={"content-type": media if kind is None else kind, **named})
        assert answer.headers["content-type"] == media, answer.text
        retry_after = answer.headers.get("retry-after", "")
        if answer.status_code == 200:
            return Answer(200, *_partial(answer.content, json), retry_after)
        if json:
            told = answer.json()
            assert set(told) == {"code", "message"}
            return Answer(answer.status_code, 0, told["code"], told["message"], retry_after)
        status = Status.FromString(answer.content)
        return Answer(answer.status_code, 0, status.code, status.message, retry_after)

    def settle(self) -> dict[str, int]:
        """The accounting once nothing is pending."""
        deadline = time.monotonic() + 60
        while True:
            found: dict[str, int] = self.admin.call("GET", "/accounting")
            if found["pending"] == 0:
                return found
            assert time.monotonic() < deadline, self.stack.tail()
            time.sleep(0.05)

    def read(self, path: str, **params: Any) -> Any:
        """A JSON answer of the API."""
        answer = self.http.get(f"/api/v1{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _partial(body: bytes, json: bool) -> tuple[int, int, str]:
    if json:
        told = orjson.loads(body)
        assert set(told) <= {"partialSuccess"}
        partial = told.get("partialSuccess", {})
        return (
            int(partial.get("rejectedSpans", partial.get("rejectedLogRecords", 0))),
            0,
            partial.get("errorMessage", ""),
        )
    success = ExportTraceServiceResponse.FromString(body).partial_success
    return success.rejected_spans, 0, success.error_message


@contextmanager
def octavo(folder: Path, **environ: str) -> Iterator[Octavo]:
    """A server with a project and a key."""
    stack = Stack(folder / "data", **environ)
    stack.start()
    try:
        with closing(Admin(stack.url)) as admin:
            running = Octavo(stack, admin, admin.new_project("Fuzzed", "http://127.0.0.1:9"))
            with running.http:
                yield running
    finally:
        stack.stop()


def span(trace: int, number: int = 1, **fields: Any) -> dict[str, Any]:
    """A span in OTLP's JSON."""
    start = time.time_ns()
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "name": "step",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_000_000),
        **fields,
    }


def document(*spans: Any) -> bytes:
    """An export request in OTLP's JSON."""
    return orjson.dumps(
        {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "test"}, "spans": list(spans)}]}]}
    )
