"""The OpenAI SDK's calls, under the instrumentation that the first argument names."""

from __future__ import annotations

import os
import sys
from typing import Any

from scenes import (
    CHAT,
    EMBEDDER,
    MODEL,
    OPENAI,
    QUESTION,
    SESSION,
    SYSTEM,
    USER,
    WEATHER,
    Flush,
    Play,
    get_weather,
)


def instrument(name: str) -> Flush:
    """Switches it on, as its documentation says."""
    if name == "otel-genai":
        from scenes import provider

        flush = provider(logs=os.environ.get("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT") == "true")
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
        return flush
    if name == "otel-v2":
        from scenes import provider

        flush = provider(logs=True)
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        OpenAIInstrumentor().instrument()
        return flush
    if name == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
        from scenes import provider

        flush = provider()
        OpenAIInstrumentor().instrument()
        return flush
    if name == "openllmetry":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
        from scenes import provider

        flush = provider()
        OpenAIInstrumentor().instrument()
        return flush
    if name == "logfire":
        import logfire

        logfire.configure(send_to_logfire=False, service_name="weather-bot", console=False)
        logfire.instrument_openai()
        return logfire.force_flush
    raise SystemExit(f"unknown instrumentation {name!r}")


def in_session(name: str) -> Any:
    """The context in which a call belongs to a session and a user, where the instrumentation has one."""
    if name == "openinference":
        from openinference.instrumentation import using_attributes

        return using_attributes(session_id=SESSION, user_id=USER, tags=["demo"], metadata={"team": "red"})
    return None


def main(name: str) -> None:
    flush = instrument(name)
    from openai import OpenAI

    play = Play(flush)
    client = OpenAI(base_url=OPENAI, api_key="sk-stage", max_retries=0)
    session = in_session(name)

    with play.scene("plain"):
        if session is not None:
            with session:
                client.chat.completions.create(model=MODEL, messages=CHAT, temperature=0.2, max_tokens=100)
        else:
            client.chat.completions.create(model=MODEL, messages=CHAT, temperature=0.2, max_tokens=100)
    with play.scene("stream"):
        for _ in client.chat.completions.create(
            model=MODEL, messages=CHAT, stream=True, stream_options={"include_usage": True}
        ):
            pass
    with play.scene("tool"):
        messages: list[Any] = list(CHAT)
        answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
        asked = answer.choices[0].message
        messages.append(asked.model_dump(exclude_none=True))
        for call in asked.tool_calls:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": get_weather("Rome")})
        client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    with play.scene("error", fails=True):
        client.chat.completions.create(model="busy-model", messages=CHAT)
    with play.scene("embedding"):
        client.embeddings.create(model=EMBEDDER, input=["Rome", "Paris"])
    with play.scene("responses"):
        client.responses.create(model=MODEL, input=QUESTION, instructions=SYSTEM)
    with play.scene("responses_stream"):
        for _ in client.responses.create(model=MODEL, input=QUESTION, instructions=SYSTEM, stream=True):
            pass


if __name__ == "__main__":
    main(sys.argv[1])
