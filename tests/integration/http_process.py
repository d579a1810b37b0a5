"""`octavo serve` as a process of its own, watched through what it prints and answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from octavo_server.settings import Settings, child_environment

SERVER = [sys.executable, "-m", "octavo_server.main"]
PATIENCE_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, **fields: Any) -> dict[str, str]:
    return child_environment(
        Settings(**{"data_dir": folder, "port": free_port(), "admin_password": "correct horse battery", **fields})
    )


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A verb that ends by itself."""
    return subprocess.run(
        [*SERVER, *arguments], env=environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


class Running:
    """A server that said it is ready."""

    def __init__(self, process: subprocess.Popen[str], url: str, greeting: list[str]) -> None:
        self.process = process
        self.url = url
        self.greeting = greeting

    def worker_pid(self) -> int | None:
        return self.api("/api/v1/server").json()["worker"]["pid"]  # type: ignore[no-any-return]

    def api(self, path: str, **options: Any) -> httpx.Response:
        """As the administrator, logged in anew."""
        with httpx.Client(base_url=self.url, timeout=PATIENCE_S) as client:
            login = client.post(
                "/api/v1/session", json={"email": "admin@octavo.local", "password": "correct horse battery"}
            )
            assert login.status_code == 200, login.text
            return client.request(
                options.pop("method", "GET"), path, headers={"x-octavo-csrf": login.json()["csrf_token"]}, **options
            )

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_S, **options)

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C: exit code and what was left on standard error."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors


@contextmanager
def serving(environ: dict[str, str]) -> Iterator[Running]:
    """A server from its ready line to its end, which is at the latest the end of the block."""
    process = subprocess.Popen(
        [*SERVER, "serve"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        greeting: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            greeting.append(line)
            if line.startswith("Octavo is ready at "):
                break
        else:
            raise AssertionError(process.communicate()[1])
        yield Running(process, f"http://127.0.0.1:{environ['OCTAVO_PORT']}", greeting)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(true: Callable[[], object]) -> None:
    """Waits for something that comes, however slow the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("it never came")
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie in a container whose first process does not reap is as dead as can be.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
