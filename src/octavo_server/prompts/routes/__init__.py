"""Prompts over HTTP: Octavo's own API, and Langfuse's."""

from octavo_server.prompts.routes.langfuse import build_langfuse_prompts_router
from octavo_server.prompts.routes.prompts import build_router

__all__ = ["build_langfuse_prompts_router", "build_router"]
