"""The room's service on both engines of the control store, with a provider that answers as told."""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from octavo_server.costs.model import Connection, OptionField, Probe, ProviderKind
from octavo_server.costs.runtime import ShippedTable
from octavo_server.costs.service import Costs
from octavo_server.edge.access import Permission, Principal
from octavo_server.stores.control import ControlStore

CATALOGUE = (
    ProviderKind(
        kind="openai",
        title="OpenAI",
        default_base_url="https://api.openai.com/v1",
        models=("gpt-*", "o3"),
        options=(
            OptionField(name="organization", title="Organization"),
            OptionField(name="headers", title="Extra headers", kind="map"),
        ),
    ),
    ProviderKind(
        kind="azure",
        title="Azure OpenAI",
        options=(
            OptionField(name="api_version", title="API version", required=True),
            OptionField(name="auth", title="Authentication", kind="choice", choices=("api_key", "bearer")),
            OptionField(name="deployments", title="Deployments", kind="map"),
        ),
    ),
    ProviderKind(
        kind="bedrock",
        title="Bedrock",
        default_base_url="https://bedrock-runtime.eu-central-1.amazonaws.com",
        needs_secret=False,
        options=(
            OptionField(name="session_token", title="Session token", kind="secret"),
            OptionField(name="pool", title="Pool", kind="number"),
            OptionField(name="dual", title="Dual stack", kind="flag"),
            OptionField(name="regions", title="Regions", kind="list"),
        ),
    ),
    ProviderKind(kind="vllm", title="vLLM", default_base_url="http://127.0.0.1:8000/v1", needs_secret=False),
    ProviderKind(
        kind="local",
        title="Octavo's own",
        default_base_url="http://127.0.0.1:8080/v1",
        needs_secret=False,
        models=("smollm2-135m",),
    ),
)


class Ticking:
    """A clock that moves on by a second at each look."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(seconds=next(self._ticks))

    def now_ns(self) -> int:
        return int(self.now().timestamp()) * 1_000_000_000


class AesBox:
    """AES-GCM under a key of the test's own."""

    def __init__(self) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._nonces = itertools.count()

    def seal(self, plain: bytes, context: str) -> bytes:
        nonce = next(self._nonces).to_bytes(12, "big")
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        return self._cipher.decrypt(sealed[:12], sealed[12:], context.encode())


@dataclass
class Answering:
    """A provider's answer to the next tests, and the connections it was asked for."""

    probe_result: Probe = field(default_factory=lambda: Probe(ok=True, status=200, models=("gpt-x", "gpt-y")))
    asked: list[Connection] = field(default_factory=list)

    async def probe(self, connection: Connection) -> Probe:
        self.asked.append(connection)
        return self.probe_result


@pytest.fixture
def prober() -> Answering:
    return Answering()


@pytest.fixture
def hosts() -> dict[str, Sequence[str]]:
    """What host names resolve to."""
    return {"api.openai.com": ["162.159.140.245"], "inside": ["10.1.2.3"], "both": ["1.1.1.1", "127.0.0.1"]}


@pytest.fixture
def make_costs(control_store: ControlStore, prober: Answering, hosts: dict[str, Sequence[str]]) -> Any:
    box = AesBox()
    clock = Ticking()
    table = ShippedTable()

    def resolve(host: str) -> Sequence[str]:
        if host not in hosts:
            raise OSError("unknown host")
        return hosts[host]

    def make(*, private_allowed: bool = True) -> Costs:
        return Costs(
            control_store,
            secrets=box,
            clock=clock,
            providers=CATALOGUE,
            prober=prober,
            private_allowed=private_allowed,
            table=table,
            resolve=resolve,
        )

    return make


@pytest.fixture
def costs(make_costs: Any) -> Costs:
    made: Costs = make_costs()
    return made


def principal(project: str = "prj_a") -> Principal:
    return Principal(
        kind="user",
        id="usr_1",
        name="Ada",
        project_id=project,
        environment=None,
        permissions=frozenset(Permission),
        request_id="req_1",
    )


@pytest.fixture
def ada() -> Principal:
    return principal()


@pytest.fixture
def eve() -> Principal:
    """The same person in another project."""
    return principal("prj_b")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own imports
        pgserver = importlib.import_module("pgserver")
        server = pgserver.get_server(str(tmp_path_factory.mktemp("postgres")))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def control_store(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[ControlStore]:
    from octavo_server.costs import store as tables
    from octavo_server.stores.control import metadata, sqlite_url

    assert tables
    if request.param == "sqlite":
        store = ControlStore(sqlite_url(tmp_path / "control.db"))
    else:
        store = ControlStore(request.getfixturevalue("postgres_url"))
        metadata.drop_all(store.engine)
    metadata.create_all(store.engine)
    yield store
    store.close()
