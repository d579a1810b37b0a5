"""OpenAI's embeddings wire, for providers that have another."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

import orjson

from octavo_server.core.errors import Invalid
from octavo_server.gateway.providers.base import Call, Facts, JsonObject, Reply, Usage


def texts_of(body: JsonObject) -> list[str]:
    """The texts to embed. Token ids mean nothing to another provider's tokenizer."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Invalid(
            "input must be a text or a list of texts: token ids cannot be translated for this provider.", param="input"
        )
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise Invalid("encoding_format must be 'float' or 'base64'.", param="encoding_format")
    return texts


def embeddings_reply(
    call: Call, vectors: Sequence[Sequence[float]], *, tokens: int | None, usage: Usage | None
) -> Reply:
    """The answer, in base64 (little-endian float32) when asked so, as OpenAI's own SDK does."""
    packed = call.body.get("encoding_format") == "base64"
    body = {
        "object": "list",
        "model": call.model,
        "data": [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else list(vector)}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens or 0, "total_tokens": tokens or 0},
    }
    return Reply(orjson.dumps(body), Facts(usage=usage, model=call.model))


def _packed(vector: Sequence[Any]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def no_stream() -> Any:
    raise Invalid("Embeddings are not streamed.", param="stream")
