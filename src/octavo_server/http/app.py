"""The route table of the control API: which room answers where. Nothing imports this but `main` and the tests."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel

from octavo_server.edge.access import PERMISSION_KEY, Permission, allows
from octavo_server.http import console, errors
from octavo_server.http.auth import Rule, rules_of

API_PREFIX = "/api/v1"
_PROBLEM = "Problem"


def build_app(api_routers: Iterable[APIRouter], root_routers: Iterable[APIRouter], *, version: str) -> FastAPI:
    """The FastAPI application: `api_routers` under /api/v1, `root_routers` at the root, the console
    wherever no route is."""
    app = FastAPI(
        title="Octavo",
        version=version,
        description="The control API of Octavo. Errors are problem+json. Credentials: a session cookie, or an API key "
        "as bearer token or Basic credentials.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    errors.install(app)
    for router in api_routers:
        app.include_router(router, prefix=API_PREFIX)
    for router in root_routers:
        app.include_router(router)
    app.include_router(_openapi_router(app), prefix=API_PREFIX)
    app.router.default = console.Console(app.router.default)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    return app


def rules(app: FastAPI) -> list[Rule]:
    """Who may call which route. Raises UndeclaredRoute."""
    return rules_of(iter_route_contexts(app.routes))


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made true: refusals are problems, validation is answered 400, credentials are declared."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _declare_schemas(document)
        for path in document["paths"].values():
            for operation in path.values():
                _declare_answers(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _declare_schemas(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in (errors.FieldProblem, errors.Problem):
        schemas[model.__name__] = _schema(model)
    components["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "octavo_session"},
        "bearer": {"type": "http", "scheme": "bearer", "description": "A secret key, sk-oct-…"},
        "basic": {"type": "http", "scheme": "basic", "description": "Public and secret key, pk-oct-…:sk-oct-…"},
    }


def _declare_answers(operation: dict[str, Any]) -> None:
    permission = operation.get(PERMISSION_KEY)
    responses = operation["responses"]
    responses.pop("422", None)
    if "parameters" in operation or "requestBody" in operation:
        _add_problem(responses, "400", "Malformed, or a value is out of range")
    if "requestBody" in operation:
        _add_problem(responses, "413", "The body is too large")
    if permission != Permission.PUBLIC.value:
        operation["security"] = [{"session": []}, {"bearer": []}, {"basic": []}]
        _add_problem(responses, "401", "No or wrong credentials")
        _add_problem(responses, "403", "Not allowed")
    _add_problem(responses, "default", "Any other refusal")


def _add_problem(responses: dict[str, Any], status: str, description: str) -> None:
    """Beside what the route itself declares for this status."""
    response = responses.setdefault(status, {"description": description})
    response.setdefault("content", {})[errors.PROBLEM_JSON] = {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = deepcopy(model.model_json_schema(ref_template="#/components/schemas/{model}"))
    schema.pop("$defs", None)
    return schema


def _openapi_router(app: FastAPI) -> APIRouter:
    router = APIRouter(tags=["server"])

    @router.get("/openapi.json", include_in_schema=False, **allows(Permission.PUBLIC))
    async def read_openapi() -> dict[str, Any]:
        """This API's description."""
        return describe(app)

    return router
