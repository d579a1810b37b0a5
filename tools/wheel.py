"""Proves the wheel: built with the console inside, installed into an environment of its own, its server started.

python -m tools.wheel
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[1]
START_S = 60.0


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        python = install(wheel, Path(folder) / "venv")
        start(python, Path(folder) / "data")
    print(f"{wheel.name}: installs and serves the console")
    return 0


def build(folder: Path) -> Path:
    """The wheel; fails without the console in it, or with another's files."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "octavo_server/http/console/index.html" in names, "the console is not in the wheel: run `make console` first"
    assert "octavo/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"octavo", "octavo_server"}
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """An environment with the wheel and its pinned dependencies."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    pins = str(ROOT / "requirements" / "server.txt")
    subprocess.run([*pip, "-c", pins, f"{wheel}[server]"], check=True)
    return folder / "bin" / "python"


def start(python: Path, data: Path) -> None:
    """Starts the installed server, asks it for the console, and stops it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "OCTAVO_DATA_DIR": str(data), "OCTAVO_PORT": str(port)}
    process = subprocess.Popen([python.with_name("octavo"), "serve"], env=environ, cwd=data.parent)
    try:
        deadline = time.monotonic() + START_S
        while not _is_ready(port):
            assert process.poll() is None and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.2)
        page = httpx2.get(f"http://127.0.0.1:{port}/")
        assert page.status_code == 200 and "/assets/" in page.text, "the console is not served"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


if __name__ == "__main__":
    sys.exit(main())
