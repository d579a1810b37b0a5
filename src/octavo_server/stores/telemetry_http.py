"""A small server of ClickHouse's HTTP protocol in front of the embedded store, on loopback with a token.

The worker runs it so that the main process has one telemetry client, whichever engine there is; tests run it as
ClickHouse's stand-in. It serves what ClickHouse clients send: SQL in the body or in `query`, `param_*`, settings,
`default_format`, `database`, gzip and chunked bodies, kept-alive connections, each on a thread of its own.
"""

from __future__ import annotations

import gzip
import hmac
import os
import socket
import threading
import zlib
from base64 import b64decode
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from octavo_server.stores.telemetry import ClickHouseError
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry

# What clients put beside the settings of a query and chDB has no use for.
_NOT_SETTINGS = frozenset(
    [
        "query",
        "default_format",
        "database",
        "user",
        "password",
        "quota_key",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "role",
        "wait_end_of_query",
        "buffer_size",
        "compress",
        "decompress",
        "enable_http_compression",
        "client_protocol_version",
        "stacktrace",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "close_session",
        "cancel_http_readonly_queries_on_client_close",
    ]
)
_STATUS = {46: 404, 47: 404, 60: 404, 62: 400, 81: 404, 115: 404, 457: 400, 516: 403}
_MAX_BODY = 1 << 30
_IDLE_S = 60.0


class TelemetryServer:
    """Serves `engine` on 127.0.0.1 from its own threads, from construction to `close`. Port 0 takes a free one."""

    def __init__(self, engine: EmbeddedTelemetry, *, token: str, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler, engine, token)
        self._thread = threading.Thread(target=self._server.accept_forever, name="octavo-telemetry-http", daemon=True)
        self._thread.start()
        self._address_file = address_file(engine.path)
        _write_private(self._address_file, orjson.dumps({"url": self.url, "token": token}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stops listening and drops the connections. The engine stays open."""
        self._address_file.unlink(missing_ok=True)
        self._server.stop(self._thread)


def address_file(path: Path) -> Path:
    """Where the server of the store at `path` says how to reach it, readable by its user only: a JSON object with
    `url` and `token`."""
    return path.with_name(path.name + "-server.json")


def _write_private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], engine: EmbeddedTelemetry, token: str
    ) -> None:
        super().__init__(address, handler)
        self.engine = engine
        self.token = token
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._stopping = False

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; the next request tells it what happened to its query."""

    def accept_forever(self) -> None:
        """`serve_forever` without its polling, which would wake an idle machine twice a second."""
        while not self._stopping:
            self.handle_request()

    def stop(self, accepting: threading.Thread) -> None:
        self._stopping = True
        with socket.create_connection(("127.0.0.1", self.server_port)):
            accepting.join()  # the connection woke it
        with self._guard:
            for one in self._open:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # gone already
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "Octavo"
    sys_version = ""
    timeout = _IDLE_S
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        if target.path in ("/ping", "/") and not target.query:
            self._reply(HTTPStatus.OK, b"Ok.\n")
        else:
            self._answer(target.query, b"")

    def do_POST(self) -> None:
        try:
            body = self._read_body()
        except (ValueError, zlib.error, EOFError, OSError) as error:
            self.close_connection = True
            self._refuse(ClickHouseError(27, f"Code: 27. DB::Exception: Cannot read the request's body: {error}"))
            return
        self._answer(urlsplit(self.path).query, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the callers log what matters to them."""

    def _answer(self, query_string: str, body: bytes) -> None:
        arguments = dict(parse_qsl(query_string, keep_blank_values=True))
        if not self._is_authorised(arguments):
            self._refuse(
                ClickHouseError(516, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")
            )
            return
        query = arguments.get("query", "").encode()
        sql = query + b"\n" + body if query and body else query or body
        output = arguments.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"
        try:
            result = self.server.engine.run(
                sql,
                output=output,
                params={name[6:]: text for name, text in arguments.items() if name.startswith("param_")},
                settings={
                    name: text
                    for name, text in arguments.items()
                    if name not in _NOT_SETTINGS and not name.startswith("param_")
                },
                database=arguments.get("database") or self.headers.get("X-ClickHouse-Database") or "",
            )
        except ClickHouseError as error:
            self._refuse(error)
        else:
            self._reply(HTTPStatus.OK, result, {"X-ClickHouse-Format": output})

    def _is_authorised(self, arguments: dict[str, str]) -> bool:
        given = self.headers.get("X-ClickHouse-Key") or arguments.get("password") or ""
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:
                return False
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._read_chunks()
        else:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 <= length <= _MAX_BODY:
                raise ValueError(f"Content-Length {length}, expected at most {_MAX_BODY}")
            body = self.rfile.read(length)
        match self.headers.get("Content-Encoding", "identity").lower():
            case "identity":
                return body
            case "gzip":
                return gzip.decompress(body)
            case "deflate":
                return zlib.decompress(body)
            case other:
                raise ValueError(f"Content-Encoding {other!r}, expected gzip, deflate or none")

    def _read_chunks(self) -> bytes:
        chunks = []
        size = 0
        while length := int(self.rfile.readline(64).split(b";")[0], 16):
            size += length
            if size > _MAX_BODY:
                raise ValueError(f"a body of more than {_MAX_BODY} bytes")
            chunks.append(self.rfile.read(length))
            self.rfile.readline(8)
        while self.rfile.readline(8192).strip():
            pass  # trailers
        return b"".join(chunks)

    def _refuse(self, error: ClickHouseError) -> None:
        status = HTTPStatus(_STATUS.get(error.code, 500))
        self._reply(status, f"{error}\n".encode(), {"X-ClickHouse-Exception-Code": str(error.code)})

    def _reply(self, status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")  # said, so that no client sends its next request here
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
