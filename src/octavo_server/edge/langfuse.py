"""How Langfuse's API answers, for the rooms that serve a part of it; errors are `{"message", "error"}`."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from octavo_server.core.errors import OctavoError

_ERRORS = {400: "InvalidRequestError", 401: "UnauthorizedError", 403: "AccessDeniedError", 404: "LangfuseNotFoundError"}


def langfuse_refusal(status: int, message: str, retry_after_s: float | None = None) -> Response:
    """A refusal as Langfuse tells it: a conflict is 400, since its clients try 409 again."""
    status = 400 if status in (409, 422) else status
    headers = {"retry-after": f"{math.ceil(retry_after_s or 2)}"} if status in (429, 503) else {}
    return JSONResponse({"message": message, "error": _ERRORS.get(status, "InternalServerError")}, status, headers)


def langfuse_answer(content: Any, status: int = 200) -> Response:
    """An answer in JSON, its times in UTC with a Z."""
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), status, media_type="application/json")


def langfuse_page(page: int, limit: int, total: int) -> dict[str, int]:
    """What a numbered page tells of itself."""
    return {"page": page, "limit": limit, "totalItems": total, "totalPages": -(-total // limit)}


class LangfuseRoute(APIRoute):
    """Tells errors as Langfuse does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except OctavoError as error:
                return langfuse_refusal(error.status, error.message, error.retry_after_s)
            except RequestValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                return langfuse_refusal(400, f"{where}: {first['msg']}")

        return told
