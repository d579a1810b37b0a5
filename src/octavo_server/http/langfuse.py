"""What Langfuse's SDKs ask of a server before anything else: that it is there, and whose project their keys are of."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.governance.service import Governance


def build_router(governance: Governance, *, version: str) -> APIRouter:
    """`GET /api/public/health` and `/projects`."""
    router = APIRouter(prefix="/api/public", tags=["langfuse"], include_in_schema=False)

    @router.get("/health", **allows(Permission.PUBLIC))
    async def langfuse_health() -> dict[str, str]:
        """Says that the server answers."""
        return {"status": "OK", "version": version}

    @router.get("/projects", **allows(Permission.ANY))
    def langfuse_projects(caller: Caller) -> dict[str, Any]:
        """The project of the caller's key."""
        project = governance.projects.get(caller)
        organization = {"id": "octavo", "name": "Octavo"}
        return {"data": [{"id": project.id, "name": project.name, "organization": organization, "metadata": {}}]}

    return router
