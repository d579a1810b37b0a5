"""`observe`: a function whose calls are spans.

@octavo.observe
def answer(question: str) -> str: ...

@octavo.observe(kind="retriever", capture_output=False)
async def search(query: str) -> list[str]: ...
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar, overload

from opentelemetry import context as otel

from octavo.observing import Ending, Kind, Span
from octavo.quietly import quietly
from octavo.tracing import TRACING

P = ParamSpec("P")
T = TypeVar("T")

_MOST_ITEMS = 10_000
"""Of what a generator gives; what comes after them is counted only."""


@overload
def observe(function: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def observe(
    *, name: str | None = None, kind: Kind = "span", capture_input: bool = True, capture_output: bool = True
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...


def observe(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    kind: Kind = "span",
    capture_input: bool = True,
    capture_output: bool = True,
) -> Any:
    """Makes a span of each call: sync and async functions, generators of both sorts, methods. The arguments are its
    input, by name and without `self`; what is returned or yielded is its output; an exception is its error."""

    def decorate(function: Any) -> Any:
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(decorate(function.__func__))
        arguments = _Arguments(function) if capture_input else None

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
            given = arguments.of(args, kwargs) if arguments else None
            called = name or str(getattr(function, "__name__", "call"))
            return Span(called, kind=kind, said={"input": given})

        if inspect.isasyncgenfunction(function):

            @wraps(function)
            def observed(*args: Any, **kwargs: Any) -> Any:
                return _AsyncSteps(function(*args, **kwargs), begin(args, kwargs), capture_output)

        elif inspect.isgeneratorfunction(function):

            @wraps(function)
            def observed(*args: Any, **kwargs: Any) -> Any:
                return _Steps(function(*args, **kwargs), begin(args, kwargs), capture_output)

        elif inspect.iscoroutinefunction(function):

            @wraps(function)
            async def observed(*args: Any, **kwargs: Any) -> Any:
                with begin(args, kwargs) as span:
                    result = await function(*args, **kwargs)
                    if capture_output:
                        span.update(output=result)
                    return result

        else:

            @wraps(function)
            def observed(*args: Any, **kwargs: Any) -> Any:
                with begin(args, kwargs) as span:
                    result = function(*args, **kwargs)
                    if capture_output:
                        span.update(output=result)
                    return result

        return observed

    return decorate if function is None else decorate(function)


class _Arguments:
    """The arguments of a call by name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._signature = quietly(inspect.signature)(function)
        names = list(self._signature.parameters) if self._signature else []
        self._bound = names[0] if names and names[0] in ("self", "cls") else None

    @quietly
    def of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            given = dict(self._signature.bind(*args, **kwargs).arguments) if self._signature else None
        except TypeError:  # the call itself is about to tell
            given = None
        if given is None:
            given = {**{str(place): value for place, value in enumerate(args)}, **kwargs}
        if self._bound is not None:
            given.pop(self._bound, None)
        return given or None


class _Output:
    """What a generator gave, collected; ends the span once."""

    def __init__(self, span: Span, capture: bool) -> None:
        self._span, self._capture = span, capture
        self._items: list[Any] = []
        self._more = 0
        self._is_llm = span.kind == "llm"
        TRACING.unfinished.add(self)

    def item(self, item: Any) -> None:
        if self._is_llm:
            self._span.first_token()
        if self._capture and len(self._items) < _MOST_ITEMS:
            self._items.append(item)
        elif self._capture:
            self._more += 1

    def finish(self, error: BaseException | None = None) -> None:
        if self._items:
            texts = all(isinstance(one, str) for one in self._items)
            output: Any = "".join(self._items) if texts else list(self._items)
            if self._more:
                output = [output, f"… and {self._more} more"]
            self._span.update(output=output)
            self._items = []
        TRACING.unfinished.discard(self)
        self._span.end(error)


class _Steps(Generator[Any, Any, Any]):
    """A generator whose body runs in a context of its own, in which the span is the current one: neither what it opens
    across a `yield` reaches the caller, nor does it matter who takes the next item."""

    def __init__(self, inner: Generator[Any, Any, Any], span: Span, capture: bool) -> None:
        self._inner = inner
        self._context = _context_of(span)
        self._output = _Output(span, capture)
        self._ending = Ending(StopIteration, self._output.finish)

    def send(self, value: Any) -> Any:
        return self._step(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._inner.throw, *error)

    def close(self) -> None:
        with self._ending:
            self._context.run(self._inner.close)
        self._output.finish()

    def _step(self, call: Callable[..., Any], *args: Any) -> Any:
        with self._ending:
            item = self._context.run(call, *args)
        self._output.item(item)
        return item

    def __del__(self) -> None:
        self._output.finish()


class _AsyncSteps(AsyncGenerator[Any, Any]):
    """The same for an async generator."""

    def __init__(self, inner: AsyncGenerator[Any, Any], span: Span, capture: bool) -> None:
        self._inner = inner
        self._context = _context_of(span)
        self._output = _Output(span, capture)
        self._ending = Ending(StopAsyncIteration, self._output.finish)

    async def asend(self, value: Any) -> Any:
        return await self._step(self._inner.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return await self._step(self._inner.athrow(*error))

    async def aclose(self) -> None:
        with self._ending:
            await _Within(self._context, self._inner.aclose())
        self._output.finish()

    async def _step(self, step: Awaitable[Any]) -> Any:
        with self._ending:
            item = await _Within(self._context, step)
        self._output.item(item)
        return item

    def __del__(self) -> None:
        self._output.finish()


class _Within(Awaitable[Any], Iterator[Any]):
    """Awaits in another context, in the same task."""

    def __init__(self, context: contextvars.Context, awaited: Awaitable[Any]) -> None:
        self._context = context
        self._steps = awaited.__await__()

    def __await__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._context.run(self._steps.send, None)

    def send(self, value: Any) -> Any:
        return self._context.run(self._steps.send, value)

    def throw(self, *error: Any) -> Any:
        return self._context.run(self._steps.throw, *error)

    def close(self) -> None:
        self._context.run(self._steps.close)


def _context_of(span: Span) -> contextvars.Context:
    """A copy of the present context in which the span, begun now, is the current one."""
    context = contextvars.copy_context()
    context.run(lambda: otel.attach(span.start().context))
    return context
