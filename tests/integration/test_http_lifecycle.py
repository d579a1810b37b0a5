"""The server as a process: how it starts, what it says when it cannot, how it ends, what it survives."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
from http_process import environment, free_port, is_alive, run, serving, until

WORKFLOW = Path(__file__).with_name("http_workflow.py")

NEWER_TELEMETRY = """
import sys, pathlib
from octavo_server.stores.telemetry_embedded import EmbeddedTelemetry
engine = EmbeddedTelemetry(pathlib.Path(sys.argv[1]))
engine.run("INSERT INTO octavo_schema (version) VALUES ('traces-9999')")
engine.shut()
"""


def one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_it_starts_serves_and_stops(tmp_path: Path) -> None:
    environ = environment(tmp_path / "data", admin_password="")
    with serving(environ) as server:
        assert "First login: admin@octavo.local with password" in server.greeting[0]
        assert len(server.greeting) == 2
        assert server.get("/readyz").json()["ready"] is True
        assert server.get("/traces").headers["content-type"].startswith("text/html")
        code, errors = server.interrupt()
    assert (code, errors) == (0, "")
    with serving(environ) as server:
        assert len(server.greeting) == 1, "the password is told once"


def test_ctrl_c_ends_the_worker_and_open_streams(tmp_path: Path) -> None:
    with serving(environment(tmp_path)) as server:
        worker = server.worker_pid()
        assert worker is not None
        with httpx.Client(base_url=server.url) as client:
            client.post("/api/v1/session", json={"email": "admin@octavo.local", "password": "correct horse battery"})
            with client.stream("GET", "/api/v1/live") as live:
                assert live.status_code == 200
                code, _ = server.interrupt()
    assert code == 0
    until(lambda: not is_alive(worker))


def test_a_kill_takes_the_worker_along(tmp_path: Path) -> None:
    with serving(environment(tmp_path)) as server:
        worker = server.worker_pid()
        assert worker is not None
        server.process.kill()
        until(lambda: not is_alive(worker))
    with serving(environment(tmp_path)) as server:
        assert server.get("/readyz").status_code == 200


def test_a_dead_worker_is_replaced_and_the_server_goes_on(tmp_path: Path) -> None:
    with serving(environment(tmp_path)) as server:
        first = server.worker_pid()
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: server.get("/healthz").status_code == 200 and server.worker_pid() not in (None, first))
        until(lambda: server.get("/readyz").status_code == 200)
        told = server.api("/api/v1/server").json()
        assert told["worker"]["restarts"] == 1
        assert server.api("/api/v1/projects", method="POST", json={"name": "Still here"}).status_code == 201


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = run("serve", **environment(tmp_path, port=port))
    assert ended.returncode == 1
    assert one_line(ended.stderr) == (
        f"octavo: cannot listen on 127.0.0.1:{port} (Address already in use): stop what listens there, or use --port"
    )


def test_a_locked_folder_is_said_in_one_line(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    with serving(environ) as server:
        ended = run("serve", **{**environ, "OCTAVO_PORT": str(free_port())})
        assert ended.returncode == 1
        assert one_line(ended.stderr) == (
            f"octavo: the data folder {tmp_path} is in use by another Octavo (process {server.process.pid}): "
            "stop it, or use --data-dir"
        )


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run("serve", **environment(tmp_path / "file" / "data"))
    assert ended.returncode == 1
    assert "cannot be used" in one_line(ended.stderr)


def test_a_newer_schema_is_said_in_one_line(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    assert run("db", "migrate", **environ).returncode == 0
    with closing(sqlite3.connect(tmp_path / "octavo.db")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    for verb in (("serve",), ("db", "migrate")):
        ended = run(*verb, **environ)
        assert ended.returncode == 2
        assert "schema 9999" in one_line(ended.stderr)


def test_newer_telemetry_is_said_in_one_line(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    with serving(environ) as server:
        server.interrupt()
    subprocess.run([sys.executable, "-c", NEWER_TELEMETRY, str(tmp_path / "telemetry")], check=True, timeout=60)
    ended = run("serve", **environ)
    assert ended.returncode == 2
    assert "the telemetry store has schema traces-9999" in one_line(ended.stderr)
    assert ended.stdout == ""


def test_a_wrong_setting_is_said_in_one_line(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    for name, value, told in (
        ("OCTAVO_PORT", "http", "expected a whole number"),
        ("OCTAVO_RECORDING", "never", "expected one of batched, strict"),
        ("OCTAVO_SECRET_KEY", "short", "base64"),
        ("OCTAVO_ADMIN_PASSWORD", "short", "8 to 256"),
        ("OCTAVO_CLICKHOUSE_URL", "localhost:8123", "expected http"),
        ("OCTAVO_WORKER", "false", "expected OCTAVO_CLICKHOUSE_URL too"),
    ):
        ended = run("serve", **{**environ, name: value})
        assert ended.returncode in (1, 2), name
        assert told in one_line(ended.stderr)
        assert "Traceback" not in ended.stderr


def test_without_its_control_store_the_gateway_serves_the_last_snapshot(tmp_path: Path) -> None:
    environ = environment(tmp_path)
    away = {**environ, "OCTAVO_DATABASE_URL": f"postgresql://octavo@127.0.0.1:{free_port()}/octavo"}
    ended = run("serve", **away)
    assert ended.returncode == 1
    assert "the control store does not answer" in ended.stderr and "Traceback" not in ended.stderr
    with serving(environ) as server:
        project = server.api("/api/v1/projects", method="POST", json={"name": "Demo"}).json()
        with httpx.Client(base_url=server.url) as client:
            login = client.post(
                "/api/v1/session", json={"email": "admin@octavo.local", "password": "correct horse battery"}
            )
            headers = {"x-octavo-csrf": login.json()["csrf_token"], "x-octavo-project": project["id"]}
            key = client.post(
                "/api/v1/api-keys", json={"name": "app", "environment": "production"}, headers=headers
            ).json()["secret_key"]
        server.interrupt()
    with serving(away) as server:
        bearer = {"authorization": f"Bearer {key}"}
        assert server.get("/v1/models", headers=bearer).json()["object"] == "list"
        refused = server.get("/api/v1/environments", headers=bearer)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        ready = server.get("/readyz")
        assert ready.status_code == 503 and "does not answer" in ready.json()["parts"]["control"]


def test_a_running_server_is_backed_up_and_restored(tmp_path: Path) -> None:
    environ = environment(tmp_path / "data")
    with serving(environ) as server:
        server.api("/api/v1/projects", method="POST", json={"name": "Kept"})
        ended = run("db", "backup", "--with-secret-key", str(tmp_path / "copy"), **environ)
        assert ended.returncode == 0, ended.stderr
    elsewhere = environment(tmp_path / "elsewhere")
    assert run("db", "restore", str(tmp_path / "copy"), **elsewhere).returncode == 0
    with serving(elsewhere) as server:
        assert [one["name"] for one in server.api("/api/v1/projects").json()["data"]] == ["Kept"]


def test_a_workflow_goes_on_where_a_kill_stopped_it(tmp_path: Path) -> None:
    command = [sys.executable, str(WORKFLOW), str(tmp_path)]
    diary = tmp_path / "diary"
    begun = subprocess.Popen([*command, "begin"])
    until(lambda: diary.exists() and "second begun" in diary.read_text())
    begun.kill()
    begun.wait()
    (tmp_path / "go").touch()
    subprocess.run([*command, "resume"], check=True, timeout=60)
    assert diary.read_text().split("\n")[:-1] == ["first", "second begun", "second begun", "second done", "whole"]
