"""Spans of an application's own steps: the context manager `span` and what can be said of one.

with octavo.span("look up", kind="retriever", input=question) as step:
    step.update(documents=search(question))
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from octavo.quietly import quietly
from octavo.serialising import plain_of
from octavo.tracing import TRACING, content_of, merged, shared_attributes

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from octavo.scoring import ScoreValue

Kind = Literal[
    "span", "llm", "embedding", "retriever", "reranker", "tool", "agent", "chain", "guardrail", "evaluator"
]  # fmt: skip

_CURRENT = otel.create_key("octavo-span")
FIRST_TOKEN_S = "gen_ai.response.time_to_first_chunk"  # noqa: S105, no secret
_LONGEST_STACK = 10_000

# What OpenTelemetry's GenAI conventions call the operation of a kind; the kind itself is told in OpenInference's words.
_OPERATIONS = {
    "llm": "chat",
    "embedding": "embeddings",
    "retriever": "retrieval",
    "reranker": "rerank",
    "tool": "execute_tool",
    "agent": "invoke_agent",
}
_NAMED = {"tool": "gen_ai.tool.name", "agent": "gen_ai.agent.name"}

# Names of token counts, ours and providers', and the conventions'.
_USAGE = {
    "input": "gen_ai.usage.input_tokens",
    "input_tokens": "gen_ai.usage.input_tokens",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "output": "gen_ai.usage.output_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "total": "gen_ai.usage.total_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
_DETAILS = {
    "prompt_tokens_details": "gen_ai.usage.audio.input_tokens",
    "input_tokens_details": "gen_ai.usage.audio.input_tokens",
    "completion_tokens_details": "gen_ai.usage.audio.output_tokens",
    "output_tokens_details": "gen_ai.usage.audio.output_tokens",
}


class Said(TypedDict, total=False):
    """What can be said of a step."""

    input: Any
    output: Any
    metadata: Mapping[str, Any] | None
    model: str | None
    provider: str | None
    parameters: Mapping[str, Any] | None
    usage: Any
    cost: float | None
    documents: Iterable[Any] | None
    tools: Any
    prompt: str | Sequence[Any] | None
    error: BaseException | str | None


class Span:
    """A step of the application while it runs. Its methods never raise; after the end they do nothing."""

    def __init__(
        self,
        name: str,
        *,
        kind: Kind = "span",
        otel_kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        said: Said | None = None,
    ) -> None:
        self._name, self.kind = name, kind
        self._otel_kind = otel_kind
        self._given: Said = said or {}
        self._attributes = attributes or {}
        self._span: trace.Span = trace.INVALID_SPAN
        self._started_ns = 0
        self._token: Any = None

    def start(self) -> Self:
        """Begins it without making it the current one; `end` ends it. `with` does both."""
        self._start()
        return self

    @quietly
    def _start(self) -> None:
        running = TRACING.running()
        self._settings = running.settings
        attributes: dict[str, Any] = {}
        if self.kind != "span":
            attributes["openinference.span.kind"] = self.kind.upper()
        if operation := _OPERATIONS.get(self.kind):
            attributes["gen_ai.operation.name"] = operation
        if called := _NAMED.get(self.kind):
            attributes[called] = self._name
        self._started_ns = time.time_ns()
        self._span = running.tracer.start_span(
            str(self._name),
            None,
            self._otel_kind,
            {**attributes, **self._attributes},
            start_time=self._started_ns,
        )
        self._metadata = shared_attributes().get("metadata", "{}")
        self.update(**self._given)
        self._given = {}

    def __bool__(self) -> bool:
        """Whether it is one at all: not where tracing is off."""
        return self._span.get_span_context().is_valid

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return format_trace_id(self._span.get_span_context().trace_id)

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return format_span_id(self._span.get_span_context().span_id)

    @property
    def context(self) -> otel.Context:
        """OpenTelemetry's context with this span as the current one."""
        return otel.set_value(_CURRENT, self, trace.set_span_in_context(self._span))

    def update(self, *, name: str | None = None, **said: Unpack[Said]) -> Self:
        """Says more of the step: `name`, `input`, `output`, `metadata` (added to what is there), `model`, `provider`,
        `parameters`, `usage` (a provider's object, or counts by name: input, output, cache_read, cache_write, reasoning,
        total), `cost` (US dollars), `documents` (texts, or dicts with `content`, `id`, `score`, `metadata`), `tools`,
        `prompt` (its name, or name and version), `error` (a text or an exception)."""
        if self._span.is_recording():
            for what, value in (("name", name), *said.items()):
                if value is not None:
                    self._say(what, value)
        return self

    @quietly
    def _say(self, name: str, value: Any) -> None:
        say = getattr(self, f"_say_{name}", None)
        if say is None:
            raise TypeError(f"update() knows no {name!r}")
        say(value)

    def set(self, name: str, value: Any) -> None:
        """Any attribute, as it is."""
        if value is not None:
            self._span.set_attribute(name, value)

    @quietly
    def content(self, name: str, value: Any) -> None:
        """Any attribute that holds what people or models said: masked, as text."""
        if self._span.is_recording():
            self._span.set_attribute(name, content_of(value, self._settings))

    def _say_name(self, name: str) -> None:
        self._span.update_name(str(name))

    def _say_input(self, value: Any) -> None:
        self.content("input.value", value)

    def _say_output(self, value: Any) -> None:
        self.content("output.value", value)

    def _say_metadata(self, value: Any) -> None:
        self._metadata = merged(json.loads(self._metadata), content_of(value, self._settings))
        self.set("metadata", self._metadata)

    def _say_model(self, model: str) -> None:
        self.set("gen_ai.request.model", str(model))

    def _say_provider(self, provider: str) -> None:
        self.set("gen_ai.provider.name", str(provider))

    def _say_parameters(self, parameters: Mapping[str, Any]) -> None:
        for name, value in parameters.items():
            if value is not None:
                plain = isinstance(value, (bool, int, float, str))
                self.set(f"gen_ai.request.{name}", value if plain else content_of(value, self._settings))

    def _say_usage(self, usage: Any) -> None:
        for name, count in usage_attributes(usage).items():
            self.set(name, count)

    def _say_cost(self, cost: float) -> None:
        self.set("gen_ai.usage.cost", float(cost))

    def _say_documents(self, documents: Iterable[Any]) -> None:
        self.content("gen_ai.retrieval.documents", [_document(one) for one in documents])

    def _say_tools(self, tools: Any) -> None:
        self.content("gen_ai.tool.definitions", tools)

    def _say_prompt(self, prompt: str | Sequence[Any]) -> None:
        name, version = (prompt, None) if isinstance(prompt, str) else (*prompt, None)[:2]
        self.set("gen_ai.prompt.name", str(name))
        self.set("gen_ai.prompt.version", None if version is None else str(version))

    def _say_error(self, error: BaseException | str) -> None:
        if isinstance(error, BaseException):
            message, kind = str(error), type(error).__qualname__
            module = type(error).__module__
            told = {
                "exception.type": kind if module == "builtins" else f"{module}.{kind}",
                "exception.message": content_of(message, self._settings),
            }
            if self._settings.mask is None:  # a stack trace ends with the message
                stack = "".join(traceback.format_exception(error))
                told["exception.stacktrace"] = stack[-_LONGEST_STACK:]
            self._span.add_event("exception", told)
            self.set("error.type", kind)
            error = message or kind
        self._span.set_status(StatusCode.ERROR, content_of(error, self._settings))

    def event(self, name: str, **attributes: Any) -> Self:
        """Marks a moment."""
        self._event(name, attributes)
        return self

    @quietly
    def _event(self, name: str, attributes: Mapping[str, Any]) -> None:
        if self._span.is_recording():
            told = {key: content_of(value, self._settings) for key, value in attributes.items()}
            self._span.add_event(str(name), told)

    def first_token(self) -> None:
        """The answer begins to come now."""
        if self._started_ns:
            self.set(FIRST_TOKEN_S, (time.time_ns() - self._started_ns) / 1e9)
            self._started_ns = 0

    def score(self, name: str, value: ScoreValue, **more: Any) -> str | None:
        """Scores this span; as `octavo.score`."""
        from octavo.scoring import score

        return score(name=name, value=value, trace_id=self.trace_id, span_id=self.span_id, **more)

    @quietly
    def end(self, error: BaseException | None = None) -> None:
        """Ends it, with an error if there is one. A generator that is closed has none."""
        if self._span.is_recording():
            if error is not None and not isinstance(error, GeneratorExit):
                self._say("error", error)
            self._span.end()

    def __enter__(self) -> Self:
        self._start()
        self._enter()
        return self

    @quietly
    def _enter(self) -> None:
        self._token = otel.attach(self.context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._token is not None:
            otel.detach(self._token)
            self._token = None
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, stack)


def span(name: str, *, kind: Kind = "span", **said: Unpack[Said]) -> Span:
    """A step: `with octavo.span("plan", kind="agent") as step:`, or `async with`. What `update` takes can be said here."""
    return Span(name, kind=kind, said=said)


def current_span() -> Span:
    """The innermost span of `span` and `observe` here, to say more of it; outside of them one that records nothing."""
    found = otel.get_value(_CURRENT)
    return found if isinstance(found, Span) else Span("none")


def usage_attributes(usage: Any) -> dict[str, int]:
    """A provider's usage, or counts by name, as the conventions have it."""
    plain = plain_of(usage)
    if not isinstance(plain, Mapping):
        return {}
    found: dict[str, int] = {}
    for name, value in plain.items():
        if isinstance(value, Mapping):
            found |= {key: count for key, count in usage_attributes(value).items() if key not in found}
            if name in _DETAILS and isinstance(audio := value.get("audio_tokens"), int):
                found[_DETAILS[name]] = audio
        elif name in _USAGE and isinstance(value, (int, float)):
            found[_USAGE[name]] = int(value)
    return found


def _document(document: Any) -> Any:
    if isinstance(document, str):
        return {"content": document}
    if hasattr(document, "page_content"):  # LangChain's
        return {"content": document.page_content, "metadata": getattr(document, "metadata", None)}
    return document


class Ending:
    """Around a step of what is iterated: `finish` is told when that is its end, and with which error."""

    def __init__(self, end: type[Exception], finish: Callable[..., None]) -> None:
        self._end, self._finish = end, finish

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if isinstance(error, self._end):
            self._finish()
        elif error is not None:
            self._finish(error)
