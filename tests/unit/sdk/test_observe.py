"""`observe`, `span` and `trace_context`: what becomes of an application's calls."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from tests.unit.sdk.conftest import Spans

import octavo


def test_a_call_is_a_span(spans: Spans) -> None:
    @octavo.observe
    def add(left: int, right: int = 2) -> dict[str, int]:
        """Adds."""
        return {"sum": left + right}

    assert add(1) == {"sum": 3}
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert spans.said("input.value", "add") == {"left": 1}
    assert spans.said("output.value", "add") == {"sum": 3}
    assert spans.one().status.status_code is StatusCode.UNSET


def test_a_span_is_inside_the_one_around_it(spans: Spans) -> None:
    @octavo.observe(name="outer", kind="agent")
    def outer() -> str | None:
        inner()
        return octavo.current_trace_id()

    @octavo.observe(kind="tool", capture_input=False, capture_output=False)
    def inner(secret: str = "s") -> str:
        assert octavo.current_span_id()
        return secret

    trace_id = outer()
    parent, child = spans.one("outer"), spans.one("inner")
    assert child.parent.span_id == parent.context.span_id
    assert f"{parent.context.trace_id:032x}" == trace_id
    assert parent.attributes["openinference.span.kind"] == "AGENT"
    assert parent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert child.attributes["gen_ai.tool.name"] == "inner"
    assert not {"input.value", "output.value"} & set(child.attributes)
    assert octavo.current_trace_id() is None and octavo.current_span_id() is None and octavo.trace_url() is None


def test_an_error_is_told_and_raised(spans: Spans) -> None:
    @octavo.observe
    def fail() -> None:
        raise ValueError("no such page")

    with pytest.raises(ValueError, match="no such page"):
        fail()
    span = spans.one()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no such page")
    assert span.attributes["error.type"] == "ValueError"
    (event,) = span.events
    assert (event.name, event.attributes["exception.type"]) == ("exception", "ValueError")
    assert "test_observe.py" in event.attributes["exception.stacktrace"]


def test_methods_are_told_without_self(spans: Spans) -> None:
    class Shop:
        @octavo.observe
        def price(self, item: str) -> int:
            return len(item)

        @octavo.observe
        @classmethod
        def of(cls, name: str) -> str:
            return name

        @staticmethod
        @octavo.observe
        def tax(rate: float) -> float:
            return rate

    assert (Shop().price("book"), Shop.of("a"), Shop.tax(0.5)) == (4, "a", 0.5)
    assert [spans.said("input.value", name) for name in ("price", "of", "tax")] == [
        {"item": "book"},
        {"name": "a"},
        {"rate": 0.5},
    ]


def test_wrong_arguments_are_the_functions_own_error(spans: Spans) -> None:
    @octavo.observe
    def one(only: int) -> int:
        return only

    with pytest.raises(TypeError, match="positional argument"):
        one(1, 2)  # type: ignore[call-arg]
    assert spans.said("input.value") == {"0": 1, "1": 2}


async def test_coroutines_at_the_same_time(spans: Spans) -> None:
    @octavo.observe
    async def step(number: int) -> int:
        await asyncio.sleep(0)
        with octavo.span(f"inner {number}"):
            await asyncio.sleep(0)
        return number

    async with octavo.span("all") as whole:
        assert await asyncio.gather(*(step(number) for number in range(3))) == [0, 1, 2]
    steps = [span for span in spans.all() if span.name == "step"]
    assert {f"{span.parent.span_id:016x}" for span in steps} == {whole.span_id}
    for number in range(3):
        (own,) = (span for span in steps if f'"number": {number}' in span.attributes["input.value"])
        assert spans.one(f"inner {number}").parent.span_id == own.context.span_id


async def test_a_cancelled_call_is_an_error(spans: Spans) -> None:
    @octavo.observe
    async def forever() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spans.one().attributes["error.type"] == "CancelledError"


@octavo.observe(kind="llm")
def words(count: int) -> Iterator[str]:
    with octavo.span("within"):
        for number in range(count):
            with octavo.span(f"piece {number}"):
                pass
            yield f"w{number} "
    return


def test_a_generator_is_one_span(spans: Spans) -> None:
    with octavo.span("caller") as caller:
        taken = []
        for word in words(2):
            assert octavo.current_span_id() == caller.span_id  # nothing of the inside leaks out
            taken.append(word)
    assert taken == ["w0 ", "w1 "]
    span = spans.one("words")
    assert span.attributes["output.value"] == "w0 w1 "
    assert span.attributes["gen_ai.response.time_to_first_chunk"] >= 0
    assert f"{span.parent.span_id:016x}" == caller.span_id
    within = spans.one("within")
    assert within.parent.span_id == span.context.span_id
    # What is opened across a yield is still current after it.
    assert {spans.one(f"piece {number}").parent.span_id for number in (0, 1)} == {within.context.span_id}


def test_a_generator_that_nobody_wants_more_of(spans: Spans) -> None:
    closed = words(9)
    next(closed)
    closed.close()  # type: ignore[attr-defined]
    assert spans.one("words").attributes["output.value"] == "w0 "
    assert spans.one("words").status.status_code is StatusCode.UNSET
    spans.exporter.clear()
    dropped = words(9)
    next(dropped)
    del dropped
    gc.collect()
    assert spans.one("words").attributes["output.value"] == "w0 "
    spans.exporter.clear()
    words(9)
    gc.collect()
    assert "output.value" not in spans.one("words").attributes


def test_a_generator_is_sent_to_and_thrown_at(spans: Spans) -> None:
    @octavo.observe
    def echo() -> Any:
        given = "begin"
        while given != "end":
            try:
                given = yield given
            except KeyError:
                given = "caught"
        return "returned"

    steps = echo()
    assert [next(steps), steps.send("a"), steps.throw(KeyError("k"))] == ["begin", "a", "caught"]
    with pytest.raises(StopIteration) as ended:
        steps.send("end")
    assert ended.value.value == "returned"
    assert spans.one().attributes["output.value"] == "beginacaught"
    spans.exporter.clear()
    steps = echo()
    next(steps)
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError())
    assert spans.one().attributes["error.type"] == "ZeroDivisionError"


def test_a_generator_taken_from_other_threads(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    steps = words(2)
    for _ in range(3):
        thread = threading.Thread(target=lambda: next(steps, None))
        thread.start()
        thread.join()
    assert spans.one("words").attributes["output.value"] == "w0 w1 "
    assert not caplog.records


@octavo.observe
async def numbers(count: int) -> AsyncIterator[int]:
    async with octavo.span("within"):
        for number in range(count):
            await asyncio.sleep(0)
            with octavo.span(f"piece {number}"):
                yield number


async def test_an_async_generator_is_one_span(spans: Spans) -> None:
    async with octavo.span("caller") as caller:
        taken = []
        async for number in numbers(2):
            assert octavo.current_span_id() == caller.span_id
            taken.append(number)
    assert taken == [0, 1]
    span = spans.one("numbers")
    assert spans.said("output.value", "numbers") == [0, 1]
    assert f"{span.parent.span_id:016x}" == caller.span_id
    within = spans.one("within")
    assert {spans.one(f"piece {number}").parent.span_id for number in (0, 1)} == {within.context.span_id}


async def test_an_async_generator_closed_by_another_task(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    steps: Any = numbers(9)
    assert await anext(steps) == 0
    await asyncio.create_task(steps.aclose())
    assert spans.said("output.value", "numbers") == [0]
    assert {span.name for span in spans.all()} == {"piece 0", "within", "numbers"}
    assert not caplog.records


async def test_an_async_generator_cancelled_while_it_waits(spans: Spans) -> None:
    waiting = asyncio.Event()

    @octavo.observe
    async def slow() -> AsyncIterator[int]:
        yield 1
        waiting.set()
        await asyncio.Event().wait()

    async def consume() -> None:
        async for _ in slow():
            pass

    task = asyncio.create_task(consume())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spans.one("slow").attributes["error.type"] == "CancelledError"


def test_what_can_be_said_of_a_span(spans: Spans) -> None:
    with octavo.span("ask", kind="llm", input="hi", model="gpt-4o", metadata={"a": 1}) as span:
        span.update(
            output={"text": "ho"},
            metadata={"b": [2]},
            provider="openai",
            parameters={"temperature": 0.5, "stop": ["x"], "seed": None},
            usage={"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
            cost=0.001,
            documents=["a", {"content": "b", "score": 0.5}],
            tools=[{"name": "t"}],
            prompt=("greeting", 3),
        )
        span.event("retry", attempt=2)
        assert octavo.current_span() is span
    told = spans.one().attributes
    assert spans.said("metadata") == {"a": 1, "b": [2]}
    assert spans.said("gen_ai.retrieval.documents") == [{"content": "a"}, {"content": "b", "score": 0.5}]
    wanted = {
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cost": 0.001,
        "gen_ai.prompt.name": "greeting",
        "gen_ai.prompt.version": "3",
        "input.value": "hi",
    }
    assert {name: told[name] for name in wanted} == wanted
    (event,) = spans.one().events
    assert (event.name, event.attributes["attempt"]) == ("retry", "2")


def test_nonsense_never_reaches_the_application(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    with octavo.span("odd") as span:
        odd: Any = {"nothing": 1, "cost": "dear", "usage": 7, "parameters": 3, "documents": 5}
        span.update(**odd, output="kept")
        octavo.current_span().update(name="renamed")
    span.update(output="too late")
    octavo.current_span().update(output="nowhere").event("nothing")
    assert spans.one().name == "renamed"
    assert spans.one().attributes["output.value"] == "kept"
    assert caplog.text.count("could not record") >= 1


def test_a_context_is_shared_by_all_spans_inside(spans: Spans) -> None:
    foreign = spans.provider.get_tracer("another instrumentation")
    with octavo.span("before"):
        with octavo.trace_context(session_id="s", user_id="u", tags=["a"], metadata={"x": 1}, release="r1"):
            with octavo.trace_context(user_id="v", tags=["a", "b"], metadata={"y": 2}, environment="test"):
                with foreign.start_as_current_span("theirs", attributes={"session.id": "own"}):
                    pass
                with octavo.span("ours", metadata={"z": 3}):
                    pass
            thread = threading.Thread(target=lambda: octavo.span("elsewhere").start().end())
            thread.start()
            thread.join()
        with octavo.span("after"):
            pass
    ours = spans.one("ours").attributes
    assert (ours["session.id"], ours["user.id"], ours["octavo.release"]) == ("s", "v", "r1")
    assert (ours["tag.tags"], ours["deployment.environment.name"]) == (("a", "b"), "test")
    assert spans.said("metadata", "ours") == {"x": 1, "y": 2, "z": 3}
    assert spans.one("theirs").attributes["session.id"] == "own"
    assert spans.one("theirs").attributes["user.id"] == "v"
    assert "session.id" not in spans.one("after").attributes
    assert "session.id" not in spans.one("elsewhere").attributes
    assert spans.one("before").attributes["session.id"] == "s"  # it is inside of a span that runs already


def test_masks_see_contents_and_errors(spans: Spans) -> None:
    def mask(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: mask(one) for name, one in value.items()}
        return value.replace("4111", "****") if isinstance(value, str) else value

    octavo.configure(mask=mask)

    @octavo.observe
    def pay(card: str) -> str:
        raise RuntimeError(f"card {card} refused")

    with pytest.raises(RuntimeError, match="4111"):
        pay("4111")
    assert "4111" not in spans.one().to_json()
    spans.exporter.clear()
    octavo.configure(mask=lambda value: 1 / 0)
    with octavo.span("hidden", input="4111", metadata={"card": "4111"}):
        pass
    assert "4111" not in spans.one().to_json()


def test_switched_off_nothing_is_made(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    octavo.configure(enabled=False)
    with octavo.span("off") as span, octavo.trace_context(session_id="s"):
        span.update(output=1)
        assert octavo.score(name="n", value=1) is None
    assert list(words(1)) == ["w0 "]
    assert spans.all() == []
    assert octavo.flush(0.0)


def test_a_wrong_setting_switches_off_and_says_so(
    spans: Spans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    octavo.configure(url="octavo.test", sample_rate=1.0)
    with octavo.span("off"):
        pass
    assert "expected http" in caplog.text
    octavo.configure(url="http://127.0.0.1:9")
    with octavo.span("on"):
        assert octavo.trace_url() == f"http://127.0.0.1:9/traces/{octavo.current_trace_id()}"
    assert [span.name for span in spans.all()] == ["on"]


def test_the_present_span_of_others_is_the_parent(spans: Spans) -> None:
    with spans.provider.get_tracer("web").start_as_current_span("GET /") as request, octavo.span("ours"):
        pass
    assert spans.one("ours").parent.span_id == request.get_span_context().span_id
    assert trace.get_current_span() is trace.INVALID_SPAN
