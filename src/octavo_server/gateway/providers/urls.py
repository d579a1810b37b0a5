"""Addresses and headers that a connection adds to."""

from __future__ import annotations

from typing import Any

from octavo_server.costs.model import Connection
from octavo_server.gateway.providers.base import Option

HEADERS_OPTION = Option(name="headers", title="Extra headers", help="Sent with every request.", kind="map")


def join(base: str, path: str) -> str:
    """`base` and `path` with exactly one slash between; a query of the base (`?api-version=…`) stays at the end."""
    address, _, query = base.partition("?")
    url = address.rstrip("/") + "/" + path.lstrip("/")
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def own_headers(connection: Connection) -> dict[str, str]:
    """The connection's extra headers, names in lower case."""
    return {str(name).lower(): str(value) for name, value in map_option(connection, "headers").items()}


def map_option(connection: Connection, name: str) -> dict[str, Any]:
    value = connection.options.get(name)
    return dict(value) if isinstance(value, dict) else {}


def text_option(connection: Connection, name: str, default: str = "") -> str:
    value = connection.options.get(name)
    return default if value is None or value == "" else str(value)


def flag_option(connection: Connection, name: str, default: bool) -> bool:
    value = connection.options.get(name)
    if isinstance(value, str):
        return value.strip().lower() in ("1", "true", "yes", "on")
    return default if value is None else bool(value)
