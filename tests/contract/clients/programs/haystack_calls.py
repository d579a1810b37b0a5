"""Haystack: a pipeline of embedder, retriever, prompt and generator, under OpenInference."""

from __future__ import annotations

from haystack import Document, Pipeline
from haystack.components.builders import ChatPromptBuilder
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.dataclasses import ChatMessage
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret
from openinference.instrumentation.haystack import HaystackInstrumentor
from scenes import DOCUMENTS, EMBEDDER, MODEL, OPENAI, QUESTION, SYSTEM, Play, provider


def main() -> None:
    play = Play(provider())
    common = {"api_base_url": OPENAI, "api_key": Secret.from_token("sk-stage"), "max_retries": 0}
    store = InMemoryDocumentStore()
    embedded = OpenAIDocumentEmbedder(model=EMBEDDER, **common).run([Document(content=one) for one in DOCUMENTS])
    store.write_documents(embedded["documents"])
    HaystackInstrumentor().instrument()

    pipeline = Pipeline()
    pipeline.add_component("embedder", OpenAITextEmbedder(model=EMBEDDER, **common))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=2))
    turns = [
        ChatMessage.from_system(SYSTEM),
        ChatMessage.from_user("{% for one in documents %}{{ one.content }} {% endfor %}{{ question }}"),
    ]
    pipeline.add_component("prompt", ChatPromptBuilder(turns, required_variables="*"))
    pipeline.add_component("model", OpenAIChatGenerator(model=MODEL, **common))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    pipeline.connect("retriever.documents", "prompt.documents")
    pipeline.connect("prompt.prompt", "model.messages")
    with play.scene("retriever"):
        pipeline.run({"embedder": {"text": QUESTION}, "prompt": {"question": QUESTION}})


if __name__ == "__main__":
    main()
