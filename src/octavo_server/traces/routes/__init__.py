"""Observability over HTTP: what is read back, and OTLP, which comes in."""

from octavo_server.traces.routes.otlp import OTLP_PATHS, build_otlp_router
from octavo_server.traces.routes.reading import build_router

__all__ = ["OTLP_PATHS", "build_otlp_router", "build_router"]
