"""Freed memory is kept: asking for it again costs no page faults."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

COLUMNS = """
import sys
import numpy as np, resource
from nija_common.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def columns():
    return [np.ones(12_000) for _ in range(60)]
columns()
before = faults()
for _ in range(10):
    columns()
print(faults() - before)
"""


def _faults(how: str) -> int:
    """Page faults of ten rounds of 6 MB that an eleventh has had before them."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    told = subprocess.run([sys.executable, "-c", COLUMNS, how], check=True, capture_output=True, env=clean, text=True)
    return int(told.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's")
def test_kept_memory_is_used_again_without_faults() -> None:
    given_back, kept = _faults("given back"), _faults("kept")
    assert given_back > 5_000
    assert kept < given_back / 10
