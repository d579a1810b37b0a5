"""`octavo …`: the server's verbs run in the server's own program, all others speak HTTP.

Exit codes: 0 it went well; 1 it failed, or the server refused; 2 it cannot be told: a wrong flag, no server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

EXIT_FAILED = 1
EXIT_UNUSABLE = 2

SERVER_VERBS = ("serve", "demo", "worker", "db", "models pull", "openapi")
"""Verbs that the server's program takes, with their flags and help."""


def main() -> None:
    """The entry of the command `octavo`."""
    words = sys.argv[1:]
    if any(words[: len(verb.split())] == verb.split() for verb in SERVER_VERBS):
        _run_server(words)
    from octavo.cli.app import run  # the server's verbs need none of it

    run()


def _run_server(words: Sequence[str]) -> None:
    if find_spec("uvicorn") is None:
        sys.stderr.write('octavo: the server is not installed here: pip install "octavo[server,local]"\n')
        sys.exit(EXIT_UNUSABLE)
    # Takes this process's place: signals and the exit code are the server's own.
    os.execv(sys.executable, [sys.executable, "-m", "octavo_server.main", *words])  # noqa: S606
