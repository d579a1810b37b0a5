"""Taking what clients send: looked at when it comes, acknowledged when it is safe in the spool."""

from __future__ import annotations

import gzip
import io
import zlib

import msgspec
from anyio import CapacityLimiter, to_thread

from octavo_server.core.errors import TooLarge
from octavo_server.stores.spool import Spool
from octavo_server.traces.model import Origin
from octavo_server.traces.otlp import MalformedOtlp, Receipt, count_logs, count_metrics, count_spans
from octavo_server.traces.service.ingest import LOGS_KIND, SPANS_KIND

_METRICS_KIND = "otlp.metrics"
_COUNT = {SPANS_KIND: count_spans, LOGS_KIND: count_logs, _METRICS_KIND: count_metrics}
_IN_THREAD_BYTES = 64 << 10
"""From here on a body is looked at in a thread, for the event loop serves the gateway too."""
_AT_ONCE = 2
"""How many bodies are unpacked and looked at together: each may take many times its size."""


class Receiving:
    """The verbs of ingest. They return after the commit; raise MalformedOtlp, TooLarge, and SpoolFull when the worker
    cannot keep up."""

    def __init__(self, spool: Spool, *, max_bytes: int) -> None:
        self._spool = spool
        self._max_bytes = max_bytes
        self._looking = CapacityLimiter(_AT_ONCE)
        self._encode = msgspec.json.Encoder().encode

    async def take_spans(self, body: bytes, origin: Origin, *, encoding: str) -> Receipt:
        """Accepts an export request of traces, compressed as `encoding` says."""
        return await self._take(SPANS_KIND, body, origin, encoding)

    async def take_logs(self, body: bytes, origin: Origin, *, encoding: str) -> Receipt:
        """Accepts an export request of logs: the records that belong to spans."""
        return await self._take(LOGS_KIND, body, origin, encoding)

    async def take_metrics(self, body: bytes, origin: Origin, *, encoding: str) -> Receipt:
        """Looks at an export request of metrics and keeps nothing of it: Octavo measures by its spans."""
        return await self._take(_METRICS_KIND, body, origin, encoding)

    async def _take(self, kind: str, body: bytes, origin: Origin, encoding: str) -> Receipt:
        if len(body) > _IN_THREAD_BYTES or encoding:
            plain, receipt = await to_thread.run_sync(self._look, kind, body, origin, encoding, limiter=self._looking)
        else:
            plain, receipt = self._look(kind, body, origin, encoding)
        if receipt.accepted:
            await self._spool.append(kind, plain, count=receipt.accepted, meta=self._encode(origin))
        return receipt

    def _look(self, kind: str, body: bytes, origin: Origin, encoding: str) -> tuple[bytes, Receipt]:
        plain = decompress(body, encoding, self._max_bytes)
        return plain, _COUNT[kind](plain, json=origin.json)


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body of a `Content-Encoding` of gzip, deflate or none. Raises TooLarge as soon as more than `max_bytes` come
    out, so that a small body cannot fill the memory, and MalformedOtlp."""
    if encoding in ("", "identity"):
        plain = body
    else:
        try:
            if encoding == "gzip":
                with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
                    plain = file.read(max_bytes + 1)
            else:
                inflater = zlib.decompressobj()
                plain = inflater.decompress(body, max_bytes + 1)
                if not (inflater.eof or inflater.unconsumed_tail):
                    raise EOFError("it ends before its end")
        except (OSError, EOFError, zlib.error) as error:
            raise MalformedOtlp(f"the body is not {encoding}, as Content-Encoding says: {error}") from error
    if len(plain) > max_bytes:
        raise TooLarge(f"the body has more than {max_bytes >> 20} MiB when decompressed, the most this server takes")
    return plain
