"""OpenAI's clients, each call of which is a span in Octavo. Change the import, nothing else:

    from octavo.openai import OpenAI

Chat completions, responses and embeddings are recorded: plain, parsed, streamed, raw. Without a `base_url` calls go to
Octavo's gateway; there the two records of a call are one trace, and it is counted once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from opentelemetry import context as otel
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from octavo import messages
from octavo.config import read_config
from octavo.observing import Ending, Kind, Span
from octavo.quietly import quietly
from octavo.serialising import plain_of
from octavo.tracing import TRACING, shared_attributes

try:
    import openai
    from openai._legacy_response import LegacyAPIResponse
except ImportError as error:
    raise ImportError("octavo.openai needs OpenAI's client: pip install openai") from error

__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAI"]

_PROPAGATOR = TraceContextTextMapPropagator()
_HOSTS = (("api.openai.com", "openai"), (".openai.azure.com", "azure.ai.openai"))
_BAGGAGE = ("session.id", "user.id")
_OWN_ADDRESS = frozenset({"provider", "data_residency", "workload_identity", "websocket_base_url"})


class _Recorded:
    def request(self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        """Every call of a client comes through here."""
        send: Any = super()
        call = _begin(self, options)
        if call is None:
            return send.request(cast_to, options, stream=stream, stream_cls=stream_cls)
        with call.current():
            result = send.request(cast_to, call.options, stream=stream, stream_cls=stream_cls)
        return call.answered(result)


class _RecordedAsync:
    async def request(self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        """Every call of a client comes through here."""
        send: Any = super()
        call = _begin(self, options)
        if call is None:
            return await send.request(cast_to, options, stream=stream, stream_cls=stream_cls)
        with call.current():
            result = await send.request(cast_to, call.options, stream=stream, stream_cls=stream_cls)
        return call.answered(result)


class OpenAI(_Recorded, openai.OpenAI):
    """`openai.OpenAI`, recorded. `base_url` is Octavo's gateway and `api_key` OCTAVO_API_KEY, unless given."""

    def __init__(self, *, base_url: Any = None, api_key: Any = None, **options: Any) -> None:
        super().__init__(**_addressed(base_url, api_key, options))


class AsyncOpenAI(_RecordedAsync, openai.AsyncOpenAI):
    """`openai.AsyncOpenAI`, recorded. `base_url` is Octavo's gateway and `api_key` OCTAVO_API_KEY, unless given."""

    def __init__(self, *, base_url: Any = None, api_key: Any = None, **options: Any) -> None:
        super().__init__(**_addressed(base_url, api_key, options))


class AzureOpenAI(_Recorded, openai.AzureOpenAI):
    """`openai.AzureOpenAI`, recorded."""


class AsyncAzureOpenAI(_RecordedAsync, openai.AsyncAzureOpenAI):
    """`openai.AsyncAzureOpenAI`, recorded."""


def __getattr__(name: str) -> Any:
    """Errors and types, so that `import octavo.openai as openai` is enough."""
    return getattr(openai, name)


def _addressed(base_url: Any, api_key: Any, options: dict[str, Any]) -> dict[str, Any]:
    if not _OWN_ADDRESS & {name for name, value in options.items() if value}:
        config = read_config()
        gateway = f"{config.url}/v1"
        if base_url is None:
            base_url = gateway
        if api_key is None and str(base_url).rstrip("/") == gateway:
            api_key = config.api_key or None
    return {"base_url": base_url, "api_key": api_key, **options}


class _Call:
    """One call while it runs: what it is, and what is read from its answer."""

    kind: Kind = "llm"
    operation = "chat"

    def __init__(self, client: Any, options: Any, body: Mapping[str, Any]) -> None:
        host, port = client.base_url.host, client.base_url.port
        model = str(body.get("model") or "")
        self.span = Span(
            f"{self.operation} {model}".strip(),
            kind=self.kind,
            otel_kind=SpanKind.CLIENT,
            attributes={"gen_ai.operation.name": self.operation, "server.address": host},
            said={
                "model": model or None,
                "provider": next((name for end, name in _HOSTS if host.endswith(end)), "openai"),
                "parameters": messages.parameters_of(body),
                "tools": body.get("tools"),
            },
        ).start()
        self.span.set("server.port", port)
        self.options = options.model_copy(update={"headers": self._headers(client, options.headers)})
        self.asked(body)

    def asked(self, body: Mapping[str, Any]) -> None:
        """Records the request."""

    def told(self, answer: Mapping[str, Any]) -> None:
        """Records the answer."""
        self.span.set("gen_ai.response.id", answer.get("id"))
        self.span.set("gen_ai.response.model", answer.get("model"))
        if isinstance(usage := answer.get("usage"), Mapping):
            self.span.update(usage=usage)
            if usage.get("cost") is not None:
                self.span.update(cost=usage["cost"])

    def chunk(self, chunk: Any) -> None:
        """Takes a piece of a streamed answer."""

    def whole(self) -> Mapping[str, Any]:
        """The answer that the pieces so far make."""
        return {}

    def current(self) -> _Current:
        """The span is the current one while the request is sent, and ends with its error."""
        return _Current(self.span)

    def answered(self, result: Any) -> Any:
        """The result as the application gets it: the same, a stream being watched."""
        return result if quietly(self._answered)(result) else self._over(result)

    def finish(self, error: BaseException | None = None) -> None:
        """A stream is at its end, for whatever reason."""
        quietly(lambda: self.told(self.whole()))()
        self.span.end(error)

    def _answered(self, result: Any) -> bool:
        read = result.parse() if isinstance(result, LegacyAPIResponse) else result
        if isinstance(read, openai.Stream):
            watched = _Watched(read._iterator, self)
            read._iterator = watched
            read.close = _closing(read.close, watched)  # type: ignore[method-assign]
            return True
        if isinstance(read, openai.AsyncStream):
            watching = _AsyncWatched(read._iterator, self)
            read._iterator = watching
            read.close = _async_closing(read.close, watching)  # type: ignore[method-assign]
            return True
        if isinstance(read, openai.BaseModel):
            self.told(plain_of(read, TRACING.running().settings.max_characters))
        return False

    def _over(self, result: Any) -> Any:
        self.span.end()
        return result

    def _headers(self, client: Any, given: Any) -> dict[str, Any]:
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers, self.span.context)
        if str(client.base_url).startswith(f"{TRACING.running().settings.config.url}/"):
            # Only Octavo's own gateway is told who the user is.
            shared = shared_attributes()
            told = [f"{name}={quote(shared[name])}" for name in _BAGGAGE if name in shared]
            if told:
                headers["baggage"] = ",".join(told)
        return {**headers, **(given if isinstance(given, Mapping) else {})}


class _Chat(_Call):
    def __init__(self, *given: Any) -> None:
        self._chunks = messages.ChatChunks()
        super().__init__(*given)

    def asked(self, body: Mapping[str, Any]) -> None:
        self.span.content("gen_ai.input.messages", messages.chat_messages(body.get("messages")))

    def told(self, answer: Mapping[str, Any]) -> None:
        super().told(answer)
        output = messages.chat_output(answer.get("choices"))
        if output:
            self.span.content("gen_ai.output.messages", output)
            self.span.set("gen_ai.response.finish_reasons", [one["finish_reason"] for one in output])

    def chunk(self, chunk: Any) -> None:
        if self._chunks.add(plain_of(chunk)):
            self.span.first_token()

    def whole(self) -> Mapping[str, Any]:
        return self._chunks.whole()


class _Responses(_Call):
    def __init__(self, *given: Any) -> None:
        self._last: Any = {}
        super().__init__(*given)

    def asked(self, body: Mapping[str, Any]) -> None:
        if body.get("instructions"):
            self.span.content("gen_ai.system_instructions", [{"type": "text", "content": body["instructions"]}])
        self.span.content("gen_ai.input.messages", messages.responses_input(body.get("input")))

    def told(self, answer: Mapping[str, Any]) -> None:
        super().told(answer)
        if output := messages.responses_output(answer.get("output")):
            self.span.content("gen_ai.output.messages", output)
        if answer.get("status"):
            self.span.set("gen_ai.response.finish_reasons", [answer["status"]])
        if isinstance(error := answer.get("error"), Mapping):
            self.span.update(error=str(error.get("message") or error.get("code")))

    def chunk(self, chunk: Any) -> None:
        if str(chunk.type).endswith(".delta"):
            self.span.first_token()
        self._last = getattr(chunk, "response", None) or self._last

    def whole(self) -> Mapping[str, Any]:
        plain = plain_of(self._last, TRACING.running().settings.max_characters)
        return plain if isinstance(plain, Mapping) else {}


class _Embeddings(_Call):
    kind: Kind = "embedding"
    operation = "embeddings"

    def asked(self, body: Mapping[str, Any]) -> None:
        self.span.update(input=body.get("input"))

    def told(self, answer: Mapping[str, Any]) -> None:
        super().told(answer)
        vectors = answer.get("data") or []
        shown = {"embeddings": len(vectors)}
        first = vectors[0].get("embedding") if vectors and isinstance(vectors[0], Mapping) else None
        if isinstance(first, list):
            shown["dimensions"] = len(first)
            self.span.set("gen_ai.embeddings.dimension.count", len(first))
        self.span.update(output=shown)


_CALLS: Mapping[str, type[_Call]] = {
    "/chat/completions": _Chat,
    "/responses": _Responses,
    "/embeddings": _Embeddings,
}


@quietly
def _begin(client: Any, options: Any) -> _Call | None:
    """The call to record, None for others."""
    call = _CALLS.get(options.url) if options.method.lower() == "post" else None
    if call is None or not isinstance(options.json_data, Mapping):
        return None
    begun = call(client, options, {**options.json_data, **(options.extra_json or {})})
    return begun if begun.span else None


class _Current:
    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Any = None

    def __enter__(self) -> None:
        self._token = otel.attach(self._span.context)

    def __exit__(self, kind: object, error: BaseException | None, stack: object) -> None:
        otel.detach(self._token)
        if error is not None:
            self._span.end(error)


class _Watched(Iterator[Any]):
    """The chunks of a stream as they come. The span ends with the last, with an error, or when nobody wants more."""

    def __init__(self, chunks: Iterator[Any], call: _Call) -> None:
        self._chunks, self._chunk = chunks, quietly(call.chunk)
        self.finish = _once(call.finish)
        self._ending = Ending(StopIteration, self.finish)
        TRACING.unfinished.add(self)

    def __next__(self) -> Any:
        with self._ending:
            chunk = next(self._chunks)
        self._chunk(chunk)
        return chunk

    def __del__(self) -> None:
        self.finish()


class _AsyncWatched(AsyncIterator[Any]):
    def __init__(self, chunks: AsyncIterator[Any], call: _Call) -> None:
        self._chunks, self._chunk = chunks, quietly(call.chunk)
        self.finish = _once(call.finish)
        self._ending = Ending(StopAsyncIteration, self.finish)
        TRACING.unfinished.add(self)

    async def __anext__(self) -> Any:
        with self._ending:
            chunk = await self._chunks.__anext__()
        self._chunk(chunk)
        return chunk

    async def aclose(self) -> None:
        """AsyncStream closes its iterator."""
        self.finish()
        if (close := getattr(self._chunks, "aclose", None)) is not None:
            await close()

    def __del__(self) -> None:
        self.finish()


def _once(finish: Callable[..., None]) -> Callable[..., None]:
    left = [finish]

    def finish_once(*error: BaseException) -> None:
        while left:
            left.pop()(*error)

    return finish_once


def _closing(close: Callable[[], None], watched: _Watched) -> Callable[[], None]:
    def closed() -> None:
        watched.finish()
        close()

    return closed


def _async_closing(close: Callable[[], Any], watched: _AsyncWatched) -> Callable[[], Any]:
    async def closed() -> None:
        watched.finish()
        await close()

    return closed
