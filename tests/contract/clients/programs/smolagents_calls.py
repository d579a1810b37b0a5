"""A smolagents agent that calls a tool, under OpenInference."""

from __future__ import annotations

from openinference.instrumentation.smolagents import SmolagentsInstrumentor
from scenes import MODEL, OPENAI, QUESTION, Play, provider
from smolagents import OpenAIServerModel, ToolCallingAgent, tool


@tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: The city's name.
    """
    return f"Sunny, 21 degrees, in {city}."


def main() -> None:
    play = Play(provider())
    SmolagentsInstrumentor().instrument()
    model = OpenAIServerModel(MODEL, api_base=OPENAI, api_key="sk-stage")
    with play.scene("agent"):
        ToolCallingAgent(tools=[get_weather], model=model, max_steps=3, verbosity_level=0).run(QUESTION)


if __name__ == "__main__":
    main()
