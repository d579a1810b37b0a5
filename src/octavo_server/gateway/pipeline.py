"""The corridor that every model call passes, in order:

    authenticate → plan the route → call (retry, fall back, time out) → settle the cost → record → reply

`app.py` does the first step and hands over; each later room adds its step here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Forbidden, Invalid, OctavoError, Unavailable, UpstreamError, UpstreamTimeout
from octavo_server.core.ids import new_span_id
from octavo_server.costs.model import glob_matches
from octavo_server.costs.runtime import Hop, PriceBook, RoutePlan, Router, ShippedTable, cost, normalise_usage
from octavo_server.gateway.problems import Problem, problem_of_error, problem_of_failure, render
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Call,
    Exchange,
    Facts,
    Failure,
    Stream,
    StreamEvent,
)
from octavo_server.gateway.providers.failures import error_event
from octavo_server.gateway.providers.registry import PROVIDERS, open_exchange
from octavo_server.gateway.recording import Masks, Recorder, captured
from octavo_server.gateway.reply import Reply
from octavo_server.gateway.request import ClientCall, recorded_headers
from octavo_server.gateway.snapshot import Snapshot
from octavo_server.gateway.upstream import Upstream, UpstreamReply, UpstreamStream
from octavo_server.gateway.usage_on_wire import UsageMover, cost_text, with_cost
from octavo_server.governance.model import KeyGrant, Project
from octavo_server.traces.model import CaptureMode, GatewayCall, Usage

T = TypeVar("T")

_TOTAL = "total"
_FIRST_BYTE = "first byte"

_BACKOFF_S = 0.25
_BACKOFF_MOST_S = 4.0
_PATIENCE_S = 20.0
"""A provider that asks for a longer pause than this is left for the next in the chain."""
_KNOWN_CREDENTIALS = 10_000
_KEPT_BYTES = 16 << 20
_ELSEWHERE = frozenset({401, 403, 404})
"""Refusals that another connection may not share."""
_CLIENT_GONE = 499
_WITH_USAGE = frozenset({"finish", "usage", "done"})

_PROVIDER_MODELS = {kind: provider.models for kind, provider in PROVIDERS.items()}


class Tables:
    """What one snapshot says, in the form that calls look things up in; made once for each snapshot."""

    def __init__(self, snapshot: Snapshot, shipped: ShippedTable) -> None:
        self.snapshot = snapshot
        self.router = Router(snapshot.routes, snapshot.connections, _PROVIDER_MODELS)
        self.prices = PriceBook(snapshot.price_rules, shipped)
        self.masks = {project.id: Masks(project) for project in snapshot.projects.values() if project.masks}
        self.grants: dict[tuple[str | None, str | None], KeyGrant] = {}

    def remember(self, authorization: str | None, api_key: str | None, grant: KeyGrant) -> None:
        """Saves looking up the same credentials again while this snapshot lasts; a key that expires is always looked
        at anew."""
        if grant.expires_at is None and len(self.grants) < _KNOWN_CREDENTIALS:
            self.grants[authorization, api_key] = grant


class _Failed(Exception):
    """One attempt did not succeed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Opened(NamedTuple):
    upstream: UpstreamStream
    stream: Stream


@dataclass(slots=True, kw_only=True)
class _State:
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

    def keep(self, data: bytes) -> None:
        """Keeps a piece of a stream for the record, up to a bound."""
        if self.kept_bytes < _KEPT_BYTES:
            self.kept.append(data)
            self.kept_bytes += len(data)


class Pipeline:
    """Runs calls. Shared by all of them; holds no state of any."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        recorder: Recorder,
        clock: Clock,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._upstream = upstream
        self._recorder = recorder
        self._clock = clock
        self._draw = draw
        self._sleep = sleep

    async def run(self, call: ClientCall, grant: KeyGrant, tables: Tables, reply: Reply, request_id: str) -> None:
        """One call from its authenticated request to the end of its reply; every outcome is recorded."""
        state = _State(
            call=call,
            grant=grant,
            project=tables.snapshot.projects[grant.project_id],
            tables=tables,
            reply=reply,
            request_id=request_id,
            start_ns=self._clock.now_ns(),
        )
        try:
            plan = _plan(state)
            reply.limit(_TOTAL, plan.timeouts.total_s)
            await (self._run_stream(state, plan) if call.stream else self._run_plain(state, plan))
        except OctavoError as error:
            await self._refuse(state, problem_of_error(error))
        except _Failed as failed:
            await self._refuse(state, failed.problem)
        except asyncio.CancelledError:
            if reply.calm(_TOTAL):
                late = UpstreamTimeout("The provider did not complete its answer within the route's total timeout.")
                await self._refuse(state, problem_of_error(late))
                return
            if not reply.client_gone:
                raise
            self._settle(state)
            await self._record(state, _CLIENT_GONE, "cancelled", "The client closed the connection.")

    async def _run_plain(self, state: _State, plan: RoutePlan) -> None:
        async def once(exchange: Exchange) -> bytes:
            opened = await self._open(state, exchange, plan)
            try:
                answer = await opened.read_whole()
            finally:
                opened.close()
            _check(exchange, answer)
            body, state.facts = exchange.reply(answer.body)
            return body

        body = await self._attempt(state, plan, once)
        self._settle(state)
        body = with_cost(body, state.cost_nano)
        state.keep(body)
        await self._record(state, 200)
        await state.reply.send(200, _headers(state, b"application/json"), body)

    async def _run_stream(self, state: _State, plan: RoutePlan) -> None:
        async def once(exchange: Exchange) -> _Opened:
            upstream = await self._open(state, exchange, plan)
            try:
                if upstream.status >= 300 or "event" not in upstream.content_type:
                    _check(exchange, await upstream.read_whole())
                    raise UpstreamError("The provider answered something else than the stream that was asked for.")
            except BaseException:
                upstream.close()
                raise
            return _Opened(upstream, exchange.stream())

        state.reply.keep_alive(lambda: _stream_headers(state))
        opened = await self._attempt(state, plan, once)
        try:
            await state.reply.start(200, _stream_headers(state))
            await self._relay(state, opened)
        finally:
            opened.upstream.close(ended=opened.stream.complete)

    async def _open(self, state: _State, exchange: Exchange, plan: RoutePlan) -> UpstreamStream:
        state.reply.limit(_FIRST_BYTE, plan.timeouts.first_byte_s)
        upstream = await self._upstream.open(exchange.request, plan.timeouts)
        state.reply.limit(_FIRST_BYTE, None)
        return upstream

    async def _relay(self, state: _State, opened: _Opened) -> None:
        """Passes the stream on as it comes. The last event waits for the record (which may wait for the disk)."""
        upstream, stream = opened
        state.facts = stream.facts
        mover = None if state.call.wants_usage else UsageMover()
        while (chunk := await upstream.read_chunk()) is not None:
            events = stream.feed(chunk)
            if mover is not None:
                events = mover.feed(events)
            if events and (data := self._outgoing(state, events)):
                if events[-1].kind == "done":
                    await self._finish(state, stream, data)
                    return
                state.keep(data)
                await state.reply.write(data)
        events = stream.finish()
        if mover is not None:
            events = [*mover.feed(events), *mover.flush()]
        data = self._outgoing(state, events)
        if not stream.complete and stream.failure is None:
            raise UpstreamError("The provider's stream ended before it was complete.")
        await self._finish(state, stream, data)

    async def _finish(self, state: _State, stream: Stream, data: bytes) -> None:
        state.keep(data)
        failure = stream.failure
        self._settle(state)
        if failure is None:
            await self._record(state, 200)
        else:
            problem = problem_of_failure(failure)
            await self._record(state, 200, problem.error_class, problem.message)
        await state.reply.write(data, last=True)

    def _outgoing(self, state: _State, events: Sequence[StreamEvent]) -> bytes:
        """The bytes of some events, the cost added to the one that carries usage."""
        if not state.first_token_ns and any(event.kind == "content" for event in events):
            state.first_token_ns = self._clock.now_ns()
        if state.facts.usage is None:
            return events[0].data if len(events) == 1 else b"".join([event.data for event in events])
        pieces = []
        for event in events:
            data = event.data
            if event.kind in _WITH_USAGE or data.startswith(b"event: message_delta"):
                self._settle(state)
                data = with_cost(data, state.cost_nano)
            pieces.append(data)
        return b"".join(pieces)

    async def _attempt(self, state: _State, plan: RoutePlan, once: Callable[[Exchange], Awaitable[T]]) -> T:
        """The first success along the chain. Raises _Failed with the last refusal, or Invalid when no connection of
        the chain can express the request."""
        call = state.call
        hops = plan.order(self._draw())
        problem: Problem | None = None
        for hop in hops:
            state.hop = hop
            for attempt in range(plan.retries + 1):
                state.attempts += 1
                try:
                    exchange = open_exchange(
                        Call(
                            connection=hop.connection,
                            endpoint=call.endpoint,
                            model=hop.model,
                            body=call.body,
                            raw=call.raw,
                            stream=call.stream,
                            now=datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC),
                            request_id=state.request_id,
                            headers=call.headers,
                        )
                    )
                    return await once(exchange)
                except Invalid as error:
                    problem = problem_of_error(error)
                except UpstreamError as error:
                    problem = problem_of_error(error)
                except asyncio.CancelledError:
                    if not state.reply.calm(_FIRST_BYTE):
                        raise
                    problem = problem_of_error(UpstreamTimeout("The provider did not begin to answer in time."))
                except _Failed as failed:
                    problem = failed.problem
                state.attempt_errors.append(f"{hop.connection.name}: {problem.status} {problem.code}")
                wait_s = self._pause(problem, attempt)
                if not problem.retryable or wait_s is None or attempt == plan.retries:
                    break
                await self._sleep(wait_s)
            if problem is not None and not (
                problem.retryable or problem.status in _ELSEWHERE or _refused_here(problem)
            ):
                break
        if problem is None:
            raise Unavailable("The route has no target.")
        raise _Failed(problem)

    def _pause(self, problem: Problem, attempt: int) -> float | None:
        """Full jitter, or as long as the provider asked; None when that is too long to wait."""
        if problem.retry_after_s is not None:
            return problem.retry_after_s if problem.retry_after_s <= _PATIENCE_S else None
        return self._draw() * min(_BACKOFF_MOST_S, _BACKOFF_S * (1 << attempt))

    def _settle(self, state: _State) -> None:
        """Counts and prices what was used, once it is known."""
        reported = state.facts.usage
        if reported is None or state.hop is None:
            return
        state.usage = normalise_usage(*reported)
        tier = reported.values.get("service_tier")
        rates = state.tables.prices.rates_for(
            state.hop.connection,
            state.hop.model,
            state.start_ns,
            served=state.facts.model,
            tier=tier if isinstance(tier, str) else "",
        ).rates
        state.cost_nano = None if rates is None else cost(rates, state.usage)

    async def _refuse(self, state: _State, problem: Problem) -> None:
        """Tells the client, in a stream when one has begun, and records it."""
        self._settle(state)
        endpoint = state.call.endpoint
        if state.reply.started:
            failure = Failure(
                status=problem.status,
                code=problem.code,
                message=problem.message,
                type=problem.type,
                param=problem.param,
            )
            data = error_event(endpoint, failure, sequence_number=len(state.kept)).data
            state.keep(data)
            await self._record(state, 200, problem.error_class, problem.message)
            await state.reply.write(data, last=True)
            return
        body, headers = render(problem, endpoint, state.request_id)
        state.keep(body)
        await self._record(state, problem.status, problem.error_class, problem.message)
        await state.reply.send(problem.status, headers + _common_headers(state), body)

    async def _record(self, state: _State, status: int, error_class: str = "", error_message: str = "") -> None:
        call, grant, project, facts = state.call, state.grant, state.project, state.facts
        connection = state.hop.connection if state.hop is not None else None
        bare = project.capture is CaptureMode.NONE
        request, response = captured(project, state.tables.masks.get(project.id), call.sent, b"".join(state.kept))
        pending = self._recorder.record(
            GatewayCall(
                project_id=project.id,
                trace_id=call.trace_id,
                span_id=state.span_id,
                parent_span_id=call.parent_span_id,
                endpoint=call.endpoint,
                start_ns=state.start_ns,
                end_ns=self._clock.now_ns(),
                first_token_ns=state.first_token_ns,
                status_code=status,
                error_class=error_class,
                error_message="" if bare else error_message,
                environment=grant.environment,
                api_key_id=grant.key_id,
                connection_id=connection.id if connection else "",
                provider=connection.provider if connection else "",
                model_requested=call.model,
                model=facts.model or (state.hop.model if state.hop is not None else ""),
                release="",
                app="",
                streaming=call.stream,
                attempts=state.attempts,
                attempt_errors=state.attempt_errors,
                usage=state.usage,
                cost_nano=state.cost_nano,
                captured=project.capture,
                request=request,
                response=response,
                request_headers={} if bare else recorded_headers(call.headers),
                request_id=state.request_id,
                finish_reason=facts.finish_reason,
                response_id=facts.response_id,
                price_known=state.cost_nano is not None,
                context={} if bare else call.context,
            )
        )
        if pending is not None:
            await pending


def _plan(state: _State) -> RoutePlan:
    allowed = state.grant.allowed_models
    model = state.call.model
    if allowed and not any(glob_matches(pattern, model) for pattern in allowed):
        raise Forbidden(
            f"The API key {state.grant.name!r} may not call model {model[:200]!r}; it is limited to {', '.join(allowed)}.",
            code="model_not_allowed",
            param="model",
        )
    return state.tables.router.plan(state.grant.project_id, model)


def _check(exchange: Exchange, answer: UpstreamReply) -> None:
    if answer.status >= 300:
        raise _Failed(problem_of_failure(exchange.failure(answer.status, answer.headers, answer.body)))


def _refused_here(problem: Problem) -> bool:
    """Whether only this connection cannot express the request (our own Invalid), so that the next one may."""
    return problem.error_class == "invalid_request" and problem.type == Invalid.type and problem.code == Invalid.code


def _common_headers(state: _State) -> list[tuple[bytes, bytes]]:
    request_id = state.request_id.encode()
    headers = [
        (b"x-request-id", request_id),
        (b"x-octavo-trace-id", state.call.trace_id.encode()),
        (b"x-octavo-attempts", b"%d" % state.attempts),
    ]
    if state.call.endpoint in (MESSAGES, COUNT_TOKENS):
        headers.append((b"request-id", request_id))
    return headers


def _headers(state: _State, content_type: bytes) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", content_type), *_common_headers(state)]
    if state.hop is not None:
        headers.append((b"x-octavo-model", (state.facts.model or state.hop.model).encode("ascii", "replace")))
    if state.cost_nano is not None:
        headers.append((b"x-octavo-cost", cost_text(state.cost_nano).encode()))
    return headers


def _stream_headers(state: _State) -> list[tuple[bytes, bytes]]:
    return [
        *_headers(state, b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ]


ENDPOINTS = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT_TOKENS,
}
