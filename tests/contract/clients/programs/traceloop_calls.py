"""Traceloop's SDK: workflow, task, agent and tool decorators around the OpenAI SDK."""

from __future__ import annotations

import os

from scenes import CHAT, MODEL, OPENAI, QUESTION, SESSION, STAGE, USER, WEATHER, Play


def main() -> None:
    from opentelemetry import trace
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import agent, task, tool, workflow

    os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)
    Traceloop.init(app_name="weather-bot", api_endpoint=STAGE, api_key="sk-oct-stage", telemetry_enabled=False)
    from openai import OpenAI

    play = Play(trace.get_tracer_provider().force_flush)
    client = OpenAI(base_url=OPENAI, api_key="sk-stage", max_retries=0)

    with play.scene("plain"):
        client.chat.completions.create(model=MODEL, messages=CHAT, temperature=0.2, max_tokens=100)
    with play.scene("stream"):
        for _ in client.chat.completions.create(
            model=MODEL, messages=CHAT, stream=True, stream_options={"include_usage": True}
        ):
            pass
    with play.scene("error", fails=True):
        client.chat.completions.create(model="busy-model", messages=CHAT)

    @tool(name="get_weather")
    def weather(city: str) -> str:
        return f"Sunny, 21 degrees, in {city}."

    @agent(name="weather_agent")
    def ask(question: str) -> str:
        client.chat.completions.create(model=MODEL, messages=CHAT, tools=[WEATHER])
        return weather("Rome")

    @task(name="prepare")
    def prepare(question: str) -> str:
        return question

    @workflow(name="weather_chat")
    def chat(question: str) -> str:
        Traceloop.set_association_properties({"user_id": USER, "session_id": SESSION, "team": "red"})
        return ask(prepare(question))

    with play.scene("agent"):
        chat(QUESTION)


if __name__ == "__main__":
    main()
