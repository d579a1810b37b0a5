"""Langfuse's SDK: the OpenAI drop-in, `@observe`, and its kinds of observations."""

from __future__ import annotations

from scenes import CHAT, DOCUMENTS, EMBEDDER, MODEL, OPENAI, QUESTION, SESSION, USER, WEATHER, Play, get_weather


def main() -> None:
    from langfuse import get_client, observe, propagate_attributes
    from langfuse.openai import OpenAI

    langfuse = get_client()
    play = Play(langfuse.flush)
    client = OpenAI(base_url=OPENAI, api_key="sk-stage", max_retries=0)

    with play.scene("plain"):
        client.chat.completions.create(
            model=MODEL, messages=CHAT, temperature=0.2, max_tokens=100, name="ask",
            metadata={"langfuse_session_id": SESSION, "langfuse_user_id": USER, "langfuse_tags": ["demo"], "team": "red"},
        )  # fmt: skip
    with play.scene("stream"):
        for _ in client.chat.completions.create(model=MODEL, messages=CHAT, stream=True):
            pass
    with play.scene("tool"):
        messages = list(CHAT)
        answer = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
        asked = answer.choices[0].message
        messages.append(asked.model_dump(exclude_none=True))
        messages.append({"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": get_weather("Rome")})
        client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    with play.scene("error", fails=True):
        client.chat.completions.create(model="busy-model", messages=CHAT)
    with play.scene("embedding"):
        client.embeddings.create(model=EMBEDDER, input=["Rome", "Paris"])
    with play.scene("responses"):
        client.responses.create(model=MODEL, input=QUESTION, instructions="You tell the weather.")

    @observe(as_type="retriever")
    def look_up(question: str) -> list[str]:
        return DOCUMENTS[:2]

    @observe(as_type="tool")
    def weather(city: str) -> str:
        return get_weather(city)

    @observe(as_type="agent")
    def agent(question: str) -> str:
        look_up(question)
        weather("Rome")
        answer = client.chat.completions.create(model=MODEL, messages=CHAT)
        return str(answer.choices[0].message.content)

    @observe
    def chat(question: str) -> str:
        with propagate_attributes(
            session_id=SESSION, user_id=USER, tags=["demo"], metadata={"team": "red"}, trace_name="weather chat"
        ):
            return agent(question)

    with play.scene("agent"):
        chat(QUESTION)


if __name__ == "__main__":
    main()
