"""LiteLLM with its own OpenTelemetry callback."""

from __future__ import annotations

import time

from scenes import CHAT, EMBEDDER, MODEL, OPENAI, SESSION, USER, WEATHER, Play, provider


def main() -> None:
    import litellm

    flush = provider()
    litellm.callbacks = ["otel"]
    common = {"api_base": OPENAI, "api_key": "sk-stage", "num_retries": 0}

    def settled() -> None:
        time.sleep(1.5)  # the callbacks run in threads of LiteLLM's own
        flush()

    play = Play(settled)
    with play.scene("plain"):
        litellm.completion(
            model=f"openai/{MODEL}", messages=CHAT, temperature=0.2, max_tokens=100, user=USER,
            metadata={"session_id": SESSION, "team": "red"}, **common,
        )  # fmt: skip
    with play.scene("stream"):
        for _ in litellm.completion(
            model=f"openai/{MODEL}", messages=CHAT, stream=True, stream_options={"include_usage": True}, **common
        ):
            pass
    with play.scene("tool"):
        litellm.completion(model=f"openai/{MODEL}", messages=CHAT, tools=[WEATHER], **common)
    with play.scene("error", fails=True):
        litellm.completion(model="openai/busy-model", messages=CHAT, **common)
    with play.scene("embedding"):
        litellm.embedding(model=f"openai/{EMBEDDER}", input=["Rome", "Paris"], **common)


if __name__ == "__main__":
    main()
