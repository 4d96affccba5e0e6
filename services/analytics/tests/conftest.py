"""Analytics on the embedded platform."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nija_analytics.service import SERVICE
from nija_common.testing import TestPlatform, start_platform
from nija_common.values.clock import ManualClock


@pytest.fixture
async def platform(tmp_path: Path, clock: ManualClock) -> AsyncIterator[TestPlatform]:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as started:
        yield started
