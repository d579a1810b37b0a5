"""LangChain's chat model, a retriever in a chain, and LangGraph's agent, under the instrumentation that the first
argument names."""

from __future__ import annotations

import sys
from typing import Any

from scenes import DOCUMENTS, EMBEDDER, MODEL, OPENAI, QUESTION, SESSION, SYSTEM, USER, Play, provider


def main(name: str) -> None:
    config: dict[str, Any] = {}
    if name == "langfuse":
        from langfuse import get_client
        from langfuse.langchain import CallbackHandler

        flush: Any = get_client().flush
        metadata = {"langfuse_session_id": SESSION, "langfuse_user_id": USER, "langfuse_tags": ["demo"], "team": "red"}
        config = {"callbacks": [CallbackHandler()], "metadata": metadata}
    else:
        flush = provider()
        if name == "openinference":
            from openinference.instrumentation.langchain import LangChainInstrumentor
        elif name == "otel-genai":
            from opentelemetry.instrumentation.genai.langchain import LangChainInstrumentor
        else:
            from opentelemetry.instrumentation.langchain import LangchainInstrumentor as LangChainInstrumentor
        LangChainInstrumentor().instrument()
        config = {"metadata": {"session_id": SESSION, "user_id": USER}}

    from langchain.agents import create_agent
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnablePassthrough
    from langchain_core.tools import tool
    from langchain_core.vectorstores import InMemoryVectorStore
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    play = Play(flush)
    common = {"base_url": OPENAI, "api_key": "sk-stage", "max_retries": 0}
    model = ChatOpenAI(model=MODEL, temperature=0.2, **common)
    turns = [("system", SYSTEM), ("user", QUESTION)]

    with play.scene("plain"):
        model.invoke(turns, config)
    with play.scene("stream"):
        for _ in ChatOpenAI(model=MODEL, stream_usage=True, **common).stream(turns, config):
            pass
    with play.scene("error", fails=True):
        ChatOpenAI(model="busy-model", **common).invoke(turns, config)

    embeddings = OpenAIEmbeddings(model=EMBEDDER, check_embedding_ctx_length=False, **common)
    store = InMemoryVectorStore.from_texts(DOCUMENTS, embeddings, metadatas=[{"page": n} for n in range(3)])
    prompt = ChatPromptTemplate.from_messages([("system", "Answer by these: {context}"), ("user", "{question}")])
    chain = {"context": store.as_retriever(search_kwargs={"k": 2}), "question": RunnablePassthrough()} | prompt | model
    with play.scene("retriever"):
        chain.invoke(QUESTION, config)

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"Sunny, 21 degrees, in {city}."

    agent = create_agent(model, tools=[get_weather], system_prompt=SYSTEM)
    with play.scene("agent"):
        agent.invoke({"messages": [("user", QUESTION)]}, config)


if __name__ == "__main__":
    main(sys.argv[1])
