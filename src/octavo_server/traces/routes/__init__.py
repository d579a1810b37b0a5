"""Observability over HTTP: what is read back, scores and comments, and OTLP, which comes in."""

from octavo_server.traces.routes.alerts import build_alerts_router
from octavo_server.traces.routes.experiments import build_langfuse_experiments_router
from octavo_server.traces.routes.insight import build_insight_router
from octavo_server.traces.routes.langfuse import build_langfuse_missing_router, build_langfuse_router
from octavo_server.traces.routes.media import build_langfuse_media_router, build_media_router
from octavo_server.traces.routes.otlp import OTLP_PATHS, build_otlp_router, otlp_refusal
from octavo_server.traces.routes.reading import build_router
from octavo_server.traces.routes.scores import build_scores_router
from octavo_server.traces.routes.views import build_views_router

__all__ = [
    "OTLP_PATHS",
    "build_alerts_router",
    "build_insight_router",
    "build_langfuse_experiments_router",
    "build_langfuse_media_router",
    "build_langfuse_missing_router",
    "build_langfuse_router",
    "build_media_router",
    "build_otlp_router",
    "build_router",
    "build_scores_router",
    "build_views_router",
    "otlp_refusal",
]
