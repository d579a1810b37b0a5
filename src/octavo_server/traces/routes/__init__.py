"""Observability over HTTP: what is read back, scores and comments, and OTLP, which comes in."""

from octavo_server.traces.routes.langfuse import build_langfuse_router
from octavo_server.traces.routes.otlp import OTLP_PATHS, build_otlp_router
from octavo_server.traces.routes.reading import build_router
from octavo_server.traces.routes.scores import build_scores_router

__all__ = ["OTLP_PATHS", "build_langfuse_router", "build_otlp_router", "build_router", "build_scores_router"]
