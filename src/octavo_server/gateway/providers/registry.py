"""The providers there are, by kind."""

from __future__ import annotations

from collections.abc import Mapping

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers.anthropic import ANTHROPIC
from octavo_server.gateway.providers.base import Call, Exchange, Provider
from octavo_server.gateway.providers.bedrock import BEDROCK
from octavo_server.gateway.providers.gemini import GEMINI
from octavo_server.gateway.providers.local import LOCAL
from octavo_server.gateway.providers.openai import AZURE, OLLAMA, OPENAI, OPENAI_COMPATIBLE, VLLM

PROVIDERS: Mapping[str, Provider] = {
    provider.kind: provider
    for provider in (OPENAI, ANTHROPIC, GEMINI, AZURE, BEDROCK, LOCAL, OLLAMA, VLLM, OPENAI_COMPATIBLE)
}


def open_exchange(call: Call) -> Exchange:
    """Prepares a call for its connection's provider. Raises `Invalid` when it cannot be expressed there."""
    provider = PROVIDERS[call.connection.provider]
    if not provider.serves(call.endpoint):
        raise Invalid(
            f"{provider.title} has no {call.endpoint} endpoint. Route model {call.model!r} to another connection.",
            param="model",
        )
    return provider.open(call)
