"""An Agno agent with a tool, under OpenInference."""

from __future__ import annotations

from agno.agent import Agent
from agno.models.openai import OpenAIChat
from openinference.instrumentation.agno import AgnoInstrumentor
from scenes import MODEL, OPENAI, QUESTION, SESSION, SYSTEM, USER, Play, get_weather, provider


def main() -> None:
    play = Play(provider())
    AgnoInstrumentor().instrument()
    model = OpenAIChat(id=MODEL, base_url=OPENAI, api_key="sk-stage", max_retries=0)
    agent = Agent(name="weather_agent", model=model, tools=[get_weather], instructions=SYSTEM, telemetry=False)
    with play.scene("agent"):
        agent.run(QUESTION, session_id=SESSION, user_id=USER)


if __name__ == "__main__":
    main()
