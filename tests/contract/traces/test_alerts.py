"""Threshold alerts on real stores, told to a real HTTP receiver and a real mail server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_bytes
from typing import Any

import msgspec
import pytest
from tests.unit.traces.spans import protobuf

from octavo_server.core.errors import NotFound
from octavo_server.costs.runtime import normalise_usage
from octavo_server.edge.access import Principal
from octavo_server.gateway.messenger import Messenger
from octavo_server.gateway.upstream import Upstream
from octavo_server.stores.control import ControlStore
from octavo_server.stores.secrets import SecretBox
from octavo_server.stores.spool import Entry, join_frames
from octavo_server.stores.telemetry import Telemetry, migrate
from octavo_server.traces.model import Origin, ProjectRules
from octavo_server.traces.otlp import count_spans
from octavo_server.traces.service import TraceIngest, Traces
from octavo_server.traces.service.alerts import Alerts, Teller, Watch
from octavo_server.traces.service.ingest import SPANS_KIND
from octavo_server.traces.store import MIGRATIONS, SpanStore, SpanWriter
from octavo_server.traces.store.scores import ScoreStore

PROJECT = "prj_1"
START = datetime(2026, 6, 1, 12, tzinfo=UTC)
ADA = Principal(kind="user", id="usr_1", name="Ada", project_id=PROJECT, environment=None)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def now_ns(self) -> int:
        return int(self.at.timestamp() * 1e9)


class Receiver:
    """Takes webhooks, with the status that it is told to answer."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it gets."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        super().__init__(("127.0.0.1", 0), _Smtp)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (one := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(one)
                self.server.mails.append(b"".join(lines).decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    one = Mailbox()
    yield one
    one.shutdown()
    one.server_close()


class Room:
    def __init__(self, control: ControlStore, telemetry: Telemetry, mailbox: Mailbox) -> None:
        self.clock = Hand()
        self.upstream = Upstream()
        self._ingest = TraceIngest(
            SpanWriter(telemetry),
            ScoreStore(telemetry),
            normalise=normalise_usage,
            rules=lambda: {PROJECT: ProjectRules(retention_days=60_000)},
        )
        self._sent = 0
        traces = Traces(SpanStore(telemetry), self.clock.now)
        mail = f"smtp://127.0.0.1:{mailbox.server_address[1]}"
        messenger = Messenger(self.upstream, smtp_url=mail, smtp_from="octavo@example.com")
        box = SecretBox(token_bytes(32))
        teller = Teller(box, messenger.post, messenger.mail, self.clock)
        self.alerts = Alerts(control, traces, self.clock, box=box, check_url=lambda url: None, teller=teller)
        self.watch = Watch(control, traces, teller, self.clock)

    async def spans(self, *messages: str) -> None:
        """Spans of this minute, failed where there is a message."""
        self._sent += 1
        start = self.clock.now_ns() - 10 * 10**9
        body = protobuf(
            *(
                {
                    "trace_id": bytes([self._sent]) * 16,
                    "span_id": (100 * self._sent + number + 1).to_bytes(8, "big"),
                    "start_time_unix_nano": start,
                    "end_time_unix_nano": start + 10**9,
                    **({"status": {"code": 2, "message": message}} if message else {}),
                }
                for number, message in enumerate(messages)
            )
        )
        meta = msgspec.json.encode(Origin(project_id=PROJECT))
        count = count_spans(body, json=False).accepted
        await self._ingest.store(
            [Entry(self._sent, SPANS_KIND, meta, count, 0.0, join_frames([body]))], f"t{self._sent}"
        )

    async def round(self, minutes: float = 1) -> tuple[int, int]:
        """How many alerts changed, and how many tellings succeeded, some minutes later."""
        self.clock.at += timedelta(minutes=minutes)
        return await self.watch.look(), await self.watch.tell()

    def shown(self) -> list[tuple[str, list[tuple[str, str, int]]]]:
        found = self.alerts.find(PROJECT, state="", limit=10, skip=0)
        return [(alert.state, [(one.event, one.state, one.attempts) for _, one in told]) for alert, told in found]


@pytest.fixture
async def room(control_store: ControlStore, telemetry: Telemetry, mailbox: Mailbox) -> AsyncIterator[Room]:
    await migrate(telemetry, MIGRATIONS)
    one = Room(control_store, telemetry, mailbox)
    yield one
    await one.upstream.close()


def rule(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Too many errors",
        "measure": "error_rate",
        "filter": "",
        "environment": "",
        "window_minutes": 5,
        "direction": "above",
        "threshold": 0.3,
        "channel_ids": [],
        "enabled": True,
        **changes,
    }


async def test_an_alert_from_its_beginning_to_its_end(room: Room, receiver: Receiver) -> None:
    channel, secret = room.alerts.create_channel(ADA, name="ops", kind="webhook", url=receiver.url)
    room.alerts.create_rule(ADA, rule(channel_ids=[channel.id]))

    await room.spans("", "", "", "bad")
    assert await room.round() == (0, 0)
    await room.spans("bad", "bad")
    assert await room.round() == (1, 1)
    assert await room.round() == (0, 0)
    assert room.shown() == [("firing", [("firing", "delivered", 1)])]

    headers, body = receiver.got[0]
    told = json.loads(body)
    assert (told["type"], told["rule"], told["value"]) == ("alert.firing", "Too many errors", 0.5)
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"

    assert await room.round(10) == (0, 0)  # holds once: it may be back in a minute
    assert await room.round() == (1, 1)
    assert room.shown()[0][0] == "resolved"
    assert json.loads(receiver.got[1][1])["type"] == "alert.resolved"
    assert await room.round() == (0, 0)


async def test_a_receiver_that_is_down_is_told_again_under_the_same_id(room: Room, receiver: Receiver) -> None:
    channel, _ = room.alerts.create_channel(ADA, name="ops", kind="webhook", url=receiver.url)
    room.alerts.create_rule(ADA, rule(channel_ids=[channel.id], measure="count", threshold=0))
    receiver.status = 500
    await room.spans("")

    assert await room.round() == (1, 0)
    assert await room.round(0.5) == (0, 0)  # not yet due
    assert len(receiver.got) == 1
    receiver.status = 204
    assert (await room.round(1))[1] == 1
    assert room.shown()[0][1] == [("firing", "delivered", 2)]
    first, second = (headers["webhook-id"] for headers, _ in receiver.got)
    assert first == second


async def test_what_nobody_takes_is_given_up(room: Room, receiver: Receiver) -> None:
    channel, _ = room.alerts.create_channel(ADA, name="ops", kind="webhook", url=receiver.url)
    room.alerts.create_rule(ADA, rule(channel_ids=[channel.id], measure="count", threshold=0, window_minutes=1440))
    receiver.status = 410
    await room.spans("")
    await room.round()
    for _ in range(12):
        await room.watch.tell()
        room.clock.at += timedelta(hours=13)

    ((alert, told),) = room.alerts.find(PROJECT, state="", limit=10, skip=0)
    assert room.alerts.alert(PROJECT, alert.id) == (alert, told)
    with pytest.raises(NotFound):
        room.alerts.alert("prj_2", alert.id)
    (name, delivery) = told[0]
    assert (name, delivery.state, delivery.attempts) == ("ops", "failed", len(receiver.got))
    assert "410" in delivery.last_error


async def test_an_alert_by_mail(room: Room, mailbox: Mailbox) -> None:
    channel, secret = room.alerts.create_channel(ADA, name="team", kind="email", addresses=["ada@example.com"])
    room.alerts.create_rule(ADA, rule(channel_ids=[channel.id], measure="count", threshold=0))
    await room.spans("")

    assert (await room.round())[1] == 1
    assert secret == ""
    assert "To: ada@example.com" in mailbox.mails[0]
    assert "Subject: Octavo: Too many errors fires" in mailbox.mails[0]


async def test_no_traffic_is_no_breach(room: Room) -> None:
    room.alerts.create_rule(ADA, rule(direction="below", measure="latency_p95", threshold=1e9))

    assert await room.round() == (0, 0)


async def test_a_rule_off_or_of_other_spans_says_nothing(room: Room) -> None:
    room.alerts.create_rule(ADA, rule(enabled=False))
    room.alerts.create_rule(ADA, rule(filter='name = "other"'))
    room.alerts.create_rule(ADA, rule(environment="elsewhere"))
    await room.spans("bad")

    assert await room.round() == (0, 0)


async def test_a_preview_says_what_a_rule_would(room: Room) -> None:
    await room.spans("bad", "")

    value, would_fire, series = await room.alerts.preview(ADA, rule())

    assert (value, would_fire) == (0.5, True)
    assert [one[1] for one in series] == [0.5]


async def test_a_test_says_what_came_of_it(room: Room, receiver: Receiver) -> None:
    channel, _ = room.alerts.create_channel(ADA, name="ops", kind="webhook", url=receiver.url)
    assert (await room.alerts.test_channel(channel)).ok
    receiver.status = 403
    told = await room.alerts.test_channel(channel)
    assert (told.ok, told.status) == (False, 403)
    gone, _ = room.alerts.create_channel(ADA, name="gone", kind="webhook", url="http://127.0.0.1:9/")
    assert "receiver cannot be reached" in (await room.alerts.test_channel(gone)).message
