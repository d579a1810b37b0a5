"""What a process does with its memory once it has started."""

from __future__ import annotations

import ctypes
import gc
import sys


def settle() -> None:
    """After start-up: what is here stays, so the collector need not look at it again, and what start-up alone needed
    goes back to the machine (glibc keeps it otherwise, some 20 MB)."""
    gc.collect()
    gc.freeze()
    # A request leaves next to nothing in cycles: at the default of 700 a busy server would look for them every few.
    gc.set_threshold(20_000, 20, 20)
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)
