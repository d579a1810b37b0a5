"""What a call is routed to and what it costs: connections, routes, prices. Pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from octavo_server.core.digest import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A model provider as one project reaches it. `secret` is the upstream key in clear: it exists only in memory,
    is encrypted at rest and never rendered."""

    id: str
    project_id: str
    name: str  # unique in the project, [a-z0-9-]
    provider: str  # openai | azure | anthropic | gemini | bedrock | ollama | vllm | openai_compatible | local
    base_url: str
    secret: str = field(repr=False, default="")
    options: dict[str, JSON] = field(default_factory=dict)  # provider's own: api_version, region, headers, …
    models: tuple[str, ...] = ()  # globs of model names served without a route; empty: the provider's defaults
    prices_as: str = ""  # genai-prices provider id to price with when it differs; "free" prices every call at 0
    is_default: bool = False  # takes models nobody else claims
    known_models: tuple[str, ...] = ()  # as its last successful test listed them


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One place a route may send a call to."""

    connection_id: str
    model: str = ""  # "" keeps the model's name as asked
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. `first_byte_s` bounds the wait for response headers, `total_s` the whole exchange."""

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Calls whose model matches `pattern` go to the targets in order: the first by weight among equals, the rest as
    the fallback chain."""

    id: str
    project_id: str
    pattern: str  # exact model name or glob
    targets: tuple[Target, ...]
    strategy: str = "fallback"  # fallback | weighted
    retries: int = 2
    timeouts: Timeouts = Timeouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Nano-USD per million tokens of each bucket. None: this bucket's price is unknown (a call that used tokens of it
    has an unknown cost)."""

    input: int | None
    output: int | None
    cache_read: int | None = None  # None falls back to `input`
    cache_write: int | None = None  # None falls back to `input`
    reasoning: int | None = None  # None falls back to `output`
    input_audio: int | None = None  # None falls back to `input`
    output_audio: int | None = None  # None falls back to `output`
    request: int = 0  # nano-USD a call, tokens aside
    details: Mapping[str, int] = field(default_factory=dict)  # per million of what `Usage.details` counts
    tiers: tuple[Tier, ...] = ()  # by `above`, ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The rates of the whole call when its prompt (cached and audio tokens included) is longer than `above` tokens."""

    above: int
    rates: Rates  # without tiers of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRule:
    """A project's own price, taking precedence over the shipped table while effective."""

    id: str
    project_id: str
    provider: str  # provider kind, price-table id, connection name or "*"
    model: str  # exact name or glob
    rates: Rates
    effective_from: datetime
    effective_to: datetime | None = None
    batch: bool = False  # applies to batch-priced calls only
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionField:
    """A provider's own field of a connection, as forms show it. Values of kind `secret` are kept as secrets are."""

    name: str
    title: str
    help: str = ""
    kind: str = "text"  # text | map | list | choice | flag | number | secret
    choices: tuple[str, ...] = ()
    default: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """What this room has to know of a kind of provider; the gateway knows the rest."""

    kind: str
    title: str
    default_base_url: str = ""
    needs_secret: bool = True
    secret_help: str = ""
    models: tuple[str, ...] = ()  # globs it serves unless a connection names its own
    options: tuple[OptionField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of a test request to a provider. `message` is for people and holds no secret."""

    ok: bool
    status: int | None = None  # HTTP status; None when there was no answer
    latency_ms: int = 0
    message: str = ""
    models: tuple[str, ...] = ()


class Prober(Protocol):
    """Sends a provider a cheap, free request. Never raises for what the provider does."""

    async def probe(self, connection: Connection) -> Probe: ...


FREE = "free"
"""`Connection.prices_as` of a connection whose calls cost nothing, which is a known price."""

DETAIL_OF: Mapping[str, str] = {
    "cache_write_1h": "cache_write",
    "cache_read_audio": "cache_read",
    "cache_read_image": "cache_read",
    "input_image": "input",
    "input_video": "input",
    "output_image": "output",
    "output_video": "output",
    "citations": "",
    "web_searches": "",
}
"""What `Usage.details` may count, and the bucket it is a part of; "" for what is in none."""

NO_COST = Rates(input=0, output=0, details=dict.fromkeys(DETAIL_OF, 0))
"""The rates of what is known to be free."""


def is_glob(pattern: str) -> bool:
    """Whether `pattern` has wildcards (`*` any text, `?` one character)."""
    return "*" in pattern or "?" in pattern


def glob_matches(pattern: str, text: str) -> bool:
    """Whether the whole of `text` matches; case counts, and `*` and `?` are the only wildcards."""
    return fnmatchcase(text, pattern.replace("[", "[[]")) if is_glob(pattern) else pattern == text


def specificity(pattern: str) -> tuple[int, int]:
    """Sorts patterns: an exact name above every glob, and among globs the one with more literal characters."""
    return (0 if is_glob(pattern) else 1, sum(character not in "*?" for character in pattern))


_NAT64 = 0x0064FF9B << 96


def is_link_local(address: str) -> bool:
    """Whether an IP address is of the link itself, where clouds keep their metadata (and no model)."""
    return _plain(address).is_link_local


def is_public(address: str) -> bool:
    """Whether an IP address is of the public internet: not loopback, private, link-local, reserved or multicast,
    and not one of these inside an IPv6 address."""
    plain = _plain(address)
    return plain.is_global and not plain.is_multicast


def _plain(address: str) -> IPv4Address | IPv6Address:
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and int(parsed) >> 32 == _NAT64 >> 32:
            inner = IPv4Address(int(parsed) & 0xFFFFFFFF)
        return inner or parsed
    return parsed
