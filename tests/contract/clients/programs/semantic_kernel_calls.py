"""Semantic Kernel: a chat completion that calls a plugin's function; it traces itself."""

from __future__ import annotations

import asyncio
import os

from scenes import MODEL, OPENAI, QUESTION, SYSTEM, Play, provider

os.environ["SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE"] = "true"


async def main() -> None:
    play = Play(provider(logs=True))
    from openai import AsyncOpenAI
    from semantic_kernel.agents import ChatCompletionAgent
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion
    from semantic_kernel.functions import kernel_function

    class Weather:
        @kernel_function(name="get_weather", description="The weather of a city.")
        def get_weather(self, city: str) -> str:
            return f"Sunny, 21 degrees, in {city}."

    client = AsyncOpenAI(base_url=OPENAI, api_key="sk-stage", max_retries=0)
    service = OpenAIChatCompletion(ai_model_id=MODEL, async_client=client)
    agent = ChatCompletionAgent(service=service, name="weather_agent", instructions=SYSTEM, plugins=[Weather()])
    with play.scene("agent"):
        await agent.get_response(QUESTION)


if __name__ == "__main__":
    asyncio.run(main())
