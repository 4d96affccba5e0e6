"""Fixtures for Apache Kafka, MongoDB's wire and Stripe's mock: one of each for a whole run, or one for a test alone.

Tests that share a server keep apart by `namespace`. Where a server cannot be had, the test is skipped with
the reason, and the summary says so loudly; with `CI` set it fails instead.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from nija_common.testing import kafka, mongo, stripe_mock
from nija_common.testing.processes import Launch, Server, Unavailable, shared, started

MISSING = "cannot be started here"


def missing(what: str, reason: Unavailable) -> None:
    """Ends the test: skipped, or failed where a skip would hide that nothing was proved."""
    text = f"{what} {MISSING}: {reason}"
    if kafka.in_ci():
        pytest.fail(text)
    pytest.skip(text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if MISSING in str(r.longrepr)]
    if skipped:
        terminalreporter.section("NOT PROVED", red=True, bold=True)
        reasons = {str(r.longrepr[2] if isinstance(r.longrepr, tuple) else r.longrepr) for r in skipped}
        for reason in sorted(reasons):
            terminalreporter.line(reason, red=True)
        terminalreporter.line(f"{len(skipped)} tests were skipped for these reasons.", red=True)


def common_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _shared(what: str, launch: Launch, folder: Path) -> Iterator[int]:
    try:
        with shared(launch, folder) as port:
            yield port
    except Unavailable as reason:
        missing(what, reason)


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of the Kafka that this run shares."""
    given = os.environ.get("NIJA_TEST_KAFKA")
    if given:
        yield given
        return
    for port in _shared("Kafka", kafka.launch, common_folder(tmp_path_factory) / "kafka"):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the replica set that this run shares."""
    given = mongo.given()
    if given:
        yield given
        return
    for port in _shared("MongoDB's wire", mongo.launch, common_folder(tmp_path_factory) / "mongo"):
        yield mongo.url_of(port)


@pytest.fixture(scope="session")
def stripe_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of Stripe's mock that this run shares."""
    given = stripe_mock.given()
    if given:
        yield given
        return
    for port in _shared("Stripe's mock", stripe_mock.launch, common_folder(tmp_path_factory) / "stripe"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def namespace() -> str:
    """A prefix for topics, groups and databases that no other test uses (`NIJA_NAMESPACE`)."""
    return f"t{secrets.token_hex(4)}-"


@pytest.fixture
def private_kafka(tmp_path: Path) -> Iterator[Server]:
    """A broker of this test's own, running: to stop, kill, freeze, and start again on the same port."""
    yield from _private("Kafka", kafka.launch, tmp_path / "kafka")


@pytest.fixture
def private_mongo(tmp_path: Path) -> Iterator[Server]:
    """A MongoDB server of this test's own, running; its URL is `nija_common.testing.mongo.url_of(port)`."""
    yield from _private("MongoDB's wire", mongo.launch, tmp_path / "mongo")


def _private(what: str, launch: Launch, folder: Path) -> Iterator[Server]:
    try:
        server = started(launch, folder)
    except Unavailable as reason:
        missing(what, reason)
        return
    try:
        yield server
    finally:
        server.end()


__all__ = [
    "kafka_bootstrap",
    "mongo_url",
    "namespace",
    "private_kafka",
    "private_mongo",
    "pytest_terminal_summary",
    "stripe_url",
]
