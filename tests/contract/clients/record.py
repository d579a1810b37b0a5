"""Records what clients send: plays each client's program against a stage of models and keeps the OTLP bodies that it
exported, with what would tell of the machine taken out. See README.md.

    python -m tests.contract.clients.record [--venvs FOLDER] NAME …
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.contract.clients.known import CLIENTS, Client
from tests.contract.clients.stage import Scene, Stage, plain_body

HERE = Path(__file__).parent
REQUESTS: dict[str, type[Message]] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
# What of a resource says where it was recorded rather than what was.
OF_THE_MACHINE = re.compile(r"^(process|host|os|container|thread|code)\.|^service\.instance\.id$")
LONG_TRACE = 600


def main() -> None:
    """Records the named clients, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--venvs", type=Path, default=Path.home() / ".cache/octavo-clients", help="folder of the clients' environments"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="clients; all when none is named")
    given = parser.parse_args()
    if unknown := set(given.names) - set(CLIENTS):
        parser.error(f"unknown clients {sorted(unknown)}; there are {sorted(CLIENTS)}")
    failed = [name for name in given.names or CLIENTS if not record(name, given.venvs)]
    if failed:
        raise SystemExit(f"not recorded: {', '.join(failed)}")


def record(name: str, venvs: Path) -> bool:
    """Plays one client and keeps its recording; False, with the reason on standard error, when it does not run."""
    client = CLIENTS[name]
    owner = CLIENTS[client.venv] if client.venv else client
    where = (venvs / ("node" if client.node else client.venv or name)).resolve()
    try:
        command = _node(owner, where) if client.node else _python(owner, where)
    except subprocess.CalledProcessError as error:
        print(f"{name}: cannot be installed: {error}", file=sys.stderr)
        return False
    stage = Stage()
    try:
        played = subprocess.run(
            [*command, str(HERE / "programs" / client.program), *client.arguments],
            env=_environ(stage.url, client),
            cwd=where,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        stage.close()
    if played.returncode:
        print(f"{name}: {played.stdout[-1500:]}\n{played.stderr[-3000:]}", file=sys.stderr)
        return False
    folder = HERE / "recorded" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recording = {
        "program": " ".join((client.program, *client.arguments)),
        "environ": client.environ,
        "versions": _versions(owner, where, node=client.node),
        # What comes between two scenes is of no scene.
        "scenes": {one.name: _scene(one, folder, where) for one in stage.scenes if one.name not in BETWEEN},
    }
    (folder / "recording.json").write_text(json.dumps(recording, indent=1) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: {', '.join(recording['scenes'])}; {size >> 10} KiB")
    return True


BETWEEN = ("before", "between")


def _python(client: Client, where: Path) -> list[str]:
    python = where / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *client.packages], check=True)
    return [str(python)]


def _node(client: Client, where: Path) -> list[str]:
    where.mkdir(parents=True, exist_ok=True)
    missing = [name for name in client.packages if not (where / "node_modules" / name).exists()]
    if missing:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *missing], cwd=where, check=True)
    return ["node"]


def _environ(url: str, client: Client) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {
        **kept,
        "STAGE_URL": url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20sk-oct-stage",
        "LANGFUSE_BASE_URL": url,
        "LANGFUSE_PUBLIC_KEY": "pk-oct-stage",
        "LANGFUSE_SECRET_KEY": "sk-oct-stage",
        "OPENAI_API_KEY": "sk-stage",
        "OPENAI_BASE_URL": f"{url}/v1",
        **client.environ,
    }


def _versions(client: Client, where: Path, *, node: bool) -> dict[str, str]:
    if node:
        packages = {name: where / "node_modules" / name / "package.json" for name in client.packages}
        return {name: json.loads(path.read_text())["version"] for name, path in packages.items()}
    names = [re.split(r"[=<>\[]", name)[0] for name in client.packages]
    program = "import sys, importlib.metadata as m; print(*(m.version(n) for n in sys.argv[1:]))"
    python = str(where / "bin/python")
    told = subprocess.run([python, "-c", program, *names], check=True, capture_output=True, text=True)
    return dict(zip(names, told.stdout.split(), strict=True))


def _scene(scene: Scene, folder: Path, venv: Path) -> dict[str, Any]:
    sent = []
    for path, kind, encoding, body in scene.exported:
        signal = path.rpartition("/")[2]
        if signal == "metrics":
            continue
        form = "json" if "json" in kind else "pb"
        name = f"{scene.name}-{len(sent) + 1}.{signal}.{form}.gz"
        (folder / name).write_bytes(gzip.compress(clean(plain_body(encoding, body), signal, form, str(venv)), mtime=0))
        sent.append({"path": path, "type": kind, "body": name})
    served = {"models": scene.served, "input_tokens": scene.input_tokens, "output_tokens": scene.output_tokens}
    return {"served": served, "sent": sent}


def clean(body: bytes, signal: str, form: str, venv: str) -> bytes:
    """The same request without what tells of the machine that it was recorded on."""
    if form == "json":
        return json.dumps(_cleaned(json.loads(body), venv)).encode()
    request = REQUESTS[signal]()
    request.ParseFromString(body)
    return ParseDict(_cleaned(MessageToDict(request), venv), REQUESTS[signal]()).SerializeToString()


def _cleaned(told: Any, venv: str) -> Any:
    if isinstance(told, str):
        if venv not in told and "Traceback (most recent" not in told and str(HERE) not in told:
            return told
        told = told.replace(venv, "/app").replace(str(HERE), "/app")
        return told if len(told) <= LONG_TRACE else f"{told[:LONG_TRACE]} …"
    if isinstance(told, list):
        kept = [one for one in told if not (isinstance(one, dict) and OF_THE_MACHINE.match(str(one.get("key", ""))))]
        return [_cleaned(one, venv) for one in kept]
    if isinstance(told, dict):
        return {name: _cleaned(one, venv) for name, one in told.items()}
    return told


if __name__ == "__main__":
    main()
