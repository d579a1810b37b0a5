"""Pydantic AI's agents, instrumented by themselves."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from scenes import MODEL, OPENAI, QUESTION, SYSTEM, Play, get_weather, provider


class Weather(BaseModel):
    """A typed answer."""

    city: str
    degrees: int


def main() -> None:
    play = Play(provider())
    Agent.instrument_all()
    server = OpenAIProvider(base_url=OPENAI, api_key="sk-stage")
    model = OpenAIChatModel(MODEL, provider=server)

    with play.scene("plain"):
        Agent(model, instructions=SYSTEM).run_sync(QUESTION)
    with play.scene("stream"):
        agent = Agent(model, instructions=SYSTEM)

        async def stream() -> None:
            async with agent.run_stream(QUESTION) as answer:
                async for _ in answer.stream_text():
                    pass

        import asyncio

        asyncio.run(stream())
    with play.scene("responses"):
        Agent(OpenAIResponsesModel(MODEL, provider=server), instructions=SYSTEM).run_sync(QUESTION)
    with play.scene("error", fails=True):
        Agent(OpenAIChatModel("missing-model", provider=server)).run_sync(QUESTION)
    with play.scene("agent"):
        Agent(model, instructions=SYSTEM, tools=[get_weather], name="weather_agent").run_sync(QUESTION)
    with play.scene("structured"):
        Agent(model, output_type=Weather, name="typed_agent").run_sync(QUESTION)


if __name__ == "__main__":
    main()
