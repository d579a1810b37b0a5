"""Google's GenAI SDK under the instrumentation that the first argument names."""

from __future__ import annotations

import sys

from scenes import GEMINI, QUESTION, STAGE, SYSTEM, Play, provider


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny, 21 degrees, in {city}."


def main(name: str) -> None:
    flush = provider(logs=name == "otel")
    if name == "otel":
        from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor as Instrumentor
    else:
        from openinference.instrumentation.google_genai import GoogleGenAIInstrumentor as Instrumentor
    Instrumentor().instrument()
    from google import genai
    from google.genai import types

    play = Play(flush)
    client = genai.Client(api_key="stage", http_options=types.HttpOptions(base_url=STAGE))
    config = types.GenerateContentConfig(system_instruction=SYSTEM, temperature=0.2, max_output_tokens=100)

    with play.scene("plain"):
        client.models.generate_content(model=GEMINI, contents=QUESTION, config=config)
    with play.scene("stream"):
        for _ in client.models.generate_content_stream(model=GEMINI, contents=QUESTION, config=config):
            pass
    with play.scene("tool"):
        tools = types.GenerateContentConfig(system_instruction=SYSTEM, tools=[get_weather])
        client.models.generate_content(model=GEMINI, contents=QUESTION, config=tools)
    with play.scene("error", fails=True):
        client.models.generate_content(model="missing-model", contents=QUESTION, config=config)


if __name__ == "__main__":
    main(sys.argv[1])
