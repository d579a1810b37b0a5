"""An agent of Microsoft's Agent Framework with a tool; it traces itself."""

from __future__ import annotations

import asyncio

from scenes import MODEL, OPENAI, QUESTION, SYSTEM, Play, get_weather, provider


async def main() -> None:
    play = Play(provider())
    from agent_framework import Agent
    from agent_framework.observability import enable_instrumentation
    from agent_framework.openai import OpenAIChatCompletionClient

    enable_instrumentation(enable_sensitive_data=True)
    client = OpenAIChatCompletionClient(model=MODEL, api_key="sk-stage", base_url=OPENAI)
    agent = Agent(client=client, name="weather_agent", instructions=SYSTEM, tools=[get_weather])
    with play.scene("agent"):
        await agent.run(QUESTION)


if __name__ == "__main__":
    asyncio.run(main())
