"""The SDK against a whole server: what an application's program does, and what Octavo then has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stack import Admin, Stack, free_port
from tests.integration.gateway_server import BASE, USAGE, ModelServer, chat_answer, chat_events


class Site:
    """A server with a project and a key, models behind its gateway, and programs that use both."""

    def __init__(self, stack: Stack, models: ModelServer) -> None:
        self.stack, self.models = stack, models
        self.admin = Admin(stack.url)
        self.key = self.admin.new_project("SDK", models.url)
        (connection,) = self.admin.call("GET", "/connections")["data"]
        self.admin.call("PATCH", f"/connections/{connection['id']}", {"prices_as": "openai"})

    def run(self, program: str, **environ: str) -> Any:
        """What a program prints as JSON, when it ends well and says nothing else."""
        ended = run(program, {"OCTAVO_URL": self.stack.url, "OCTAVO_API_KEY": self.key, **environ})
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
        return json.loads(ended.stdout)

    def trace(self, trace_id: str, count: int) -> dict[str, dict[str, Any]]:
        """Its spans by name, whole, once there are so many; a gateway's record has `@` before its name."""
        found = soon(lambda: self.admin.call("GET", f"/traces/{trace_id}"), lambda one: len(one["spans"]) == count)
        spans = [self.admin.call("GET", f"/spans/{span['span_id']}", trace_id=trace_id) for span in found["spans"]]
        return {("@" if span["source"] == "gateway" else "") + span["name"]: span for span in spans}


def run(program: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OCTAVO_", "OPENAI_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={**clean, "OCTAVO_CONFIG": "/nowhere", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def soon(read: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
    """What `read` gives once it is as wanted."""
    deadline = time.monotonic() + 20
    while True:
        try:
            found = read()
        except AssertionError:
            found = None
        if found is not None and wanted(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    models = ModelServer()
    stack = Stack(tmp_path_factory.mktemp("sdk") / "data")
    stack.start()
    one = Site(stack, models)
    yield one
    one.admin.close()
    stack.stop()
    models.close()


def test_a_program_without_a_word_of_set_up(site: Site) -> None:
    site.models.scripts = [lambda handler: handler.answer(200, chat_answer("Folded."))]
    trace_id = site.run(
        """
        import json
        import octavo
        from octavo.openai import OpenAI

        @octavo.observe(kind="retriever")
        def search(query: str) -> list[str]:
            octavo.current_span().update(documents=[{"id": "d1", "content": "A folio is folded once.", "score": 0.9}])
            return ["d1"]

        @octavo.observe(kind="agent")
        def answer(question: str) -> str:
            search(question)
            reply = OpenAI().chat.completions.create(
                model="gpt-4o", temperature=0.1, messages=[{"role": "user", "content": question}]
            )
            octavo.score_current_trace("helpful", True, comment="thumbs up")
            octavo.score_current_span("length", 7)
            print(json.dumps(octavo.current_trace_id()))
            return reply.choices[0].message.content

        with octavo.trace_context(session_id="s-1", user_id="ada", tags=["demo"], metadata={"shop": 7}, release="r-1"):
            answer("What is a folio?")
        """
    )
    spans = site.trace(trace_id, 4)
    root, found, call, gateway = (
        spans[name] for name in ("answer", "search", "chat gpt-4o", next(name for name in spans if name[0] == "@"))
    )
    assert [one["kind"] for one in (root, found, call, gateway)] == ["agent", "retriever", "llm", "llm"]
    assert (found["parent_span_id"], call["parent_span_id"]) == (root["span_id"], root["span_id"])
    assert gateway["parent_span_id"] == call["span_id"]
    assert json.loads(root["input"]) == {"question": "What is a folio?"}
    assert root["output"] == "Folded."
    assert json.loads(found["documents"])[0]["score"] == 0.9
    assert json.loads(call["input"]) == [{"role": "user", "parts": [{"type": "text", "content": "What is a folio?"}]}]
    assert json.loads(call["output"])[0]["parts"] == [{"type": "text", "content": "Folded."}]
    assert (call["model"], call["model_requested"], call["provider"]) == ("gpt-4.1-mini", "gpt-4o", "openai")
    assert (call["usage"]["input"], call["usage"]["output"], call["parameters"]) == (12, 3, {"temperature": 0.1})
    assert (call["finish_reason"], call["response_id"]) == ("stop", "chatcmpl-1")
    for span in spans.values():
        assert (span["session_id"], span["user_id"]) == ("s-1", "ada")
    assert (root["tags"], root["metadata"], root["release"]) == (["demo"], {"shop": 7}, "r-1")
    # The call that both recorded is counted once, with the gateway's cost.
    assert (call["counted"], gateway["counted"], call["duplicate_of"]) == (False, True, gateway["span_id"])
    assert float(gateway["cost_usd"]) > 0
    totals = site.admin.call("GET", f"/traces/{trace_id}")["trace"]
    assert totals["cost_usd"] == gateway["cost_usd"]
    scores = soon(lambda: site.admin.call("GET", "/scores", trace_id=trace_id)["data"], lambda scores: len(scores) == 2)
    told = {score["name"]: score for score in scores}
    assert (told["helpful"]["value"], told["helpful"]["comment"], told["helpful"]["span_id"]) == (1, "thumbs up", "")
    assert (told["length"]["value"], told["length"]["span_id"]) == (7, root["span_id"])


def test_a_stream_in_a_generator(site: Site) -> None:
    site.models.scripts = [lambda handler: handler.stream(chat_events("Fol", "ded."))]
    trace_id = site.run(
        """
        import asyncio, json
        import octavo
        from octavo.openai import AsyncOpenAI

        @octavo.observe(kind="chain")
        async def speak(question):
            async with AsyncOpenAI() as client:
                stream = await client.chat.completions.create(
                    model="gpt-4o", messages=[{"role": "user", "content": question}],
                    stream=True, stream_options={"include_usage": True},
                )
                async for chunk in stream:
                    if chunk.choices:
                        yield chunk.choices[0].delta.content or ""

        async def main():
            with octavo.span("main") as span:
                said = "".join([piece async for piece in speak("Streamed?")])
                assert said == "Folded.", said
                print(json.dumps(span.trace_id))

        asyncio.run(main())
        """
    )
    spans = site.trace(trace_id, 4)
    call, chain = spans["chat gpt-4o"], spans["speak"]
    assert call["parent_span_id"] == chain["span_id"]
    assert chain["output"] == "Folded."
    assert json.loads(call["output"])[0]["parts"] == [{"type": "text", "content": "Folded."}]
    assert (call["streaming"], call["usage"]["input"], call["usage"]["output"]) == (True, 12, 3)
    assert call["ttft_ms"] > 0
    assert call["duplicate_of"]


def test_the_example(site: Site) -> None:
    site.models.scripts = [lambda handler: handler.answer(200, chat_answer("It has eight leaves."))]
    program = Path(__file__).parents[2] / "examples" / "traced.py"
    ended = run(program.read_text(), {"OCTAVO_URL": site.stack.url, "OCTAVO_API_KEY": site.key})
    assert (ended.returncode, ended.stderr) == (0, "")
    said, url = ended.stdout.splitlines()
    assert said == "It has eight leaves."
    base, trace_id = url.rsplit("/", 1)
    assert base == f"{site.stack.url}/traces"
    spans = site.trace(trace_id, 5)
    assert [spans[name]["kind"] for name in ("ask", "answer", "search")] == ["agent", "chain", "retriever"]
    assert "three times" in spans["search"]["documents"]
    (score,) = soon(lambda: site.admin.call("GET", "/scores", trace_id=trace_id)["data"])
    assert (score["name"], score["value"], score["data_type"]) == ("mentions leaves", 1, "BOOLEAN")


def test_other_servers_other_calls(site: Site) -> None:
    """Straight to a provider: no gateway's record, and the provider is not told who the user is."""
    call = {"id": "c1", "type": "function", "function": {"name": "fold", "arguments": '{"times": 2}'}}
    chunks = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "fold", "arguments": '{"ti'}},
        {"index": 0, "function": {"arguments": 'mes": 2}'}},
    ]
    streamed = [
        b"data: " + json.dumps({**BASE, "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
        for choice in [
            *({"index": 0, "delta": {"tool_calls": [chunk]}, "finish_reason": None} for chunk in chunks),
            {"index": 0, "delta": {}, "finish_reason": "tool_calls"},
        ]
    ]
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-4.1-mini",
        "status": "completed",
        "output": [
            {
                "id": "m1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Quarto.", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    vectors = {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    site.models.requests.clear()
    site.models.scripts = [
        lambda handler: handler.answer(200, chat_answer("", tool_calls=[call])),
        lambda handler: handler.stream([*streamed, b"data: [DONE]\n\n"]),
        lambda handler: handler.answer(200, response),
        lambda handler: handler.answer(200, vectors),
        lambda handler: handler.answer(200, chat_answer("raw")),
        lambda handler: handler.answer(400, {"error": {"message": "no such model", "code": "model_not_found"}}),
    ]
    trace_id = site.run(
        """
        import json, os
        import octavo, openai
        from octavo.openai import OpenAI

        client = OpenAI(base_url=os.environ["DIRECT"], api_key="sk-direct", max_retries=0)
        tools = [{"type": "function", "function": {"name": "fold", "parameters": {}}}]
        asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Fold."}], "tools": tools}
        with octavo.trace_context(user_id="ada"), octavo.span("all") as span:
            with octavo.span("tools"):
                client.chat.completions.create(**asked)
            with octavo.span("streamed"):
                for chunk in client.chat.completions.create(**asked, stream=True):
                    pass
            with octavo.span("responses"):
                answer = client.responses.create(model="gpt-4o", instructions="Be brief.", input="Folded twice?")
                assert answer.output_text == "Quarto."
            with octavo.span("embedding"):
                client.embeddings.create(model="text-embedding-3-small", input="a page", encoding_format="float")
            with octavo.span("raw"):
                raw = client.with_options(timeout=5).chat.completions.with_raw_response.create(**asked)
                assert raw.parse().choices[0].message.content == "raw"
            with octavo.span("refused"):
                try:
                    client.chat.completions.create(**asked)
                except openai.BadRequestError as error:
                    pass
            print(json.dumps(span.trace_id))
        """,
        DIRECT=site.models.url,
    )
    found = soon(lambda: site.admin.call("GET", f"/traces/{trace_id}"), lambda one: len(one["spans"]) == 13)
    names = {span["span_id"]: span["name"] for span in found["spans"]}
    calls = {
        names[span["parent_span_id"]]: site.admin.call("GET", f"/spans/{span['span_id']}", trace_id=trace_id)
        for span in found["spans"]
        if names.get(span["parent_span_id"], "all") != "all"
    }
    part = {"type": "tool_call", "id": "c1", "name": "fold", "arguments": {"times": 2}}
    for name in ("tools", "streamed"):
        (message,) = json.loads(calls[name]["output"])
        assert message["parts"] == [part], name
        assert json.loads(calls[name]["tools"])[0]["function"]["name"] == "fold"
    assert calls["streamed"]["finish_reason"] == "tool_calls"
    assert calls["streamed"]["ttft_ms"] > 0
    assert json.loads(calls["responses"]["input"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Folded twice?"}]},
    ]
    assert json.loads(calls["responses"]["output"])[0]["parts"] == [{"type": "text", "content": "Quarto."}]
    assert (calls["responses"]["usage"]["input"], calls["responses"]["usage"]["output"]) == (9, 2)
    assert (calls["embedding"]["kind"], calls["embedding"]["usage"]["input"]) == ("embedding", 4)
    assert json.loads(calls["embedding"]["output"]) == {"embeddings": 1, "dimensions": 3}
    assert "raw" in calls["raw"]["output"]
    assert calls["raw"]["usage"]["input"] == USAGE["prompt_tokens"]
    assert (calls["refused"]["status"], calls["refused"]["error_type"]) == ("error", "BadRequestError")
    for _, headers, _ in site.models.requests:
        assert headers["traceparent"].split("-")[1] == trace_id
        assert "baggage" not in headers
        assert headers["authorization"] == "Bearer sk-direct"


def test_other_exporters_work_beside_it(site: Site) -> None:
    """An application with OpenTelemetry of its own keeps it; spans of other instrumentations nest."""
    told = site.run(
        """
        import json
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        own = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(own))
        trace.set_tracer_provider(provider)

        import octavo

        with octavo.span("ours") as span:
            with trace.get_tracer("theirs").start_as_current_span("theirs"):
                with octavo.span("inner"):
                    pass
        assert trace.get_tracer_provider() is provider
        assert octavo.flush(20)
        provider.shutdown()
        print(json.dumps([span.trace_id, [one.name for one in own.get_finished_spans()]]))
        """
    )
    trace_id, names = told
    assert names == ["inner", "theirs", "ours"]
    spans = site.trace(trace_id, 3)
    assert spans["inner"]["parent_span_id"] == spans["theirs"]["span_id"]
    assert spans["theirs"]["parent_span_id"] == spans["ours"]["span_id"]


def test_forked_workers_send_their_own(site: Site) -> None:
    trace_ids = site.run(
        """
        import json, os
        import octavo

        with octavo.span("parent") as parent:
            pass
        told, tell = os.pipe()
        if os.fork() == 0:
            with octavo.span("child") as child:
                pass
            os.write(tell, child.trace_id.encode())
            os._exit(0 if octavo.flush(20) else 1)
        assert os.wait()[1] == 0
        print(json.dumps([parent.trace_id, os.read(told, 32).decode()]))
        """
    )
    assert set(site.trace(trace_ids[0], 1)) == {"parent"}
    assert set(site.trace(trace_ids[1], 1)) == {"child"}


def test_a_seeded_program_has_new_ids_each_time(site: Site) -> None:
    program = """
    import json, random
    import octavo
    random.seed(0)
    with octavo.span("seeded") as span:
        print(json.dumps(span.trace_id))
    """
    assert site.run(program) != site.run(program)


def test_a_wrong_key_is_said_once(site: Site) -> None:
    program = """
    import octavo
    for number in range(3):
        with octavo.span("refused"):
            pass
        print(octavo.flush(20))
    """
    ended = run(program, {"OCTAVO_URL": site.stack.url, "OCTAVO_API_KEY": "sk-oct-wrong"})
    assert (ended.returncode, ended.stdout) == (0, "False\n" * 3)
    (line,) = ended.stderr.splitlines()
    assert "check OCTAVO_API_KEY" in line


def test_a_server_that_is_away_costs_nothing() -> None:
    program = """
    import octavo
    from octavo.openai import OpenAI

    @octavo.observe
    def work(number):
        octavo.score_current_trace("fine", 1)
        return number

    print(sum(work(number) for number in range(COUNT)))
    """
    away = {"OCTAVO_URL": f"http://127.0.0.1:{free_port()}", "OCTAVO_API_KEY": "sk-oct-x"}
    ended = run(program.replace("COUNT", "20_000"), away)
    assert (ended.returncode, ended.stdout) == (0, "199990000\n")
    said = ended.stderr.splitlines()
    assert len(said) <= 3, ended.stderr  # away, and a full queue of each sort
    assert all("Octavo" in line for line in said)
    for quiet in ({"OCTAVO_TRACING": "off"}, {}):
        ended = run(program.replace("COUNT", "3"), {"OCTAVO_URL": away["OCTAVO_URL"], **quiet})
        assert (ended.returncode, ended.stdout) == (0, "3\n")
        assert len(ended.stderr.splitlines()) == (0 if quiet else 1)


def test_what_is_recorded_while_the_server_is_away_comes_later(site: Site) -> None:
    site.stack.stop()
    program = """
    import octavo
    with octavo.span("early") as span:
        octavo.score_current_trace("fine", 1)
    print(span.trace_id, flush=True)
    input()
    assert octavo.flush(30)
    """
    environ = {"OCTAVO_URL": site.stack.url, "OCTAVO_API_KEY": site.key, "OCTAVO_CONFIG": "/nowhere"}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        trace_id = running.stdout.readline().strip()
        site.stack.start()
        _, errors = running.communicate("go on\n", timeout=60)
        assert running.returncode == 0, errors
    assert set(site.trace(trace_id, 1)) == {"early"}
    assert soon(lambda: site.admin.call("GET", "/scores", trace_id=trace_id)["data"])
