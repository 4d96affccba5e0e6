"""The pytest plugin: fixtures that every package's tests may use."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from nija_common.telemetry.logging import configure_logging
from nija_common.testing.fixtures_infra import (
    kafka_bootstrap,
    mongo_url,
    namespace,
    private_kafka,
    private_mongo,
    pytest_terminal_summary,
    stripe_url,
)
from nija_common.values.clock import ManualClock

if TYPE_CHECKING:
    from nija_common.testing.exchange import RunningExchange

__all__ = [
    "clock",
    "fake_exchange",
    "kafka_bootstrap",
    "lost_sockets_are_collected",
    "mongo_url",
    "namespace",
    "private_kafka",
    "private_mongo",
    "pytest_terminal_summary",
    "shared_folder",
    "stripe_url",
]


def pytest_configure() -> None:
    """Logs of the code under test are the product's own lines."""
    configure_logging("warning")
    # How fast the machine makes an input says nothing about the code under test.
    settings.register_profile("nija", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("nija")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """PyMongo loses the socket of a connection that is cancelled while it is made, also when a client closes;
    garbage collection closes it and warns. In the tests that talk to MongoDB this is no failure."""
    ignored = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
    for item in items:
        if loses_sockets(item):
            item.add_marker(pytest.mark.filterwarnings(ignored))


def pytest_collection_finish() -> None:
    """What all test modules have imported stays to the end: garbage collection need not walk it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def lost_sockets_are_collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """So that such a warning belongs to the test that caused it, and to no later one."""
    yield
    if loses_sockets(request.node):
        gc.collect()


def loses_sockets(item: pytest.Item) -> bool:
    """Tests of MongoDB, and those that drive a running platform through clients which are cut off on purpose."""
    return (
        item.get_closest_marker("mongo") is not None
        or {"api", "sdks", "faults", "journeys"} & set(item.path.parts) != set()
    )


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test advances it."""
    return ManualClock()


@pytest.fixture
def fake_exchange() -> Iterator[RunningExchange]:
    """A fake exchange of this test's own, over real HTTP; without markets, keys and faults."""
    from nija_common.testing.exchange import run_exchange

    with run_exchange() as running:
        yield running


@pytest.fixture(scope="session")
def shared_folder(pytestconfig: pytest.Config) -> Path:
    """The folder with the contract and real candles beside the checkout; the test is skipped where it is absent."""
    folder = pytestconfig.rootpath.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder with the contract and real candles is not beside this checkout: not compared with it")
    return folder
