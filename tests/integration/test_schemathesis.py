"""The whole API as its own description says it is: generated requests, valid and not, never make a 5xx and are
answered in the shapes that `openapi.json` promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from http_process import environment, serving
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

load_all_checks()
_CHECKS = CHECKS.get_by_names(
    ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
)


def description() -> dict[str, Any]:
    """The API's description without its credentials: generated ones would stop most requests at the door, whose
    answers other tests know."""
    document: dict[str, Any] = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())
    document["components"].pop("securitySchemes")
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    return document


schema = schemathesis.openapi.from_dict(description())
schema.config.generation.update(modes=list(schemathesis.GenerationMode))


class Api:
    """A server with a project, and the owner's credentials."""

    def __init__(self, url: str) -> None:
        self.url = url
        with httpx.Client(base_url=url) as client:
            login = client.post(
                "/api/v1/session", json={"email": "admin@octavo.local", "password": "correct horse battery"}
            )
            self.cookies = dict(client.cookies)
            self.headers = {"x-octavo-csrf": login.json()["csrf_token"]}
            project = client.post("/api/v1/projects", json={"name": "Fuzz"}, headers=self.headers)
            self.headers["x-octavo-project"] = project.json()["id"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving(environment(tmp_path_factory.mktemp("data"), max_body_mb=1)) as server:
        yield Api(server.url)


# The stream never ends; a logout would end the test's own session.
tested = schema.exclude(path="/api/v1/live").exclude(path="/api/v1/session", method="DELETE")


@tested.parametrize()
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_keeps_its_promise(api: Api, case: schemathesis.Case) -> None:
    case.call_and_validate(base_url=api.url, headers=api.headers, cookies=api.cookies, checks=_CHECKS, timeout=30)
