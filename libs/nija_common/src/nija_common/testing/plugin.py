"""The pytest plugin: fixtures that every package's tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from nija_common.telemetry.logging import configure_logging
from nija_common.testing.fixtures_infra import (
    kafka_bootstrap,
    mongo_url,
    namespace,
    private_kafka,
    private_mongo,
    pytest_terminal_summary,
)
from nija_common.values.clock import ManualClock

__all__ = [
    "clock",
    "kafka_bootstrap",
    "mongo_url",
    "namespace",
    "private_kafka",
    "private_mongo",
    "pytest_terminal_summary",
    "shared_folder",
]


def pytest_configure() -> None:
    """Logs of the code under test are the product's own lines."""
    configure_logging("warning")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test advances it."""
    return ManualClock()


@pytest.fixture(scope="session")
def shared_folder(pytestconfig: pytest.Config) -> Path:
    """The folder with the contract and real candles beside the checkout; the test is skipped where it is absent."""
    folder = pytestconfig.rootpath.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder with the contract and real candles is not beside this checkout: not compared with it")
    return folder
