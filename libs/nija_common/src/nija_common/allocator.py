"""The C library's allocator: memory that a short process has touched once is kept for its next use."""

from __future__ import annotations

import ctypes
import sys

KEPT_BYTES = 16 << 20
"""Of freed memory at the heap's end, kept instead of given back; memory that is never touched costs nothing."""

_M_TOP_PAD = -2
"""`mallopt`'s name for it in glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Freed memory stays with the process, which would soon ask for it again and pay a page fault for every 4 KB.

    For a command that reads a file and then computes: what held the file holds the columns. Process-wide, best before
    the first large object. Does nothing where the C library has no such setting (musl, macOS, Windows).
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TOP_PAD, KEPT_BYTES)
