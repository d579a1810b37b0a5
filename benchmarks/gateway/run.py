"""Octavo beside a bare pass-through and the model server itself, in turn, so that a busy machine slows them alike.

python benchmarks/gateway/run.py [--rounds 3] [--seconds 5] [--connections 16] [--also NAME=URL=KEY …]

Needs wrk. Everything is on: keys, cost, and a span of every call, which are counted in the store at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

HERE = Path(__file__).parent
EMAIL, PASSWORD = "admin@octavo.local", "correct horse battery staple"
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Peer(NamedTuple):
    """Something that answers chat completions."""

    name: str
    url: str
    key: str
    pid: int = 0


class Figure(NamedTuple):
    """One round of one peer."""

    requests: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of its process, a request
    failed: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(*command: str, port: int, **environ: str) -> Iterator[int]:
    """Runs a server until the block ends; gives its process id once its port answers."""
    started = subprocess.Popen(command, env={**os.environ, **environ}, cwd=HERE, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.1)
        yield started.pid
    finally:
        started.terminate()
        started.wait(30)


def set_up(url: str, upstream: str) -> tuple[httpx.Client, str]:
    """A project whose models are served by `upstream`, as the API makes one: the session and a key."""
    http = httpx.Client(base_url=f"{url}/api/v1", timeout=30)
    for _ in range(300):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                break
        time.sleep(0.1)

    def post(path: str, body: dict[str, object]) -> dict[str, str]:
        answer = http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()  # type: ignore[no-any-return]

    http.headers["X-Octavo-CSRF"] = post("/session", {"email": EMAIL, "password": PASSWORD})["csrf_token"]
    http.headers["X-Octavo-Project"] = post("/projects", {"name": "bench"})["slug"]
    connection = {"name": "upstream", "provider": "openai_compatible", "base_url": f"{upstream}/v1"}
    post("/connections", {**connection, "secret": "sk-upstream", "is_default": True, "prices_as": "openai"})
    return http, post("/api-keys", {"name": "bench", "environment": "production"})["secret_key"]


def cpu_s(pid: int) -> float:
    """Time that a process and the children it waits for have had."""
    if not pid:
        return 0.0
    pids = [pid]
    with contextlib.suppress(OSError):
        pids += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    ticks = 0
    for one in pids:
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(peer: Peer, *, stream: bool, connections: int, seconds: int) -> Figure:
    before = cpu_s(peer.pid)
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(HERE / "post.lua"),
         f"{peer.url}/v1/chat/completions"],
        env={**os.environ, "BENCH_KEY": peer.key, "BENCH_STREAM": str(int(stream))},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    used = cpu_s(peer.pid) - before

    def found(pattern: str) -> str:
        match = re.search(pattern, said)
        return match[1] if match else "0"

    def milliseconds(percent: int) -> float:
        match = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", said)
        return float(match[1]) * _UNITS[match[2]] if match else 0.0

    requests = int(found(r"(\d+) requests in"))
    return Figure(
        requests=requests,
        per_s=float(found(r"Requests/sec:\s+([\d.]+)")),
        p50_ms=milliseconds(50),
        p99_ms=milliseconds(99),
        cpu_us=used / max(requests, 1) * 1e6,
        failed=int(found(r"Non-2xx or 3xx responses: (\d+)")),
    )


def compare(peers: list[Peer], *, stream: bool, connections: int, seconds: int, rounds: int) -> None:
    """Prints the medians."""
    figures: dict[str, list[Figure]] = {peer.name: [] for peer in peers}
    for peer in peers:
        measure(peer, stream=stream, connections=connections, seconds=1)
    for _ in range(rounds):
        for peer in peers:
            figures[peer.name].append(measure(peer, stream=stream, connections=connections, seconds=seconds))
    print(f"\n{'streamed' if stream else 'plain'}, connections: {connections}, rounds: {rounds} of {seconds} s")
    print(f"{'':10} {'req/s':>8} {'of bare':>8} {'p50 ms':>8} {'p99 ms':>8} {'cpu us/req':>11} {'failed':>7}")
    bare = figures["bare"]
    for name, rows in figures.items():
        # The ratio within a round is steadier than the rates of different rounds.
        ratio = statistics.median(row.per_s / beside.per_s for row, beside in zip(rows, bare, strict=True))
        per_s, p50, p99, cpu = (statistics.median(row[column] for row in rows) for column in (1, 2, 3, 4))
        failed = sum(row.failed for row in rows)
        print(f"{name:10} {per_s:8.0f} {ratio:8.0%} {p50:8.2f} {p99:8.2f} {cpu:11.0f} {failed:7}")


def stored(http: httpx.Client) -> int:
    """Spans in the store, once nothing is on its way there."""
    for _ in range(600):
        if http.get("/accounting").json()["pending"] == 0:
            break
        time.sleep(0.2)
    return int(http.get("/metrics/count").json()["spans"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--also", action="append", default=[], metavar="NAME=URL=KEY", help="a gateway that runs")
    parser.add_argument("--upstream-port", type=int, default=0, help="of the model server; 0: any")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory())
        ports = [given.upstream_port or free_port(), free_port(), free_port()]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        stack.enter_context(process(sys.executable, "upstream.py", str(ports[0]), port=ports[0]))
        granian = (sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--log-level", "error")
        bare_pid = stack.enter_context(
            process(*granian, "--port", str(ports[1]), "bare:app", port=ports[1], BENCH_UPSTREAM=urls[0])
        )
        octavo_pid = stack.enter_context(
            process(
                sys.executable, "-m", "octavo_server.main", "serve", port=ports[2],
                OCTAVO_PORT=str(ports[2]), OCTAVO_DATA_DIR=data,
                OCTAVO_ADMIN_EMAIL=EMAIL, OCTAVO_ADMIN_PASSWORD=PASSWORD,
            )
        )  # fmt: skip
        http, key = set_up(urls[2], urls[0])
        peers = [
            Peer("upstream", urls[0], ""),
            Peer("bare", urls[1], "", bare_pid),
            Peer("octavo", urls[2], key, octavo_pid),
            *(Peer(*one.split("=", 2)) for one in given.also),
        ]
        for stream in (False, True):
            for connections in (given.connections, 1):
                compare(peers, stream=stream, connections=connections, seconds=given.seconds, rounds=given.rounds)
        accounting = http.get("/accounting").json()
        spans = stored(http)
        accounting = http.get("/accounting").json()
        print(f"\naccepted {accounting['accepted']}, dropped {accounting['dropped']}, spans in the store {spans}")


if __name__ == "__main__":
    main()
