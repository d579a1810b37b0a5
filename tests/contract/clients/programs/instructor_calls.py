"""Instructor's typed answers over the OpenAI SDK, under OpenInference's instrumentation of both."""

from __future__ import annotations

import instructor
from openai import OpenAI
from openinference.instrumentation.instructor import InstructorInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from pydantic import BaseModel
from scenes import CHAT, MODEL, OPENAI, Play, provider


class Weather(BaseModel):
    """A typed answer."""

    city: str
    degrees: int


def main() -> None:
    play = Play(provider())
    InstructorInstrumentor().instrument()
    OpenAIInstrumentor().instrument()
    client = instructor.from_openai(OpenAI(base_url=OPENAI, api_key="sk-stage", max_retries=0))
    with play.scene("structured"):
        client.chat.completions.create(model=MODEL, messages=CHAT, response_model=Weather, max_retries=1)


if __name__ == "__main__":
    main()
