"""An agent of Google's Agent Development Kit with a tool; it traces itself."""

from __future__ import annotations

import asyncio
import os

from scenes import GEMINI, QUESTION, SESSION, STAGE, SYSTEM, USER, Play, provider


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Sunny, 21 degrees, in {city}."


async def ask(play: Play) -> None:
    from google.adk.agents import Agent
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    agent = Agent(name="weather_agent", model=GEMINI, instruction=SYSTEM, tools=[get_weather])
    runner = InMemoryRunner(agent=agent, app_name="weather")
    await runner.session_service.create_session(app_name="weather", user_id=USER, session_id=SESSION)
    message = types.Content(role="user", parts=[types.Part(text=QUESTION)])
    with play.scene("agent"):
        async for _ in runner.run_async(user_id=USER, session_id=SESSION, new_message=message):
            pass


def main() -> None:
    os.environ.update(GOOGLE_GEMINI_BASE_URL=STAGE, GOOGLE_API_KEY="stage")
    asyncio.run(ask(Play(provider())))


if __name__ == "__main__":
    main()
