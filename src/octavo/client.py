"""`Octavo` and `AsyncOctavo`: every call of the control API, typed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import httpx2

from octavo.api import types
from octavo.api.async_calls import AsyncCalls
from octavo.api.calls import Calls
from octavo.api.sending import MAX_RETRIES, answer_of, failure_of, given, headers_of, path_of, pause_of, query_of
from octavo.config import read_config
from octavo.errors import ConnectionFailed, error_of

T = TypeVar("T")

_CSRF = "x-octavo-csrf"


class Octavo(Calls):
    """A server, as an API key sees it. What is not given is read from OCTAVO_URL, OCTAVO_API_KEY, OCTAVO_PROJECT and
    OCTAVO_ENVIRONMENT, or from what `octavo login` kept.

        with Octavo() as octavo:
            for key in octavo.list_keys()["data"]:
                print(key["name"])

    Reads are tried again when the server is busy; `log_in` uses a login instead of a key."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        project: str | None = None,
        environment: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = read_config(url=url, api_key=api_key, project=project, environment=environment)
        self.http = httpx2.Client(
            base_url=self.config.url, headers=headers_of(self.config), timeout=timeout_s, transport=transport
        )
        self._sleep = sleep

    def log_in(self, *, email: str, password: str) -> types.Session:
        """Logs in; from now on this client acts as that user."""
        session = super().log_in(email=email, password=password)
        self.http.headers[_CSRF] = session["csrf_token"]
        return session

    def use_project(self, project: str) -> None:
        """Chooses the project, by id or slug, that calls are about."""
        self.http.headers["x-octavo-project"] = project

    def each(self, call: Callable[..., types.Page[T]], **arguments: Any) -> Iterator[T]:
        """All results of a paged call: `octavo.each(octavo.list_events, action="api_key.created")`."""
        while True:
            page = call(**arguments)
            yield from page["data"]
            if page["next_cursor"] is None:
                return
            arguments["cursor"] = page["next_cursor"]

    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """Any call, by its path: the JSON of the answer."""
        return self._call(method, path.replace("{", "{{").replace("}", "}}"), params=params, body=body)

    def stream(self, path: str, body: Mapping[str, Any], *, timeout_s: float = 600.0) -> Iterator[Any]:
        """The JSON of each server-sent event that a model call answers with."""
        try:
            with self.http.stream("POST", path, json=body, timeout=timeout_s) as response:
                if not response.is_success:
                    response.read()
                    raise failure_of(response)
                for line in response.iter_lines():
                    if line.startswith("data:") and line != "data: [DONE]":
                        event = json.loads(line[5:])
                        if isinstance(event, dict) and event.get("error"):
                            raise error_of(502, event, response.headers)
                        yield event
        except httpx2.TransportError as error:
            raise ConnectionFailed(f"{self.config.url}: the answer broke off ({error})") from error

    def close(self) -> None:
        """Closes the connections."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(
        self,
        method: str,
        path: str,
        values: Sequence[str] = (),
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        attempts = MAX_RETRIES if method == "GET" else 0
        for attempt in range(attempts + 1):
            try:
                response = self.http.request(method, path_of(path, values), params=query_of(params), json=given(body))
            except httpx2.TransportError as error:
                raise _unreachable(self.config.url, error) from error
            pause = pause_of(response, attempt) if attempt < attempts else None
            if pause is None:
                break
            self._sleep(pause)
        return answer_of(response)


class AsyncOctavo(AsyncCalls):
    """`Octavo` for asyncio."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        project: str | None = None,
        environment: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.config = read_config(url=url, api_key=api_key, project=project, environment=environment)
        self.http = httpx2.AsyncClient(
            base_url=self.config.url, headers=headers_of(self.config), timeout=timeout_s, transport=transport
        )

    async def log_in(self, *, email: str, password: str) -> types.Session:
        """Logs in; from now on this client acts as that user."""
        session = await super().log_in(email=email, password=password)
        self.http.headers[_CSRF] = session["csrf_token"]
        return session

    def use_project(self, project: str) -> None:
        """Chooses the project, by id or slug, that calls are about."""
        self.http.headers["x-octavo-project"] = project

    async def each(self, call: Callable[..., Any], **arguments: Any) -> AsyncIterator[Any]:
        """All results of a paged call."""
        while True:
            page = await call(**arguments)
            for one in page["data"]:
                yield one
            if page["next_cursor"] is None:
                return
            arguments["cursor"] = page["next_cursor"]

    async def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """Any call, by its path: the JSON of the answer."""
        return await self._call(method, path.replace("{", "{{").replace("}", "}}"), params=params, body=body)

    async def close(self) -> None:
        """Closes the connections."""
        await self.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(
        self,
        method: str,
        path: str,
        values: Sequence[str] = (),
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        attempts = MAX_RETRIES if method == "GET" else 0
        for attempt in range(attempts + 1):
            try:
                response = await self.http.request(
                    method, path_of(path, values), params=query_of(params), json=given(body)
                )
            except httpx2.TransportError as error:
                raise _unreachable(self.config.url, error) from error
            pause = pause_of(response, attempt) if attempt < attempts else None
            if pause is None:
                break
            await asyncio.sleep(pause)
        return answer_of(response)


def _unreachable(url: str, error: httpx2.TransportError) -> ConnectionFailed:
    return ConnectionFailed(f"{url} cannot be reached ({error or type(error).__name__}); is the server running?")
