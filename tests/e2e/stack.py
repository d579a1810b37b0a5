"""A whole Octavo as its operator starts it: `octavo serve` in its own process, on a free port and a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

EMAIL = "admin@octavo.local"
PASSWORD = "correct horse battery staple"


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """One server process (and the worker it supervises) that a test starts, kills and starts again on the same data."""

    def __init__(self, data_dir: Path, **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self._environ = {key: value for key, value in os.environ.items() if not key.startswith("OCTAVO_")} | {
            "OCTAVO_DATA_DIR": str(data_dir),
            "OCTAVO_PORT": str(self.port),
            "OCTAVO_ADMIN_EMAIL": EMAIL,
            "OCTAVO_ADMIN_PASSWORD": PASSWORD,
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, timeout_s: float = 60.0) -> None:
        """Starts the server and returns when it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "octavo_server.main", "serve"],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server stopped with {self._process.returncode}:\n{self.tail()}")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2.0).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the server was not ready within {timeout_s:.0f} s:\n{self.tail()}")

    def kill(self) -> None:
        """`kill -9`, as a machine that runs out of memory would do it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self._process = None

    def tail(self) -> str:
        """The end of what the server printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def admin(self) -> Admin:
        """The console's session of the first administrator."""
        return Admin(self.url)


class Admin:
    """The control API through a console login, on the project `project`."""

    def __init__(self, url: str, project: str = "") -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=30.0)
        login = self.call("POST", "/session", {"email": EMAIL, "password": PASSWORD})
        self._http.headers["X-Octavo-CSRF"] = login["csrf_token"]
        if project:
            self._http.headers["X-Octavo-Project"] = project

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """The JSON answer; fails the test with the server's words when it is not a success."""
        answer = self._http.request(method, path, json=body, params=params)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def lines(self, path: str, **params: Any) -> list[Any]:
        """An answer of lines of JSON."""
        answer = self._http.get(path, params=params)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return [json.loads(line) for line in answer.text.splitlines()]

    def fetch(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """An answer as it is."""
        return self._http.get(path, headers=headers)

    def work_in(self, project: str) -> None:
        """Calls are about this project from now on."""
        self._http.headers["X-Octavo-Project"] = project

    def new_project(self, name: str, upstream: str) -> str:
        """Makes a project whose models are all served by an OpenAI-compatible `upstream`; returns a key's secret."""
        project = self.call("POST", "/projects", {"name": name})
        self._http.headers["X-Octavo-Project"] = project["slug"]
        self.call(
            "POST",
            "/connections",
            {
                "name": "upstream",
                "provider": "openai_compatible",
                "base_url": upstream,
                "secret": "sk-upstream",
                "is_default": True,
            },
        )
        key = self.call("POST", "/api-keys", {"name": "test", "environment": "production"})
        return str(key["secret_key"])

    def close(self) -> None:
        self._http.close()
