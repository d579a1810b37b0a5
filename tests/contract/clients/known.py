"""The clients that are recorded: for each the program that plays it, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass, field

OTEL = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")


@dataclass(frozen=True)
class Client:
    """A client and how it is played."""

    program: str
    packages: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    venv: str = ""  # of the client that it shares one with
    node: bool = False


CONTENT = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "span_only",
}
EVENTS = {
    **CONTENT,
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "event_only",
    "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": "true",
}
LANGCHAIN = ("langchain", "langchain-openai", "langgraph", "numpy")
LLAMA = ("llama-index-core", "llama-index-llms-openai", "llama-index-embeddings-openai")

CLIENTS = {
    "otel_genai_openai": Client(
        "openai_calls.py", (*OTEL, "openai", "opentelemetry-instrumentation-genai-openai", "anthropic", "opentelemetry-instrumentation-genai-anthropic"), ("otel-genai",), CONTENT
    ),
    "otel_genai_openai_events": Client("openai_calls.py", (), ("otel-genai",), EVENTS, venv="otel_genai_openai"),
    "otel_genai_anthropic": Client("anthropic_calls.py", (), ("otel-genai",), CONTENT, venv="otel_genai_openai"),
    "otel_openai_v2": Client(
        "openai_calls.py",
        (*OTEL, "openai", "httpx", "opentelemetry-instrumentation-openai-v2==2.4b0", "opentelemetry-util-genai<=0.4b0"),
        ("otel-v2",),
        {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"},
    ),
    "otel_openai_v2_latest": Client("openai_calls.py", (), ("otel-v2",), CONTENT, venv="otel_openai_v2"),
    "otel_genai_langchain": Client("langchain_calls.py", (*OTEL, *LANGCHAIN, "opentelemetry-instrumentation-genai-langchain"), ("otel-genai",), CONTENT),
    "otel_google_genai": Client(
        "google_calls.py", (*OTEL, "google-genai<3", "opentelemetry-instrumentation-google-genai", "openinference-instrumentation-google-genai"), ("otel",), CONTENT
    ),
    "openinference_openai": Client(
        "openai_calls.py", (*OTEL, "openai", "openinference-instrumentation-openai", "anthropic", "openinference-instrumentation-anthropic"), ("openinference",)
    ),
    "openinference_anthropic": Client("anthropic_calls.py", (), ("openinference",), venv="openinference_openai"),
    "openinference_langchain": Client("langchain_calls.py", (*OTEL, *LANGCHAIN, "openinference-instrumentation-langchain", "langfuse"), ("openinference",)),
    "openinference_llama_index": Client("llama_index_calls.py", (*OTEL, *LLAMA, "openinference-instrumentation-llama-index"), ("openinference",)),
    "openinference_openai_agents": Client("agents_calls.py", (*OTEL, "openai-agents", "openinference-instrumentation-openai-agents"), ("openinference",)),
    "openinference_google_genai": Client("google_calls.py", (), ("openinference",), venv="otel_google_genai"),
    "openinference_smolagents": Client("smolagents_calls.py", (*OTEL, "smolagents[openai]", "openinference-instrumentation-smolagents")),
    "openinference_haystack": Client("haystack_calls.py", (*OTEL, "haystack-ai", "openinference-instrumentation-haystack")),
    "openinference_dspy": Client("dspy_calls.py", (*OTEL, "dspy", "openinference-instrumentation-dspy")),
    "openinference_agno": Client("agno_calls.py", (*OTEL, "agno", "openai", "openinference-instrumentation-agno")),
    "openinference_crewai": Client("crewai_calls.py", (*OTEL, "crewai", "openinference-instrumentation-crewai")),
    "openllmetry_openai": Client(
        "openai_calls.py", (*OTEL, "openai", "opentelemetry-instrumentation-openai", "anthropic", "opentelemetry-instrumentation-anthropic"), ("openllmetry",)
    ),
    "openllmetry_anthropic": Client("anthropic_calls.py", (), ("openllmetry",), venv="openllmetry_openai"),
    "openllmetry_langchain": Client("langchain_calls.py", (*OTEL, *LANGCHAIN, "opentelemetry-instrumentation-langchain"), ("openllmetry",)),
    "traceloop_sdk": Client("traceloop_calls.py", ("traceloop-sdk", "openai")),
    "langfuse": Client("langfuse_calls.py", ("langfuse", "openai")),
    "langfuse_langchain": Client("langchain_calls.py", (), ("langfuse",), venv="openinference_langchain"),
    "pydantic_ai": Client("pydantic_ai_calls.py", (*OTEL, "pydantic-ai-slim[openai]")),
    "litellm": Client("litellm_calls.py", (*OTEL, "litellm==1.106.2", "mcp")),
    "strands": Client("strands_calls.py", (*OTEL, "strands-agents[openai]>=1.60")),
    "google_adk": Client("google_adk_calls.py", (*OTEL, "google-adk"), (), CONTENT),
    "agent_framework": Client("agent_framework_calls.py", (*OTEL, "agent-framework-core", "agent-framework-openai")),
    "semantic_kernel": Client("semantic_kernel_calls.py", (*OTEL, "semantic-kernel")),
    "openllmetry_llama_index": Client("llama_index_calls.py", (*OTEL, *LLAMA, "opentelemetry-instrumentation-llamaindex"), ("openllmetry",)),
    "openllmetry_openai_agents": Client("agents_calls.py", (*OTEL, "openai-agents", "opentelemetry-instrumentation-openai-agents"), ("openllmetry",)),
    "openinference_instructor": Client(
        "instructor_calls.py", (*OTEL, "instructor", "openai", "openinference-instrumentation-instructor", "openinference-instrumentation-openai")
    ),
    "logfire": Client("openai_calls.py", (*OTEL, "logfire", "openai"), ("logfire",)),
    "vercel_ai_sdk": Client("vercel_calls.mjs", ("ai", "@ai-sdk/openai", "@opentelemetry/sdk-trace-node", "@ai-sdk/otel", "@opentelemetry/exporter-trace-otlp-http", "zod"), ("OpenTelemetry",), node=True),
    "vercel_ai_sdk_legacy": Client("vercel_calls.mjs", (), ("LegacyOpenTelemetry",), venv="vercel_ai_sdk", node=True),
    "langfuse_js": Client("langfuse_calls.mjs", ("@langfuse/otel", "@langfuse/openai", "@langfuse/tracing", "openai"), node=True),
    "openinference_js": Client("openinference_calls.mjs", ("@arizeai/openinference-instrumentation-openai", "openai"), node=True),
}  # fmt: skip
