"""The telemetry store: one ClickHouse SQL text, run by chDB in the worker's process or by ClickHouse over HTTP.

`Telemetry` is what rooms use. `HttpTelemetry` here speaks ClickHouse's HTTP protocol, to a ClickHouse server or to
the worker (`telemetry_http`); `EmbeddedTelemetry` in `telemetry_embedded` holds chDB itself.

Rows come back as JSON values: 64-bit integers as numbers, NaN as None, times as ISO 8601 texts in UTC. Parameters are
Python values, written `{name:Type}` in the SQL and never formatted into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode, urlsplit

import orjson
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, NetworkError, RequestError

from octavo_server.core.errors import Invalid, OctavoError, Unavailable
from octavo_server.stores import SchemaTooNew

SettingValue = str | int | float
Params = Mapping[str, Any]
TelemetrySettings = Mapping[str, SettingValue]
NOTHING: Mapping[str, Any] = MappingProxyType({})

READ_SETTINGS: dict[str, SettingValue] = {
    "output_format_json_array_of_rows": 1,
    "output_format_json_quote_64bit_integers": 0,
    "date_time_output_format": "iso",
    "session_timezone": "UTC",
    "max_execution_time": 30,
}
WRITE_SETTINGS: dict[str, SettingValue] = {
    "date_time_input_format": "best_effort",
    "session_timezone": "UTC",
    "input_format_skip_unknown_fields": 0,
    "async_insert": 0,
}

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")


class ClickHouseError(Exception):
    """What the engine said, for the log. What callers get is made of it by `explain`, without its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class QueryRefused(Invalid):
    """A parameter's value does not fit: a text where a number belongs, an invalid time or pattern."""

    code = "invalid_query"


class QueryTooHeavy(Invalid):
    """The query would take more time or memory than a query may."""

    code = "query_too_heavy"


class TelemetryUnavailable(Unavailable):
    """The engine does not answer, or cannot take anything now."""

    code = "telemetry_unavailable"


class QueryFailed(OctavoError):
    """The engine refused SQL that this program wrote; a defect, whose text is in the log."""

    code = "telemetry_query_failed"


# Codes of src/Common/ErrorCodes.cpp in ClickHouse.
_VALUE_CODES = frozenset({6, 25, 26, 27, 38, 41, 53, 69, 70, 72, 131, 321, 457, 675})
_PATTERN_CODE = 427
_WEIGHT_CODES = frozenset({158, 159, 160, 161, 241, 307, 396})
_STATE_CODES = frozenset({3, 82, 202, 209, 210, 236, 242, 243, 252, 319, 394, 425, 439, 999})
_ACCESS_CODES = frozenset({81, 192, 193, 194, 497, 516})


def explain(error: ClickHouseError) -> OctavoError:
    """The product's error for an engine's error. Nothing of the engine's text is shown to callers."""
    if error.code in _VALUE_CODES:
        return QueryRefused("a value in the filter or time range does not fit its field: check its type and format")
    if error.code == _PATTERN_CODE:
        return QueryRefused(
            "a pattern is no regular expression in RE2 syntax, which has no look-around and no backreferences"
        )
    if error.code in _WEIGHT_CODES:
        return QueryTooHeavy("the query needs more time or memory than allowed: narrow the time range or the filter")
    if error.code in _ACCESS_CODES:
        return TelemetryUnavailable("ClickHouse refuses this server's user or database: check OCTAVO_CLICKHOUSE_URL")
    if error.code in _STATE_CODES:
        return TelemetryUnavailable(
            f"the telemetry store cannot serve now (ClickHouse code {error.code}): try again shortly"
        )
    return QueryFailed(
        f"the telemetry store could not run this query (ClickHouse code {error.code}); the log has the details"
    )


def error_code(text: str) -> int:
    """The number in `Code: 62. DB::Exception: …`; 0 when the text has none."""
    found = re.search(r"Code: (\d+)\.", text)
    return int(found.group(1)) if found else 0


class Telemetry(Protocol):
    """ClickHouse SQL, asynchronously. Every verb raises the errors of this module."""

    async def query(
        self, sql: str, params: Params = NOTHING, *, settings: TelemetrySettings = NOTHING
    ) -> list[dict[str, Any]]:
        """Rows of a SELECT, without a FORMAT clause."""
        ...

    async def execute(self, sql: str, params: Params = NOTHING, *, settings: TelemetrySettings = NOTHING) -> None:
        """A statement without a result: DDL, ALTER, INSERT … SELECT."""
        ...

    async def insert(self, table: str, rows: Iterable[Mapping[str, Any]], *, token: str) -> int:
        """Inserts rows (column → value) and returns how many; again under the same token it changes nothing, in tables
        with a deduplication window."""
        ...

    async def close(self) -> None: ...


def render_param(value: Any) -> str:
    """A Python value as the text that ClickHouse reads for `{name:Type}`."""
    if isinstance(value, str):
        return value.translate(_TEXT_ESCAPES)
    if value is None:
        return "\\N"
    if isinstance(value, (list, tuple, set, frozenset)):
        return _render_nested(list(value))
    return _render_scalar(value)


_TEXT_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
_QUOTED_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def _render_nested(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(_render_nested(one) for one in value) + "]"
    if isinstance(value, str):
        return "'" + value.translate(_QUOTED_ESCAPES) + "'"
    if value is None:
        return "NULL"
    if isinstance(value, (date, datetime)):
        return "'" + _render_scalar(value) + "'"
    return _render_scalar(value)


def _render_scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError(f"naive datetime {value!r}; pass one with a time zone")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"cannot pass {type(value).__name__} to the telemetry store; pass text, number, datetime or a list")


def identifier(name: str) -> str:
    """A table's name, checked, since names cannot be parameters of an INSERT."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is no table name")
    return name


def encode_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[bytes, int]:
    """Rows as JSONEachRow, and how many there are."""
    lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows]
    return b"".join(lines), len(lines)


class HttpTelemetry:
    """ClickHouse over HTTP, with connections kept alive. `point_to` follows a worker that was restarted."""

    def __init__(self, url: str = "", user: str = "default", password: str = "", database: str = "default") -> None:
        self._url = url.rstrip("/")
        self._user = user
        self._password = password
        self._database = database
        self._client: Client = (
            ClientBuilder()
            .no_proxy()
            .connect_timeout(timedelta(seconds=5))
            .timeout(timedelta(seconds=120))
            .pool_idle_timeout(timedelta(seconds=20))
            .build()
        )

    @classmethod
    def from_url(cls, url: str) -> HttpTelemetry:
        """From `http(s)://user:password@host:8123/database`."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid("OCTAVO_CLICKHOUSE_URL: expected http(s)://user:password@host:8123/database")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(
            f"{parts.scheme}://{host}:{parts.port or (8443 if parts.scheme == 'https' else 8123)}",
            unquote(parts.username or "default"),
            unquote(parts.password or ""),
            parts.path.strip("/") or "default",
        )

    def point_to(self, url: str, *, password: str) -> None:
        """Requests from now on go to `url`; an empty one means that nobody is there yet."""
        self._url = url.rstrip("/")
        self._password = password

    async def query(
        self, sql: str, params: Params = NOTHING, *, settings: TelemetrySettings = NOTHING
    ) -> list[dict[str, Any]]:
        arguments = {"default_format": "JSONEachRow", "wait_end_of_query": "1", **_texts({**READ_SETTINGS, **settings})}
        arguments |= {f"param_{name}": render_param(value) for name, value in params.items()}
        body = await self._post(arguments, sql.encode(), again=True)
        rows: list[dict[str, Any]] = orjson.loads(body) if body else []
        return rows

    async def execute(self, sql: str, params: Params = NOTHING, *, settings: TelemetrySettings = NOTHING) -> None:
        arguments = {**_texts({**WRITE_SETTINGS, **settings}), "wait_end_of_query": "1"}
        arguments |= {f"param_{name}": render_param(value) for name, value in params.items()}
        await self._post(arguments, sql.encode(), again=False)

    async def insert(self, table: str, rows: Iterable[Mapping[str, Any]], *, token: str) -> int:
        data, count = encode_rows(rows)
        if count:
            arguments = {
                **_texts(WRITE_SETTINGS),
                "query": f"INSERT INTO {identifier(table)} FORMAT JSONEachRow",
                "insert_deduplication_token": token,
            }
            await self._post(arguments, data, again=True)
        return count

    async def close(self) -> None:
        await self._client.close()

    async def _post(self, arguments: dict[str, str], body: bytes, *, again: bool) -> bytes:
        """`again`: whether the request may be sent twice, which a connection that died while idle makes necessary."""
        if not self._url:
            raise TelemetryUnavailable("the telemetry store is starting: try again shortly")
        query = urlencode({"database": self._database, **arguments}, quote_via=quote)
        request = (
            self._client.post(f"{self._url}/?{query}")
            .header("X-ClickHouse-User", self._user)
            .header("X-ClickHouse-Key", self._password, is_sensitive=True)
            .body_bytes(body)
            .build()
        )
        try:
            response = await request.send()
            content = bytes(await response.bytes())
        except (RequestError, BuilderError) as error:
            if again and isinstance(error, NetworkError):
                return await self._post(arguments, body, again=False)
            raise TelemetryUnavailable("the telemetry store does not answer: try again shortly") from error
        code = response.get_header("X-ClickHouse-Exception-Code")
        if code is not None or response.status >= 400:
            text = content.decode(errors="replace")
            failure = ClickHouseError(
                int(code or error_code(text) or (516 if response.status in (401, 403) else 0)), text
            )
            raise explain(failure) from failure
        return content


def _texts(settings: TelemetrySettings) -> dict[str, str]:
    return {name: str(value) for name, value in settings.items()}


async def migrate(engine: Telemetry, migrations: Sequence[tuple[str | int, str]]) -> None:
    """Runs those of the `(version, statement)` that the store has not seen, in order, and remembers them.

    ClickHouse has no transactions over DDL: write statements that may run twice (IF NOT EXISTS). Raises SchemaTooNew
    when the store has seen a version that is not in the list."""
    await engine.execute(
        "CREATE TABLE IF NOT EXISTS octavo_schema (version String, at DateTime64(3, 'UTC') DEFAULT now64(3))"
        " ENGINE = MergeTree ORDER BY version"
    )
    seen = {row["version"] for row in await engine.query("SELECT version FROM octavo_schema")}
    known = [str(version) for version, _ in migrations]
    if unknown := sorted(seen - set(known)):
        raise SchemaTooNew("telemetry", present=unknown[-1], known=known[-1] if known else "nothing")
    for version, statement in migrations:
        if str(version) not in seen:
            await engine.execute(statement)
            await engine.insert("octavo_schema", [{"version": str(version)}], token=f"octavo_schema-{version}")
