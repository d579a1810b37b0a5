"""What the calls, sync and async, have in common: the request they send and what they make of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, final
from urllib.parse import quote

import httpx2

from octavo.config import Config
from octavo.errors import APIError, error_of

RETRIED = frozenset({429, 502, 503, 504})
MAX_RETRIES = 2
MAX_PAUSE_S = 30.0


@final
class NotGiven:
    """The type of an argument that was left out, which is not the same as None."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Final = NotGiven()


def headers_of(config: Config) -> dict[str, str]:
    """The headers of every request."""
    headers = {"user-agent": f"octavo-python/{config.version}", "accept": "application/json"}
    if config.api_key:
        headers["authorization"] = f"Bearer {config.api_key}"
    if config.project:
        headers["x-octavo-project"] = config.project
    return headers


def path_of(template: str, values: Sequence[str]) -> str:
    """The template with its values, each one segment whatever it holds."""
    return template.format(*(quote(value, safe="") for value in values))


def given(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Without the arguments that were left out."""
    if values is None:
        return None
    return {name: value for name, value in values.items() if not isinstance(value, NotGiven)}


def query_of(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The same for a query string, where None is left out as well."""
    kept = given(values)
    return None if kept is None else {name: value for name, value in kept.items() if value is not None}


def answer_of(response: httpx2.Response) -> Any:
    """The JSON of a success, None without content. Raises APIError."""
    if response.is_success:
        return response.json() if response.content else None
    raise failure_of(response)


def failure_of(response: httpx2.Response) -> APIError:
    """The error that a refusal stands for."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return error_of(response.status_code, body if isinstance(body, dict) else {}, response.headers)


def pause_of(response: httpx2.Response, attempt: int) -> float | None:
    """Seconds to wait before the request is sent again; None when it shall not be."""
    if response.status_code not in RETRIED or attempt >= MAX_RETRIES:
        return None
    if response.headers.get("x-should-retry") == "false":
        return None
    told = response.headers.get("retry-after", "")
    pause = float(told) if told.replace(".", "", 1).isdigit() else 0.5 * 2**attempt
    return pause if pause <= MAX_PAUSE_S else None
