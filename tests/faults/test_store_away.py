"""The store is killed, or frozen, under load and comes back: 503 with the right code meanwhile, never a wrong answer,
and everything goes on without a restart (promise 3).

NIJA_TEST_LONG=1: away for 30 s, killed and frozen. Every service is on MongoDB's wire.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nija_common.events.topics import SHARED_TOPICS
from nija_common.testing import mongo
from nija_common.testing.bus_history import history
from nija_common.testing.client import ApiClient
from nija_common.testing.load import Call, Load, counted, percentile
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, run_nija
from nija_common.testing.processes import Server

AWAY_S = 30.0
USERS = 10
WITHIN_S = 10.0
"""Commits give up after 5 s and look for their outcome for another; reads give up after 3."""
BACK_S = 2.0
SETTLED_S = 5.0
"""After this long everything is as before."""
READS = (
    "/api/v1/config/settings",
    "/api/v1/account/history",
    "/api/v1/trading/status",
    "/api/v1/account/stats",
    "/api/v1/subscription/current",
)
"""One of each service that keeps documents."""


class Users:
    """Each has a caller that reads of every service in turn and changes its settings now and then."""

    def __init__(self, url: str) -> None:
        self.clients = [ApiClient(url).register() for _ in range(USERS)]
        self._turns = [itertools.count() for _ in self.clients]

    def following(self, number: int) -> Call:
        client, turn = self.clients[number], next(self._turns[number])
        if turn % 3:
            return Call("GET", READS[turn % len(READS)], client.token)
        body = {"trading": {"max_position_size_usd": 100 + turn}}
        return Call("PUT", "/api/v1/config/settings", client.token, body, (number, 100 + turn))


FAULTS: dict[str, tuple[Callable[[Server], None], Callable[[Server], None]]] = {
    "killed": (Server.kill, Server.start),
    "frozen": (Server.freeze, Server.thaw),
}


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(600)
@only_long("a platform of nine processes, and half a minute away")
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_store_that_is_away_is_said_and_nothing_needs_a_restart(
    tmp_path: Path, kafka_bootstrap: str, private_mongo: Server, namespace: str, fault: str
) -> None:
    take_away, bring_back = FAULTS[fault]
    with Distributed(
        tmp_path,
        kafka=kafka_bootstrap,
        mongo=mongo.url_of(private_mongo.port),
        namespace=namespace,
        env={"NIJA_SPEED": "1"},
    ) as platform:
        users = Users(platform.url)
        with Load(platform.url, USERS, users.following, rate=USERS) as load:
            time.sleep(3.0)
            take_away(private_mongo)
            away = time.monotonic()
            time.sleep(AWAY_S)
            bring_back(private_mongo)
            back = time.monotonic()
            time.sleep(BACK_S + SETTLED_S)
        assert all(process.alive for process in platform.processes.values())
        during = [c for c in load.history if away <= c.begun < back]
        after = [c for c in load.history if c.begun >= back]
        first = min(c.ended for c in after if c.ok) - back
        print(  # noqa: T201 - figures for docs/failures.md
            f"store {fault} {back - away:.1f} s: {counted(during)}, slowest {max(c.seconds for c in during):.1f} s, "
            f"p50 {percentile([c.seconds for c in during], 0.5):.1f} s; first success {first:.2f} s after its return; "
            f"then {counted(after)}"
        )
        failed = [c for c in load.history if not c.ok]
        assert {(c.outcome, c.status, c.code) for c in failed} <= {("answered", 503, "SERVICE_UNAVAILABLE")}, counted(
            failed
        )
        assert any(c.status == 503 for c in during)
        assert all(c.retry_after is not None for c in failed)
        assert max(c.seconds for c in load.history) < WITHIN_S
        assert first < BACK_S
        late = [c for c in after if c.begun > back + SETTLED_S]
        assert late
        assert all(c.ok for c in late), counted(late)
        check(users, load, platform)
        on_bus = asyncio.run(history(kafka_bootstrap, namespace, [t for t in SHARED_TOPICS if t.sequenced]))
        assert not on_bus.problems, on_bus.problems[:5]


def check(users: Users, load: Load, platform: Distributed) -> None:
    """What was acknowledged is there, or something later that was in doubt."""
    for number, client in enumerate(users.clients):
        writes = [c for c in load.history if c.note is not None and c.note[0] == number]
        acknowledged = [c for c in writes if c.ok]
        if not acknowledged:
            continue
        last = acknowledged[-1]
        possible = {last.note[1]} | {c.note[1] for c in writes if c.begun > last.begun}
        found = int(client.ok("GET", "/config/settings")["trading"]["max_position_size_usd"])
        assert found in possible
        client.close()
    parked = run_nija(["parked", "list"], env=platform.env)
    assert (parked.returncode, parked.stdout.strip()) == (0, "no key is parked"), parked.stdout + parked.stderr
