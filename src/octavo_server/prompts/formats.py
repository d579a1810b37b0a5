"""Prompts as other tools write them: Langfuse, MLflow, promptfoo, Dotprompt, Prompty. Pure."""

from __future__ import annotations

from typing import Any

from octavo_server.prompts.model import Body, Placeholder


def config_of(body: Body) -> Any:
    """What Langfuse calls the config: as its client gave it, else the model with its parameters, tools and schema."""
    own: dict[str, Any] = {} if body.model is None else {"model": body.model}
    own |= body.parameters
    if body.tools:
        own["tools"] = list(body.tools)
    if body.response_schema is not None:
        own["response_schema"] = dict(body.response_schema)
    if not own:
        return {} if body.config is None else body.config
    return own | body.config if isinstance(body.config, dict) else own


def langfuse_template(body: Body) -> Any:
    """The text, or messages and placeholders as Langfuse writes them."""
    if isinstance(body.template, str):
        return body.template
    return [
        {"type": "placeholder", "name": item.name}
        if isinstance(item, Placeholder)
        else {"type": "chatmessage", "role": item.role, "content": item.content}
        for item in body.template
    ]
