"""How the dialects of span attributes say the same things: OTel GenAI (current and previous), OpenInference,
OpenLLMetry (new and old), Langfuse, the Vercel AI SDK. Data; `mapping` reads it.

Of the names of one field the first that a span has, with a usable value, wins, whatever their order on the span. All
attributes stay on the span as they came, so a name that is missing here loses nothing but its place.
"""

from __future__ import annotations

from collections.abc import Mapping

# Field of a span: the attributes that say it, the most trusted first.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": (
        "langfuse.observation.model.name",
        "gen_ai.response.model",
        "llm.response.model_name",
        "llm.model_name",
        "embedding.model_name",
        "reranker.model_name",
        "ai.response.model",
        "gen_ai.request.model",
        "llm.request.model",
        "ai.model.id",
        "ai.model",
    ),
    "model_requested": ("gen_ai.request.model", "llm.request.model", "ai.model.id"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"),
    "response_id": ("gen_ai.response.id", "ai.response.id", "llm.response.id"),
    "finish_reason": ("gen_ai.response.finish_reasons", "ai.response.finishReason", "llm.finish_reason"),
    "session_id": (
        "session.id",
        "langfuse.session.id",
        "gen_ai.conversation.id",
        "traceloop.association.properties.session_id",
        "langfuse.trace.metadata.langfuse_session_id",
        "langfuse.observation.metadata.langfuse_session_id",
        "ai.telemetry.metadata.sessionId",
    ),
    "user_id": (
        "user.id",
        "langfuse.user.id",
        "enduser.id",
        "traceloop.association.properties.user_id",
        "langfuse.trace.metadata.langfuse_user_id",
        "langfuse.observation.metadata.langfuse_user_id",
        "ai.telemetry.metadata.userId",
    ),
    "tags": (
        "langfuse.trace.tags",
        "tag.tags",
        "langfuse.trace.metadata.langfuse_tags",
        "langfuse.observation.metadata.langfuse_tags",
        "ai.telemetry.metadata.tags",
    ),
    "trace_name": ("langfuse.trace.name", "traceloop.workflow.name"),
    "version": ("langfuse.version", "service.version"),
    "environment": ("langfuse.environment", "deployment.environment.name", "deployment.environment"),
    "app": ("octavo.app",),
    "release": ("octavo.release", "langfuse.release"),
    "prompt_name": (
        "langfuse.observation.prompt.name",
        "gen_ai.prompt.name",
        "prompt.id",
        "traceloop.prompt.key",
        "llm.prompt_template.name",
    ),
    "prompt_version": (
        "langfuse.observation.prompt.version",
        "gen_ai.prompt.version",
        "llm.prompt_template.version",
        "traceloop.prompt.version",
    ),
    "level": ("langfuse.observation.level",),
    "status_message": ("langfuse.observation.status_message",),
    "error_type": ("error.type", "exception.type"),
    "streaming": (
        "gen_ai.request.stream",
        "gen_ai.is_streaming",
        "llm.is_streaming",
        "llm.invocation_parameters.stream",
    ),
    "as_root": ("langfuse.internal.is_app_root", "langfuse.internal.as_root"),
    # Kinds, in the order of compat's precedence; each dialect has its own words, see KINDS.
    "kind_langfuse": ("langfuse.observation.type",),
    "kind_openinference": ("openinference.span.kind",),
    "kind_gen_ai": ("gen_ai.operation.name", "llm.request.type"),
    "kind_traceloop": ("traceloop.span.kind",),
    "kind_vercel": ("ai.operationId",),
    "tool_name": ("gen_ai.tool.name", "tool.name", "ai.toolCall.name"),
    # Contents
    "input": (
        "langfuse.observation.input",
        "gen_ai.input.messages",
        "ai.prompt.messages",
        "gen_ai.tool.call.arguments",
        "gen_ai.retrieval.query.text",
        "ai.toolCall.args",
        "ai.prompt",
        "ai.value",
        "input.value",
        "traceloop.entity.input",
        "tool.parameters",
        "reranker.query",
        "embedding.text",
        "langfuse.trace.input",
    ),
    "system": ("gen_ai.system_instructions",),
    "output": (
        "langfuse.observation.output",
        "gen_ai.output.messages",
        "gen_ai.tool.call.result",
        "ai.toolCall.result",
        "ai.response.toolCalls",
        "ai.response.text",
        "ai.response.object",
        "output.value",
        "traceloop.entity.output",
        "final_result",
        "langfuse.trace.output",
    ),
    "tools": ("gen_ai.tool.definitions", "ai.prompt.tools", "llm.tools"),
    "documents": ("gen_ai.retrieval.documents",),
    "parameters": ("langfuse.observation.model.parameters", "llm.invocation_parameters"),
    "metadata": ("langfuse.observation.metadata", "metadata"),
    "trace_metadata": ("langfuse.trace.metadata",),
    # Usage and cost
    "usage": ("langfuse.observation.usage_details",),
    "costs": ("langfuse.observation.cost_details",),
    "cost": ("llm.cost.total", "gen_ai.usage.cost", "operation.cost", "gen_ai.usage.total_cost"),
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "llm.token_count.prompt",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
        "ai.usage.tokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "llm.token_count.completion",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
    ),
    "total_tokens": (
        "gen_ai.usage.total_tokens",
        "llm.token_count.total",
        "llm.usage.total_tokens",
        "ai.usage.totalTokens",
    ),
    "cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cached_tokens",
        "ai.usage.cachedInputTokens",
    ),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "llm.token_count.prompt_details.cache_write",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "ai.usage.reasoningTokens",
    ),
    "input_audio": (
        "gen_ai.usage.audio.input_tokens",
        "llm.token_count.prompt_details.audio",
        "gen_ai.usage.details.input_audio_tokens",
    ),
    "output_audio": (
        "gen_ai.usage.audio.output_tokens",
        "llm.token_count.completion_details.audio",
        "gen_ai.usage.details.output_audio_tokens",
    ),
    # Time to first token
    "first_token_at": ("langfuse.observation.completion_start_time",),
    "first_token_s": ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token"),
    "first_token_ms": ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"),
}

# Fields that are collected from all attributes under a prefix.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "messages_in": ("llm.input_messages.",),
    "messages_out": ("llm.output_messages.",),
    "prompts": ("gen_ai.prompt.",),
    "completions": ("gen_ai.completion.",),
    "retrieved": ("retrieval.documents.",),
    "rerank_in": ("reranker.input_documents.",),
    "rerank_out": ("reranker.output_documents.",),
    "tool_schemas": ("llm.tools.", "llm.request.functions."),
    "embedded": ("embedding.embeddings.",),
    "request": ("gen_ai.request.", "llm.request.", "ai.settings."),
    "metadata_observation": ("langfuse.observation.metadata.",),
    "metadata_trace": ("langfuse.trace.metadata.",),
    "metadata_other": ("traceloop.association.properties.", "ai.telemetry.metadata."),
    "prompt_variables": (
        "gen_ai.prompt.variable.",
        "llm.prompt_template.variables",
        "traceloop.prompt.template_variables.",
    ),
}

# A resource's attributes that say a span's field where the span itself does not.
OF_RESOURCE = ("environment", "version", "release", "app", "session_id", "user_id")

KINDS: Mapping[str, Mapping[str, str]] = {
    "kind_langfuse": {
        "span": "span",
        "generation": "llm",
        "event": "event",
        "agent": "agent",
        "tool": "tool",
        "chain": "chain",
        "retriever": "retriever",
        "evaluator": "evaluator",
        "embedding": "embedding",
        "guardrail": "guardrail",
    },
    "kind_openinference": {
        "llm": "llm",
        "embedding": "embedding",
        "retriever": "retriever",
        "reranker": "reranker",
        "tool": "tool",
        "agent": "agent",
        "chain": "chain",
        "guardrail": "guardrail",
        "evaluator": "evaluator",
        "prompt": "span",
        "decision": "span",
    },
    "kind_gen_ai": {
        "chat": "llm",
        "text_completion": "llm",
        "completion": "llm",
        "generate_content": "llm",
        "embeddings": "embedding",
        "embedding": "embedding",
        "rerank": "reranker",
        "retrieval": "retriever",
        "execute_tool": "tool",
        "invoke_agent": "agent",
        "create_agent": "agent",
        "invoke_workflow": "agent",
        "plan": "agent",
    },
    "kind_traceloop": {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"},
    "kind_vercel": {
        "ai.generatetext": "chain",
        "ai.streamtext": "chain",
        "ai.generateobject": "chain",
        "ai.streamobject": "chain",
        "ai.generatetext.dogenerate": "llm",
        "ai.streamtext.dostream": "llm",
        "ai.generateobject.dogenerate": "llm",
        "ai.streamobject.dostream": "llm",
        "ai.embed.doembed": "embedding",
        "ai.embedmany.doembed": "embedding",
        "ai.toolcall": "tool",
    },
}

# Fields and groups that hold what people and models said: not kept when a project captures metadata only.
CONTENT = frozenset(
    {"input", "output", "system", "tools", "documents", "messages_in", "messages_out", "prompts", "completions"}
    | {"retrieved", "rerank_in", "rerank_out", "tool_schemas", "embedded", "prompt_variables", "status_message"}
    | {"parameters"}  # some clients put instructions among them
)

FIRST_TOKEN_EVENTS = frozenset(
    {
        "First Token Stream Event",
        "gen_ai.content.completion.chunk",
        "llm.content.completion.chunk",
        "ai.stream.firstChunk",
    }
)

# Events, on spans or as log records, that carry content: the role of the message in them.
MESSAGE_EVENTS: Mapping[str, str] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE_EVENT = "gen_ai.choice"
DETAILS_EVENTS = frozenset(
    {"gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion"}
)

# Not parameters, though they are under `gen_ai.request.`.
NOT_PARAMETERS = frozenset({"model", "stream", "type"})

# Langfuse's usage buckets by the names seen in the field, and Octavo's.
LANGFUSE_USAGE: Mapping[str, str] = {
    "input": "input",
    "output": "output",
    "input_cached_tokens": "cache_read",
    "input_cache_read": "cache_read",
    "cache_read_input_tokens": "cache_read",
    "input_cached": "cache_read",
    "input_cache_creation": "cache_write",
    "input_cache_write": "cache_write",
    "cache_creation_input_tokens": "cache_write",
    "output_reasoning_tokens": "reasoning",
    "output_reasoning": "reasoning",
    "reasoning": "reasoning",
    "input_audio_tokens": "input_audio",
    "input_audio": "input_audio",
    "output_audio_tokens": "output_audio",
    "output_audio": "output_audio",
}
