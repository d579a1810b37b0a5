"""Spans and scores as the server takes them, over one HTTP client."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any

from octavo.config import Config
from octavo.outbox import Later, Sent
from octavo.quietly import log, say_once

if TYPE_CHECKING:
    import httpx2
    from opentelemetry.sdk.trace import ReadableSpan

_RETRIED = frozenset({408, 429, 502, 503, 504})
_TIMEOUT_S = 10.0

Score = dict[str, Any]


class Delivery:
    """Sends to one server. Says once when it is away, and when it refuses."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._http: httpx2.Client | None = None
        self._pid = 0
        self._away = False

    def spans(self, spans: list[ReadableSpan]) -> Sent | Later:
        """One export request; halved for a server that finds it too large."""
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        body = gzip.compress(encode_spans(spans).SerializeToString(), compresslevel=1)
        headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
        answer = self._post("/v1/traces", content=body, headers=headers)
        if isinstance(answer, Later):
            return answer
        if answer.status_code == 413 and len(spans) > 1:
            half = len(spans) // 2
            first = self.spans(spans[:half])
            # Sending the first half again is harmless: a span has its id.
            return first if isinstance(first, Later) else self.spans(spans[half:])
        if not answer.is_success:
            return self._refused(f"{len(spans)} spans", answer)
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        if partial.rejected_spans:
            say_once(("partial", partial.error_message), "Octavo rejected some spans: %s", partial.error_message)
        return Sent.TAKEN

    def scores(self, scores: list[Score]) -> Sent | Later:
        """The scores, each with an id of its own, so that a second try changes nothing."""
        outcome = Sent.TAKEN
        for score in scores:
            answer = self._post("/api/v1/scores", json=score)
            if isinstance(answer, Later):
                return answer
            if not answer.is_success:
                outcome = self._refused(f"the score {score.get('name')!r}", answer)
        return outcome

    def close(self) -> None:
        """Closes the connections."""
        if self._http is not None and self._pid == os.getpid():
            self._http.close()

    def _post(self, path: str, **body: Any) -> httpx2.Response | Later:
        import httpx2

        try:
            answer = self._client().post(path, **body)
        except httpx2.TransportError as error:
            return self._unreachable(str(error) or type(error).__name__, Later(0))
        if answer.status_code in _RETRIED:
            wait = answer.headers.get("retry-after", "")
            told = Later(wait) if wait.replace(".", "", 1).isdigit() else Later(0)
            return self._unreachable(f"it answered {answer.status_code}", told)
        if self._away:
            self._away = False
            log.warning("Octavo at %s is back", self._config.url)
        return answer

    def _client(self) -> httpx2.Client:
        if self._http is None or self._pid != os.getpid():  # a forked child shares no connection with its parent
            import httpx2

            from octavo.api.sending import headers_of

            self._http = httpx2.Client(base_url=self._config.url, headers=headers_of(self._config), timeout=_TIMEOUT_S)
            self._pid = os.getpid()
        return self._http

    def _unreachable(self, why: str, later: Later) -> Later:
        if not self._away:
            self._away = True
            log.warning(
                "Octavo at %s does not take spans and scores (%s); they are kept and sent later", self._config.url, why
            )
        return later

    def _refused(self, what: str, answer: httpx2.Response) -> Sent:
        why = "check OCTAVO_API_KEY" if answer.status_code in (401, 403) else answer.text[:300]
        say_once((what.split()[-1], answer.status_code), "Octavo refused %s: %d, %s", what, answer.status_code, why)
        return Sent.REFUSED
