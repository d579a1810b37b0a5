"""The console's playground: a model call through the same corridor as everybody's, under the identity of a login."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from starlette.types import Receive, Scope, Send

from octavo_server.core.errors import Forbidden
from octavo_server.edge.access import Caller, Permission, allows
from octavo_server.gateway.app import Gateway
from octavo_server.governance.model import KeyGrant

_PATH = "/v1/chat/completions"
_ENVIRONMENT = "development"
_REFUSAL = {"content": {"application/json": {}}, "description": "A refusal, in OpenAI's shape"}


class _Corridor(Response):
    """A response that the gateway gives itself."""

    def __init__(self, gateway: Gateway, grant: KeyGrant) -> None:
        super().__init__()
        self._gateway = gateway
        self._grant = grant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gateway.serve(_PATH, self._grant, scope, receive, send)


def build_router(gateway: Gateway) -> APIRouter:
    """Routes of the playground."""
    router = APIRouter(tags=["playground"])

    @router.post(
        "/playground/chat/completions",
        response_class=Response,
        responses={
            200: {
                "content": {"application/json": {}, "text/event-stream": {}},
                "description": "As the gateway answers",
            },
            **dict.fromkeys((400, 401, 403, 413, "default"), _REFUSAL),
        },
        **allows(Permission.GATEWAY_CALL),
    )
    async def run_playground(
        caller: Caller, x_octavo_environment: Annotated[str, Header(max_length=40)] = _ENVIRONMENT
    ) -> Response:
        """A chat completion in the project's name; body and answer are those of POST /v1/chat/completions, which is
        also where an API key belongs."""
        if caller.kind != "user":
            raise Forbidden("The playground is for people; send the same body to /v1/chat/completions.")
        return _Corridor(
            gateway,
            KeyGrant(
                key_id=caller.id,
                public_key="",
                secret_hash="",
                name=caller.name,
                project_id=caller.project,
                environment=caller.environment or x_octavo_environment,
                scopes=frozenset({Permission.GATEWAY_CALL}),
            ),
        )

    return router
