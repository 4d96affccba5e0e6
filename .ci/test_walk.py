"""The acceptance walk against every service in a process of its own. `.ci/run` calls this, and walks `nija up` itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nija_common.testing.platforms import Distributed

WALK = Path(__file__).parents[2] / "shared/acceptance/check_api.py"
ADMIN = ("admin@nija.example", "Quiet-Harbour-Lantern-71")


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(400)
def test_the_acceptance_walk_passes_on_kafka_and_mongodbs_wire(
    tmp_path: Path, kafka_bootstrap: str, mongo_url: str, namespace: str
) -> None:
    candles = tmp_path / "candles"
    candles.mkdir()
    subprocess.run([sys.executable, str(WALK), "--write-candles", str(candles)], check=True, timeout=60)
    env = {"NIJA_SPEED": "300", "NIJA_CANDLES": str(candles)}
    with Distributed(tmp_path, kafka=kafka_bootstrap, mongo=mongo_url, namespace=namespace, env=env) as platform:
        platform.create_admin(*ADMIN)
        command = [sys.executable, str(WALK), "--url", platform.url]
        walked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=360)
    assert walked.returncode == 0, walked.stdout[-4000:] + walked.stderr[-2000:]
    assert walked.stdout.rstrip().endswith(", 0 failed")
