"""LlamaIndex: a model, an index with its retriever and query engine, and an agent of functions."""

from __future__ import annotations

import asyncio
import sys

from scenes import DOCUMENTS, EMBEDDER, MODEL, OPENAI, QUESTION, SYSTEM, Play, get_weather, provider


def main(name: str) -> None:
    flush = provider()
    if name == "openinference":
        from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
    elif name == "otel-genai":
        from opentelemetry.instrumentation.genai.llama_index import LlamaIndexInstrumentor
    else:
        from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor
    LlamaIndexInstrumentor().instrument()

    from llama_index.core import Document, VectorStoreIndex
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.llms import ChatMessage
    from llama_index.embeddings.openai import OpenAIEmbedding
    from llama_index.llms.openai import OpenAI

    play = Play(flush)
    common = {"api_base": OPENAI, "api_key": "sk-stage", "max_retries": 0}
    model = OpenAI(model=MODEL, temperature=0.2, **common)
    turns = [ChatMessage(role="system", content=SYSTEM), ChatMessage(role="user", content=QUESTION)]

    with play.scene("plain"):
        model.chat(turns)
    with play.scene("stream"):
        for _ in OpenAI(
            model=MODEL, additional_kwargs={"stream_options": {"include_usage": True}}, **common
        ).stream_chat(turns):
            pass
    with play.scene("error", fails=True):
        OpenAI(model="gpt-4.1-busy", **common).chat(turns)
    embedder = OpenAIEmbedding(model_name=EMBEDDER, **common)
    with play.scene("embedding"):
        embedder.get_text_embedding("Rome")
    index = VectorStoreIndex.from_documents([Document(text=one) for one in DOCUMENTS], embed_model=embedder)
    with play.scene("retriever"):
        index.as_query_engine(llm=model, similarity_top_k=2).query(QUESTION)

    agent = FunctionAgent(tools=[get_weather], llm=model, system_prompt=SYSTEM, streaming=False)

    async def ask() -> None:
        await agent.run(QUESTION)

    with play.scene("agent"):
        asyncio.run(ask())


if __name__ == "__main__":
    main(sys.argv[1])
