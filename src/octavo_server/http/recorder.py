"""From the gateway to the spool: each call is counted, and handed over without holding up its reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from octavo_server.http.metrics import Metrics
from octavo_server.stores.spool import Spool
from octavo_server.traces.model import GatewayCall, Usage

GATEWAY_KIND = "gateway"


class SpoolRecorder:
    """The gateway's `Recorder`. With `strict`, the answer is an awaitable that is done when the record is safe."""

    def __init__(self, spool: Spool, metrics: Metrics, note_use: Callable[[str], None], *, strict: bool) -> None:
        self._spool = spool
        self._metrics = metrics
        self._note_use = note_use
        self._strict = strict
        self._encode = msgspec.msgpack.Encoder().encode

    def record(self, call: GatewayCall) -> Awaitable[None] | None:
        """See `gateway.recording.Recorder`. Raises SpoolFull, in strict mode only."""
        self._count(call)
        payload = self._encode(call)
        if self._strict:
            return self._spool.append(GATEWAY_KIND, payload)
        self._spool.append_nowait(GATEWAY_KIND, payload)
        return None

    def _count(self, call: GatewayCall) -> None:
        usage = call.usage or Usage()
        self._note_use(call.api_key_id)
        self._metrics.call(
            call.model or call.model_requested,
            call.status_code,
            (call.end_ns - call.start_ns) / 1e9,
            first_token_s=(call.first_token_ns - call.start_ns) / 1e9 if call.first_token_ns else None,
            input_tokens=usage.input + usage.cache_read + usage.cache_write + usage.input_audio,
            output_tokens=usage.output + usage.reasoning + usage.output_audio,
            cost_nano=call.cost_nano,
        )
