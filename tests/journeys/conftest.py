"""The whole platform of both kinds for the same test code: `nija up`, and a process a service on Kafka and MongoDB's wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, Embedded

SPEED = "7200"


@pytest.fixture(
    params=[
        "embedded",
        pytest.param(
            "distributed",
            marks=[
                pytest.mark.kafka,
                pytest.mark.mongo,
                only_long("minutes"),
            ],
        ),
    ],
)
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Embedded | Distributed]:
    """A running platform that replays the bundled candles."""
    if request.param == "embedded":
        with Embedded(tmp_path, options=["--market", "replay", "--speed", SPEED]) as embedded:
            yield embedded
        return
    kafka = request.getfixturevalue("kafka_bootstrap")
    mongo = request.getfixturevalue("mongo_url")
    namespace = request.getfixturevalue("namespace")
    with Distributed(tmp_path, kafka=kafka, mongo=mongo, namespace=namespace, env={"NIJA_SPEED": SPEED}) as distributed:
        yield distributed
