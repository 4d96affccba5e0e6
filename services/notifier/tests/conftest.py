"""Notifier on the embedded platform, its sockets behind a real server on a free port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nija_common.testing import TestPlatform, start_platform
from nija_common.testing.sockets import SocketServer, socket_server
from nija_common.values.clock import ManualClock
from nija_notifier.service import SERVICE


@pytest.fixture
async def platform(tmp_path: Path, clock: ManualClock) -> AsyncIterator[TestPlatform]:
    async with start_platform(tmp_path, [SERVICE], clock=clock) as started:
        yield started


@pytest.fixture
async def server(platform: TestPlatform) -> AsyncIterator[SocketServer]:
    async with socket_server(platform, "notifier") as started:
        yield started
