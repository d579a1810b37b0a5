"""What the tests of Langfuse's SDKs do alike."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

from langfuse.api.core import ApiError

from tests.e2e.stack import Stack

Read = Callable[[], Any]


def soon(read: Read, wanted: Callable[[Any], bool] = bool) -> Any:
    """What `read` gives once it is as wanted; the SDK only knows that it was accepted."""
    deadline = time.monotonic() + 15
    while True:
        try:
            found = read()
        except ApiError:
            found = None
        if (found is not None and wanted(found)) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def run(program: str, stack: Stack, key: dict[str, str], **environ: str) -> subprocess.CompletedProcess[str]:
    """A Python program of its own: Langfuse's client is one for each process."""
    return execute([sys.executable, "-c", textwrap.dedent(program)], stack, key, **environ)


def execute(command: list[str], stack: Stack, key: dict[str, str], **environ: str) -> subprocess.CompletedProcess[str]:
    """A program that finds Octavo in its environment as it would find Langfuse and OpenAI."""
    environ = {
        **os.environ,
        "LANGFUSE_BASE_URL": stack.url,
        "LANGFUSE_PUBLIC_KEY": key["public_key"],
        "LANGFUSE_SECRET_KEY": key["secret_key"],
        "OPENAI_API_KEY": key["secret_key"],
        "OPENAI_BASE_URL": f"{stack.url}/v1",
        **environ,
    }
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
