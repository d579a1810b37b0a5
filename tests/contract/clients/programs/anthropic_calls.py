"""Anthropic's SDK under the instrumentation that the first argument names."""

from __future__ import annotations

import sys

from scenes import CLAUDE, QUESTION, STAGE, SYSTEM, WEATHER, Play, get_weather, provider


def main(name: str) -> None:
    flush = provider()
    if name == "otel-genai":
        from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
    elif name == "openinference":
        from openinference.instrumentation.anthropic import AnthropicInstrumentor
    else:
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
    AnthropicInstrumentor().instrument()
    from anthropic import Anthropic

    play = Play(flush)
    client = Anthropic(base_url=STAGE, api_key="sk-stage", max_retries=0)
    common = {"model": CLAUDE, "max_tokens": 100, "system": SYSTEM}
    turns = [{"role": "user", "content": QUESTION}]
    function = WEATHER["function"]
    tool = {"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}

    with play.scene("plain"):
        client.messages.create(**common, messages=turns)
    with play.scene("stream"):
        for _ in client.messages.create(**common, messages=turns, stream=True):
            pass
    with play.scene("tool"):
        answer = client.messages.create(**common, messages=turns, tools=[tool])
        call = answer.content[0]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": get_weather("Rome")}
        turns += [{"role": "assistant", "content": [call.model_dump()]}, {"role": "user", "content": [result]}]
        client.messages.create(**common, messages=turns, tools=[tool])
    with play.scene("error", fails=True):
        client.messages.create(**{**common, "model": "busy-model"}, messages=turns)


if __name__ == "__main__":
    main(sys.argv[1])
