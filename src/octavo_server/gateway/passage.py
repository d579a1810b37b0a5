"""One call on its way through the corridor: what is known of it so far, its price, its record."""

from __future__ import annotations

from dataclasses import dataclass, field

from octavo_server.core.clock import Clock
from octavo_server.core.ids import new_span_id
from octavo_server.costs.runtime import Hop, PriceBook, Router, ShippedTable, cost, normalise_usage
from octavo_server.gateway.providers.base import COUNT_TOKENS, MESSAGES, Facts
from octavo_server.gateway.providers.registry import PROVIDERS
from octavo_server.gateway.recording import Masks
from octavo_server.gateway.reply import Headers, Reply
from octavo_server.gateway.request import ClientCall, recorded_headers
from octavo_server.gateway.snapshot import Snapshot
from octavo_server.gateway.usage_on_wire import cost_text
from octavo_server.governance.model import KeyGrant, Project
from octavo_server.traces.model import GatewayCall, Usage

_KNOWN_CREDENTIALS = 10_000
_KEPT_BYTES = 16 << 20
_PROVIDER_MODELS = {kind: provider.models for kind, provider in PROVIDERS.items()}


class Tables:
    """What one snapshot says, in the form that calls look things up in; made once for each snapshot."""

    def __init__(self, snapshot: Snapshot, shipped: ShippedTable) -> None:
        self.snapshot = snapshot
        self.router = Router(snapshot.routes, snapshot.connections, _PROVIDER_MODELS)
        self.prices = PriceBook(snapshot.price_rules, shipped)
        self.masks = {project.id: Masks(project.masks) for project in snapshot.projects.values() if project.masks}
        self.grants: dict[tuple[str | None, str | None], KeyGrant] = {}

    def remember(self, authorization: str | None, api_key: str | None, grant: KeyGrant) -> None:
        """Saves looking up the same credentials again while this snapshot lasts; a key that expires is always looked
        at anew."""
        if grant.expires_at is None and len(self.grants) < _KNOWN_CREDENTIALS:
            self.grants[authorization, api_key] = grant


@dataclass(slots=True, kw_only=True)
class Passage:
    """One call on its way."""

    call: ClientCall
    grant: KeyGrant
    project: Project
    tables: Tables
    reply: Reply
    request_id: str
    start_ns: int
    span_id: str = field(default_factory=new_span_id)
    hop: Hop | None = None
    attempts: int = 0
    attempt_errors: list[str] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)
    first_token_ns: int = 0
    usage: Usage | None = None
    cost_nano: int | None = None
    kept: list[bytes] = field(default_factory=list)
    kept_bytes: int = 0
    recorded: bool = False  # its record is with the recorder

    def keep(self, data: bytes) -> None:
        """Keeps a piece of the answer for the record, up to a bound."""
        if self.kept_bytes < _KEPT_BYTES:
            self.kept.append(data)
            self.kept_bytes += len(data)

    def settle(self) -> None:
        """Counts and prices what was used, once it is known."""
        reported = self.facts.usage
        if reported is None or self.hop is None:
            return
        self.usage = normalise_usage(*reported)
        tier = reported.values.get("service_tier")
        rates = self.tables.prices.rates_for(
            self.hop.connection,
            self.hop.model,
            self.start_ns,
            served=self.facts.model,
            tier=tier if isinstance(tier, str) else "",
        ).rates
        self.cost_nano = None if rates is None else cost(rates, self.usage)

    def record(self, clock: Clock, status: int, error_class: str, error_message: str) -> GatewayCall:
        """Everything about the call; `recording.keep` takes out what may not be kept."""
        call, grant, facts, hop = self.call, self.grant, self.facts, self.hop
        return GatewayCall(
            project_id=self.project.id,
            trace_id=call.trace_id,
            span_id=self.span_id,
            parent_span_id=call.parent_span_id,
            endpoint=call.endpoint,
            start_ns=self.start_ns,
            end_ns=clock.now_ns(),
            first_token_ns=self.first_token_ns,
            status_code=status,
            error_class=error_class,
            error_message=error_message,
            environment=grant.environment,
            api_key_id=grant.key_id,
            connection_id=hop.connection.id if hop is not None else "",
            provider=hop.connection.provider if hop is not None else "",
            model_requested=call.model,
            model=facts.model or (hop.model if hop is not None else ""),
            release="",
            app="",
            streaming=call.stream,
            attempts=self.attempts,
            attempt_errors=self.attempt_errors,
            usage=self.usage,
            cost_nano=self.cost_nano,
            captured=self.project.capture,
            request=call.sent,
            response=self.kept[0] if len(self.kept) == 1 else b"".join(self.kept),
            request_headers=recorded_headers(call.headers),
            request_id=self.request_id,
            finish_reason=facts.finish_reason,
            response_id=facts.response_id,
            price_known=self.cost_nano is not None,
            context=call.context,
        )

    def common_headers(self) -> Headers:
        """What every answer says of the call, refusals too."""
        request_id = self.request_id.encode()
        headers = [
            (b"x-request-id", request_id),
            (b"x-octavo-trace-id", self.call.trace_id.encode()),
            (b"x-octavo-attempts", b"%d" % self.attempts),
        ]
        if self.call.endpoint in (MESSAGES, COUNT_TOKENS):
            headers.append((b"request-id", request_id))
        return headers

    def headers(self) -> Headers:
        """Of a whole answer."""
        headers = [(b"content-type", b"application/json"), *self._who(), *self.common_headers()]
        if self.cost_nano is not None:
            headers.append((b"x-octavo-cost", cost_text(self.cost_nano).encode()))
        return headers

    def stream_headers(self) -> Headers:
        """Of a streamed answer, whose cost is not known yet."""
        return [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            *self._who(),
            *self.common_headers(),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ]

    def _who(self) -> Headers:
        model = self.facts.model or (self.hop.model if self.hop is not None else "")
        if not model or not model.isascii() or not model.isprintable():
            return []
        return [(b"x-octavo-model", model.encode())]
