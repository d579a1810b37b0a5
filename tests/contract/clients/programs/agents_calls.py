"""OpenAI's Agents SDK under the instrumentation that the first argument names."""

from __future__ import annotations

import asyncio
import sys

from scenes import MODEL, OPENAI, QUESTION, SYSTEM, Play, provider


def main(name: str) -> None:
    flush = provider()
    if name == "openinference":
        from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
    elif name == "otel-genai":
        from opentelemetry.instrumentation.genai.openai_agents import OpenAIAgentsInstrumentor
    else:
        from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor
    OpenAIAgentsInstrumentor().instrument()

    from agents import Agent, Runner, function_tool, set_default_openai_api, set_default_openai_client
    from openai import AsyncOpenAI

    set_default_openai_client(AsyncOpenAI(base_url=OPENAI, api_key="sk-stage", max_retries=0), use_for_tracing=False)

    @function_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"Sunny, 21 degrees, in {city}."

    play = Play(flush)
    expert = Agent(name="weather_agent", instructions=SYSTEM, tools=[get_weather], model=MODEL)

    async def ask_all() -> None:
        with play.scene("agent"):
            await Runner.run(expert, QUESTION)
        with play.scene("error", fails=True):
            await Runner.run(Agent(name="weather_agent", instructions=SYSTEM, model="busy-model"), QUESTION)
        set_default_openai_api("chat_completions")
        with play.scene("chat_agent"):
            await Runner.run(expert, QUESTION)

    asyncio.run(ask_all())


if __name__ == "__main__":
    main(sys.argv[1])
