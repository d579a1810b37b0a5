"""Evaluation over HTTP: Octavo's own API, and Langfuse's."""

from octavo_server.evals.routes.datasets import build_datasets_router
from octavo_server.evals.routes.langfuse import build_langfuse_datasets_router

__all__ = ["build_datasets_router", "build_langfuse_datasets_router"]
