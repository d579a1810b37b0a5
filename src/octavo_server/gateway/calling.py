"""Calling providers: each target of the route in turn, each as often as the route allows, until one succeeds or the
trouble is one that no other could spare the client."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Invalid, Unavailable, UpstreamError, UpstreamTimeout
from octavo_server.costs.model import Connection
from octavo_server.costs.runtime import Hop, RoutePlan
from octavo_server.gateway import splice
from octavo_server.gateway.passage import Passage
from octavo_server.gateway.problems import Problem, problem_of_error, problem_of_failure
from octavo_server.gateway.providers.base import CHAT, COMPLETIONS, Call, Exchange, JsonObject
from octavo_server.gateway.providers.registry import PROVIDERS, open_exchange
from octavo_server.gateway.providers.urls import flag_option
from octavo_server.gateway.request import ClientCall
from octavo_server.gateway.upstream import Upstream, UpstreamReply, UpstreamStream

T = TypeVar("T")

FIRST_BYTE = "first byte"

_BACKOFF_S = 0.25
_BACKOFF_MOST_S = 4.0
_PATIENCE_S = 20.0
"""A provider that asks for a longer pause than this is left for the next in the chain."""
_ELSEWHERE = frozenset({401, 403, 404})
"""Refusals that another connection may not share."""


class Failed(Exception):
    """An attempt did not succeed, or none did."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Caller:
    """Runs the chain of a route. Shared by all calls; holds no state of any."""

    def __init__(
        self,
        upstream: Upstream,
        clock: Clock,
        *,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._draw = draw
        self._sleep = sleep

    async def call(self, passage: Passage, plan: RoutePlan, once: Callable[[Exchange], Awaitable[T]]) -> T:
        """The first success of `once` along the chain. Raises Failed with the last refusal."""
        problem: Problem | None = None
        for hop in plan.order(self._draw()):
            passage.hop = hop
            for attempt in range(plan.retries + 1):
                passage.attempts += 1
                try:
                    return await once(open_exchange(self._prepared(passage, hop)))
                except (Invalid, UpstreamError) as error:
                    problem = problem_of_error(error)
                except asyncio.CancelledError:
                    if not passage.reply.calm(FIRST_BYTE):
                        raise
                    problem = problem_of_error(UpstreamTimeout("The provider did not begin to answer in time."))
                except Failed as failed:
                    problem = failed.problem
                passage.reply.limit(FIRST_BYTE, None)
                passage.attempt_errors.append(f"{hop.connection.name}: {problem.status} {problem.code}")
                wait_s = self._pause(problem, attempt)
                if not problem.retryable or wait_s is None or attempt == plan.retries:
                    break
                await self._sleep(wait_s)
            if problem is not None and not _may_go_elsewhere(problem):
                break
        raise Failed(problem or problem_of_error(Unavailable("The route has no target.")))

    async def open(self, passage: Passage, exchange: Exchange, plan: RoutePlan) -> UpstreamStream:
        """The head of the provider's answer, within the route's time for it; the result has to be closed."""
        passage.reply.limit(FIRST_BYTE, plan.timeouts.first_byte_s)
        answer = await self._upstream.open(exchange.request, plan.timeouts)
        passage.reply.limit(FIRST_BYTE, None)
        return answer

    def _prepared(self, passage: Passage, hop: Hop) -> Call:
        call = passage.call
        body, raw = _body_for(call, hop)
        return Call(
            connection=hop.connection,
            endpoint=call.endpoint,
            model=hop.model,
            body=body,
            raw=raw,
            stream=call.stream,
            now=datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC),
            request_id=passage.request_id,
            headers=call.headers,
        )

    def _pause(self, problem: Problem, attempt: int) -> float | None:
        """Full jitter, or as long as the provider asked; None when that is too long to wait."""
        if problem.retry_after_s is not None:
            return problem.retry_after_s if problem.retry_after_s <= _PATIENCE_S else None
        return self._draw() * min(_BACKOFF_MOST_S, _BACKOFF_S * (1 << attempt))


def check(exchange: Exchange, answer: UpstreamReply) -> None:
    """Raises Failed when the provider refused."""
    if answer.status >= 300:
        raise Failed(problem_of_failure(exchange.failure(answer.status, answer.headers, answer.body)))


def _body_for(call: ClientCall, hop: Hop) -> tuple[JsonObject, bytes]:
    """The client's body with the target's name for the model and, on streams, usage asked for."""
    body, raw = call.body, call.raw
    if hop.model != call.model:
        body = {**body, "model": hop.model}
        raw = splice.replaced(raw, "model", hop.model)
    if call.stream and not call.wants_usage and _gives_usage(call.endpoint, hop.connection):
        given = body.get("stream_options")
        options = {**given, "include_usage": True} if isinstance(given, dict) else {"include_usage": True}
        body = {**body, "stream_options": options}
        raw = splice.replaced(raw, "stream_options", options)
    return body, raw


def _gives_usage(endpoint: str, connection: Connection) -> bool:
    return (
        endpoint in (CHAT, COMPLETIONS)
        and endpoint in PROVIDERS[connection.provider].native
        and flag_option(connection, "stream_usage", True)
    )


def _may_go_elsewhere(problem: Problem) -> bool:
    """Whether the next target may succeed: a passing trouble, a refusal of this connection, or our own finding that
    this one cannot express the request."""
    ours = problem.error_class == "invalid_request" and problem.type == Invalid.type and problem.code == Invalid.code
    return problem.retryable or problem.status in _ELSEWHERE or ours
