"""The long run (`NIJA_TEST_LONG=1`): what takes minutes, and as many rounds as there is time for."""

from __future__ import annotations

import os

import pytest

LONG = os.environ.get("NIJA_TEST_LONG") == "1"


def only_long(why: str) -> pytest.MarkDecorator:
    """Leaves a test, or a parameter, to the long run; `why` says what it takes."""
    return pytest.mark.skipif(not LONG, reason=f"NIJA_TEST_LONG=1 runs it: {why}")
