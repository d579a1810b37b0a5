"""The corridor that every model call passes, in order:

    authenticate → plan the route → call (retry, fall back, time out) → settle the cost → record → reply

`app.py` does the first step and hands over; each later room adds its step here.
"""

from __future__ import annotations

import asyncio
import logging

from octavo_server.core.clock import Clock
from octavo_server.core.errors import Forbidden, OctavoError, UpstreamError, UpstreamTimeout
from octavo_server.costs.model import glob_matches
from octavo_server.costs.runtime import RoutePlan
from octavo_server.gateway.calling import Caller, Failed, check
from octavo_server.gateway.passage import Passage, Tables
from octavo_server.gateway.problems import INTERNAL, Problem, problem_of_error, problem_of_failure, render
from octavo_server.gateway.providers.base import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    RESPONSES,
    Exchange,
    Failure,
)
from octavo_server.gateway.providers.failures import error_event
from octavo_server.gateway.recording import Recorder, kept
from octavo_server.gateway.reply import Reply
from octavo_server.gateway.request import ClientCall
from octavo_server.gateway.streaming import Relay
from octavo_server.gateway.upstream import UpstreamStream
from octavo_server.gateway.usage_on_wire import with_cost
from octavo_server.governance.model import KeyGrant

log = logging.getLogger("octavo.gateway")

ENDPOINTS = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": COUNT_TOKENS,
}

_TOTAL = "total"
_CLIENT_GONE = 499


class Pipeline:
    """Runs calls. Shared by all of them; holds no state of any."""

    def __init__(self, *, caller: Caller, recorder: Recorder, clock: Clock) -> None:
        self._caller = caller
        self._recorder = recorder
        self._clock = clock

    async def run(self, call: ClientCall, grant: KeyGrant, tables: Tables, reply: Reply, request_id: str) -> None:
        """One call from its authenticated request to the end of its reply; every outcome is recorded."""
        passage = self._enter(call, grant, tables, reply, request_id)
        try:
            plan = _plan(passage)
            reply.limit(_TOTAL, plan.timeouts.total_s)
            await (self._run_stream(passage, plan) if call.stream else self._run_plain(passage, plan))
        except OctavoError as error:
            await self._refuse(passage, problem_of_error(error))
        except Failed as failed:
            await self._refuse(passage, failed.problem)
        except asyncio.CancelledError:
            if reply.calm(_TOTAL):
                late = UpstreamTimeout("The provider did not complete its answer within the route's total timeout.")
                await self._refuse(passage, problem_of_error(late))
            elif reply.client_gone:
                passage.settle()
                await self._record(passage, _CLIENT_GONE, "cancelled", "The client closed the connection.")
            else:
                raise
        except Exception:
            log.exception("call %s to %s failed", request_id, call.endpoint)
            await self._refuse(passage, INTERNAL)

    async def reject(
        self, call: ClientCall, error: OctavoError, grant: KeyGrant, tables: Tables, reply: Reply, request_id: str
    ) -> None:
        """Answers and records a request that could not be read as a call."""
        await self._refuse(self._enter(call, grant, tables, reply, request_id), problem_of_error(error))

    def _enter(self, call: ClientCall, grant: KeyGrant, tables: Tables, reply: Reply, request_id: str) -> Passage:
        return Passage(
            call=call,
            grant=grant,
            project=tables.snapshot.projects[grant.project_id],
            tables=tables,
            reply=reply,
            request_id=request_id,
            start_ns=self._clock.now_ns(),
        )

    async def _run_plain(self, passage: Passage, plan: RoutePlan) -> None:
        async def once(exchange: Exchange) -> bytes:
            opened = await self._caller.open(passage, exchange, plan)
            try:
                answer = await opened.read_whole()
            finally:
                opened.close()
            check(exchange, answer)
            body, passage.facts = exchange.reply(answer.body)
            return body

        body = await self._caller.call(passage, plan, once)
        passage.settle()
        body = with_cost(body, passage.cost_nano)
        passage.keep(body)
        await self._record(passage, 200)
        await passage.reply.send(200, passage.headers(), body)

    async def _run_stream(self, passage: Passage, plan: RoutePlan) -> None:
        async def once(exchange: Exchange) -> tuple[UpstreamStream, Exchange]:
            upstream = await self._caller.open(passage, exchange, plan)
            try:
                if upstream.status >= 300 or "event" not in upstream.content_type:
                    check(exchange, await upstream.read_whole())
                    raise UpstreamError("The provider answered something else than the stream that was asked for.")
            except BaseException:
                upstream.close()
                raise
            return upstream, exchange

        passage.reply.keep_alive(passage.stream_headers)
        upstream, exchange = await self._caller.call(passage, plan, once)
        stream = exchange.stream()

        async def finish(data: bytes) -> None:
            # The last piece waits for the record, which may wait for the disk.
            passage.keep(data)
            passage.settle()
            if stream.failure is None:
                await self._record(passage, 200)
            else:
                problem = problem_of_failure(stream.failure)
                await self._record(passage, 200, problem.error_class, problem.message)
            await passage.reply.write(data, last=True)

        try:
            await passage.reply.start(200, passage.stream_headers())
            await Relay(passage, upstream, stream, self._clock, passthrough=exchange.passthrough).run(finish)
        finally:
            upstream.close(ended=stream.complete)

    async def _refuse(self, passage: Passage, problem: Problem) -> None:
        """Tells the client, in a stream when one has begun, and records it."""
        passage.settle()
        endpoint = passage.call.endpoint
        if passage.reply.started:
            failure = Failure(
                status=problem.status,
                code=problem.code,
                message=problem.message,
                type=problem.type,
                param=problem.param,
            )
            data = error_event(endpoint, failure, sequence_number=len(passage.kept)).data
            passage.keep(data)
            await self._record_refusal(passage, 200, problem)
            await passage.reply.write(data, last=True)
            return
        body, headers = render(problem, endpoint, passage.request_id)
        passage.keep(body)
        await self._record_refusal(passage, problem.status, problem)
        await passage.reply.send(problem.status, headers + passage.common_headers(), body)

    async def _record(self, passage: Passage, status: int, error_class: str = "", error_message: str = "") -> None:
        """Hands the record over, once; when this returns it is as safe as the recorder promises."""
        if passage.recorded:
            return  # the client went away while its record was being written
        passage.reply.limit(_TOTAL, None)  # that bounds the provider, which has done its part
        record = passage.record(self._clock, status, error_class, error_message)
        record = await kept(record, passage.project, passage.tables.masks.get(passage.project.id))
        pending = self._recorder.record(record)
        passage.recorded = True
        if pending is not None:
            try:
                await pending
            except OctavoError:
                passage.recorded = False
                raise

    async def _record_refusal(self, passage: Passage, status: int, problem: Problem) -> None:
        """A refusal is given even when it cannot be recorded: that may be what is refused."""
        try:
            await self._record(passage, status, problem.error_class, problem.message)
        except OctavoError as error:
            log.warning("refusal %s of call %s is not recorded: %s", problem.code, passage.request_id, error.message)


def _plan(passage: Passage) -> RoutePlan:
    allowed = passage.grant.allowed_models
    model = passage.call.model
    if allowed and not any(glob_matches(pattern, model) for pattern in allowed):
        raise Forbidden(
            f"The API key {passage.grant.name!r} may not call model {model[:200]!r}; "
            f"it is limited to {', '.join(allowed)}.",
            code="model_not_allowed",
            param="model",
        )
    return passage.tables.router.plan(passage.grant.project_id, model)
