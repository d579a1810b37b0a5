"""The gateway called as an ASGI application, for what has to be told apart exactly: what is sent when, what a call waits
for, and a client that goes away at a given moment."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.integration.gateway_server import SECRET, UPSTREAM_SECRET, ModelServer

from octavo_server.core.clock import SystemClock
from octavo_server.costs.model import Connection, PriceRule, Rates, Route, Target, Timeouts
from octavo_server.edge.access import Permission
from octavo_server.gateway.app import Gateway
from octavo_server.gateway.recording import Recorder
from octavo_server.gateway.snapshot import Snapshot, SnapshotHolder
from octavo_server.gateway.upstream import Upstream
from octavo_server.governance.model import KeyGrant, Project
from octavo_server.traces.model import GatewayCall

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def snapshot_of(
    models: ModelServer,
    spare: ModelServer,
    *,
    project: Mapping[str, Any] | None = None,
    key: Mapping[str, Any] | None = None,
    timeouts: Timeouts = Timeouts(connect_s=1.0, first_byte_s=5.0, total_s=10.0),
    retries: int = 1,
) -> Snapshot:
    """`gpt-*` goes to an OpenAI, `claude-*` to an Anthropic, `org/*` to a compatible server with prices of its own,
    `chain-*` to the OpenAI and then to the spare."""
    hashed = hashlib.sha256(SECRET.encode()).hexdigest()
    grant: dict[str, Any] = {
        "key_id": "key_1",
        "public_key": "pk-oct-1",
        "secret_hash": hashed,
        "name": "test",
        "project_id": "prj_1",
        "environment": "staging",
        "scopes": frozenset({Permission.GATEWAY_CALL}),
        **(key or {}),
    }
    places = {
        "openai": ("openai", models),
        "anthropic": ("anthropic", models),
        "compatible": ("openai_compatible", models),
        "spare": ("openai_compatible", spare),
    }
    connections = {
        name: Connection(
            id=name,
            project_id="prj_1",
            name=name,
            provider=provider,
            base_url=server.url,
            secret=UPSTREAM_SECRET,
            known_models=("org/some/model", "org/other") if name == "compatible" else (),
        )
        for name, (provider, server) in places.items()
    }
    chains = {
        "gpt-*": ("openai",),
        "claude-*": ("anthropic",),
        "org/*": ("compatible",),
        "chain-*": ("openai", "spare"),
    }
    routes = tuple(
        Route(
            id=f"rte_{pattern}",
            project_id="prj_1",
            pattern=pattern,
            targets=tuple(Target(connection_id=name) for name in names),
            retries=retries,
            timeouts=timeouts,
        )
        for pattern, names in chains.items()
    )
    price = PriceRule(
        id="prc_1",
        project_id="prj_1",
        provider="compatible",
        model="org/*",
        rates=Rates(input=1_000_000_000, output=2_000_000_000),
        effective_from=DAY,
    )
    return Snapshot(
        version=1,
        keys={hashed: KeyGrant(**grant)},
        projects={"prj_1": Project(id="prj_1", name="P", slug="p", created_at=DAY, **(project or {}))},
        connections=connections,
        routes={"prj_1": routes},
        price_rules={"prj_1": (price,)},
    )


@dataclass
class StrictRecords:
    """A recorder whose commits happen when the test says so."""

    calls: list[GatewayCall] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_commit: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, call: GatewayCall) -> Awaitable[None]:
        self.calls.append(call)
        self.asked.set()
        return self._commit()

    async def _commit(self) -> None:
        await self.may_commit.wait()


class Client:
    """One client's connection: sends a request, keeps what is sent back, hangs up when told."""

    def __init__(self, body: bytes | Mapping[str, Any], *, path: str, headers: Mapping[str, str], method: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"authorization": f"Bearer {SECRET}", "content-length": str(len(raw)), **headers}
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended = False
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": raw, "more_body": False})

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert not self.status, "two answers to one request"
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            assert not self.ended, "more after the end"
            self.body += message["body"]
            self.ended = not message.get("more_body")

    def json(self) -> Any:
        return json.loads(self.body)


class InProcess:
    """A gateway without a server around it. Pauses between attempts are noted, not waited for."""

    def __init__(self, snapshot: Snapshot, *, recorder: Recorder | None = None) -> None:
        self.holder = SnapshotHolder(snapshot)
        self.records = StrictRecords()
        self.records.may_commit.set()
        self.pauses: list[float] = []
        self.upstream = Upstream()
        self._gateway = Gateway(
            snapshots=self.holder,
            upstream=self.upstream,
            recorder=recorder or self.records,
            clock=SystemClock(),
            max_body_bytes=1 << 20,
            sleep=self._pause,
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def begin(
        self,
        body: bytes | Mapping[str, Any],
        *,
        path: str = "/v1/chat/completions",
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
    ) -> tuple[Client, asyncio.Task[None]]:
        client = Client(body, path=path, headers=headers or {}, method=method)
        return client, asyncio.create_task(self._gateway(client.scope, client.receive, client.send))

    async def call(self, body: bytes | Mapping[str, Any], **how: Any) -> Client:
        """The whole answer."""
        client, task = self.begin(body, **how)
        await asyncio.wait_for(task, 15)
        assert client.ended
        return client
