"""Starts `octavo serve` on an empty folder and runs an OTLP load generator against it; prints what the generator
prints, and the processor time and memory that the server's processes took."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

PASSWORD = "correct horse battery"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", type=Path, default=os.environ.get("OCTAVO_BENCH_LOAD"), help="the load generator")
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1, help="how often the spans are sent, one time after another")
    parser.add_argument("--port", type=int, default=4695)
    options = parser.parse_args()
    if not options.load:
        parser.error("--load (or OCTAVO_BENCH_LOAD) names the load generator")
    url = f"http://127.0.0.1:{options.port}"
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "OCTAVO_DATA_DIR": folder,
            "OCTAVO_PORT": str(options.port),
            "OCTAVO_ADMIN_PASSWORD": PASSWORD,
        }
        server = subprocess.Popen([sys.executable, "-m", "octavo_server.main", "serve"], env=environ)
        try:
            wait_ready(url)
            key = make_key(url)
            for _ in range(options.rounds):
                before = usage(server.pid)
                header = f"authorization: Bearer {key}"
                command = [sys.executable, str(options.load), "octavo", url, "--spans", str(options.spans)]
                subprocess.run([*command, "--header", header], check=True)
                for name, (seconds, memory) in usage(server.pid).items():
                    spent = seconds - before.get(name, (0.0, 0))[0]
                    print(
                        f"  {name}: {spent / options.spans * 1e6:.0f} us of processor a span, {memory >> 20} MB resident"
                    )
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


def wait_ready(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server was not ready within 30 seconds")


def make_key(url: str) -> str:
    with httpx.Client(base_url=f"{url}/api/v1") as client:
        login = client.post("/session", json={"email": "admin@octavo.local", "password": PASSWORD}).json()
        client.headers["X-Octavo-CSRF"] = login["csrf_token"]
        client.headers["X-Octavo-Project"] = client.post("/projects", json={"name": "bench"}).json()["slug"]
        made = client.post("/api-keys", json={"name": "bench", "environment": "production"})
        return str(made.raise_for_status().json()["secret_key"])


def usage(pid: int) -> dict[str, tuple[float, int]]:
    """Processor seconds and resident bytes of the server's processes."""
    main_process = psutil.Process(pid)
    found = {"main": main_process, **{f"worker {child.pid}": child for child in main_process.children()}}
    return {name: (sum(process.cpu_times()[:2]), process.memory_info().rss) for name, process in found.items()}


if __name__ == "__main__":
    main()
