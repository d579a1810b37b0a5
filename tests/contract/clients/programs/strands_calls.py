"""A Strands agent with a tool; it traces itself."""

from __future__ import annotations

from scenes import MODEL, OPENAI, QUESTION, SESSION, SYSTEM, USER, Play, provider


def main() -> None:
    play = Play(provider())
    from strands import Agent, tool
    from strands.models.openai import OpenAIModel

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"Sunny, 21 degrees, in {city}."

    model = OpenAIModel(client_args={"base_url": OPENAI, "api_key": "sk-stage", "max_retries": 0}, model_id=MODEL)
    agent = Agent(
        name="weather_agent",
        model=model,
        tools=[get_weather],
        system_prompt=SYSTEM,
        callback_handler=None,
        trace_attributes={"session.id": SESSION, "user.id": USER},
    )
    with play.scene("agent"):
        agent(QUESTION)


if __name__ == "__main__":
    main()
