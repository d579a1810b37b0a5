"""A DSPy program under OpenInference."""

from __future__ import annotations

import dspy
from openinference.instrumentation.dspy import DSPyInstrumentor
from scenes import MODEL, OPENAI, QUESTION, Play, provider


def main() -> None:
    play = Play(provider())
    DSPyInstrumentor().instrument()
    dspy.configure(
        lm=dspy.LM(f"openai/{MODEL}", api_base=OPENAI, api_key="sk-stage", cache=False, num_retries=0),
        adapter=dspy.JSONAdapter(),
    )
    with play.scene("plain"):
        dspy.Predict("question -> answer")(question=QUESTION)


if __name__ == "__main__":
    main()
