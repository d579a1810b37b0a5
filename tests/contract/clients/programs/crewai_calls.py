"""A CrewAI crew of one under OpenInference."""

from __future__ import annotations

from crewai import LLM, Agent, Crew, Task
from openinference.instrumentation.crewai import CrewAIInstrumentor
from scenes import MODEL, OPENAI, QUESTION, SYSTEM, Play, provider


def main() -> None:
    play = Play(provider())
    CrewAIInstrumentor().instrument(skip_dep_check=True)
    model = LLM(model=f"openai/{MODEL}", base_url=OPENAI, api_key="sk-stage")
    agent = Agent(role="weather_agent", goal=SYSTEM, backstory="You look out of the window.", llm=model)
    task = Task(description=QUESTION, expected_output="One sentence.", agent=agent)
    with play.scene("agent"):
        Crew(agents=[agent], tasks=[task]).kickoff()


if __name__ == "__main__":
    main()
