"""Kafka is killed under a stream of commands and started again: nothing acknowledged is lost, the backlog is gone in
time, reads never stop (promise 1).

Commands are alerts (trading, on MongoDB's wire) and settings (accounts; like all services but trading on an SQLite
file of its own, because the wire carries only some 300 writes a second). NIJA_TEST_LONG=1: 60 s at 50 commands a second.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from nija_cli.services import SERVICES
from nija_common.bus.kafka import KafkaBus
from nija_common.events.topics import SHARED_TOPICS, Topic
from nija_common.testing import mongo
from nija_common.testing.bus_history import ends, history, lag
from nija_common.testing.client import ApiClient
from nija_common.testing.load import Call, Load, counted, percentile
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, run_nija, wait_for
from nija_common.testing.processes import Server

AWAY_S = 60.0
SETTINGS_A_SECOND = 45.0
ALERTS_A_SECOND = 5.0
READS_A_SECOND = 10.0
SETTERS = 110
"""While the bus is away a change of settings waits 2 s for it: so many callers keep up the rate."""
TRADERS = 12
BACKLOG_S = 30.0
"""The promise, for a machine that has nothing else to do."""
READ_WITHIN_S = 10.0
BUSY_SHARE = 0.02
"""Of the commands; the wire of a busy machine may be too slow for one, which is said with a 503."""
GROUPS: dict[str, list[Topic]] = {
    service.group(name): [s.topic for s in role.subscriptions if not s.broadcast]
    for service in SERVICES
    for name, role in service.roles.items()
    if any(not s.broadcast for s in role.subscriptions)
}
SEQUENCED = [topic for topic in SHARED_TOPICS if topic.sequenced]


@dataclass
class User:
    """One user and what the platform has acknowledged; only one caller speaks for it, so its calls have an order."""

    client: ApiClient
    key: str = ""
    size: int = 0
    in_doubt: set[int] = field(default_factory=set)
    trades: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    last: Call | None = None

    def settle(self) -> None:
        """Takes in what became of the last call."""
        call = self.last
        if call is None or call.note is None:
            return
        if isinstance(call.note, int):
            if call.ok:
                self.size, self.in_doubt = call.note, set()
            elif call.status < 500 and call.outcome == "answered":
                self.in_doubt.discard(call.note)
        elif call.ok:
            self.trades[call.note] = call.data["trade_id"]

    def setting(self) -> Call:
        self.settle()
        self.sent += 1
        self.in_doubt.add(100 + self.sent)
        body = {"trading": {"max_position_size_usd": 100 + self.sent}}
        self.last = Call("PUT", "/api/v1/config/settings", self.client.token, body, 100 + self.sent)
        return self.last

    def alert(self) -> Call:
        self.settle()
        self.sent += 1
        name = f"{self.client.user_id}-{self.sent}"
        body = {
            "symbol": "BTC-USD",
            "action": "buy" if self.sent % 2 else "sell",
            "strategy": "APEX_V72",
            "api_key": self.key,
            "alert_id": name,
        }
        self.last = Call("POST", "/api/v1/webhooks/tradingview", None, body, name)
        return self.last

    def read(self) -> Call:
        return Call("GET", "/api/v1/account/history?per_page=1", self.client.token)


def setter(platform: Distributed) -> User:
    return User(ApiClient(platform.url).register())


def trader(platform: Distributed) -> User:
    user = setter(platform)
    user.client.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"]}})
    user.key = user.client.ok("POST", "/config/webhook-key")["webhook_key"]
    user.client.ok("POST", "/trading/start", {"broker": "coinbase", "strategy": "SIGNALS_ONLY"})
    return user


def trades_of(user: User) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    page, more = 1, True
    while more:
        data = user.client.ok("GET", f"/account/history?per_page=100&page={page}")
        found += data["trades"]
        page, more = page + 1, data["pagination"]["has_next"]
    return found


async def until_applied(kafka: str, namespace: str, *, seconds: float) -> float:
    """In how many seconds every group has committed what was on the bus at the start of its look."""
    began = time.monotonic()
    async with KafkaBus.open(kafka, namespace=namespace) as bus:
        upto = await ends(bus, SHARED_TOPICS)
        while await lag(bus, GROUPS, upto) != 0:
            assert time.monotonic() < began + seconds, "consumers have not caught up"
            await asyncio.sleep(0.1)
    return time.monotonic() - began


def outbox_ages(platform: Distributed) -> dict[str, float]:
    """The age of the oldest event that is not on the bus yet, by service, in seconds."""
    found: dict[str, float] = {}
    for process in platform.processes.values():
        for line in httpx.get(process.wait_ready() + "/metrics").text.splitlines():
            if line.startswith("nija_outbox_age_seconds{"):
                service = line.split('"')[1]
                found[service] = max(found.get(service, 0.0), float(line.split()[-1]))
    return found


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(900)
@only_long("minutes")
def test_commands_survive_a_bus_that_is_away(
    tmp_path: Path, private_kafka: Server, private_mongo: Server, namespace: str
) -> None:
    kafka = f"127.0.0.1:{private_kafka.port}"
    with Distributed(
        tmp_path,
        kafka=kafka,
        mongo=mongo.url_of(private_mongo.port),
        namespace=namespace,
        own_files=True,
        env={"NIJA_SPEED": "1", "NIJA_METRICS_PORT": "-1"},
    ) as platform:
        setters = [setter(platform) for _ in range(SETTERS)]
        traders = [trader(platform) for _ in range(TRADERS)]
        for user in traders:
            wait_for("the bot runs", lambda u=user: u.client.ok("GET", "/trading/status")["status"] == "running")  # type: ignore[misc]
        reading = [*setters, *traders]
        turn = iter(range(1 << 30))
        with (
            Load(platform.url, 20, lambda _: reading[next(turn) % len(reading)].read(), rate=READS_A_SECOND) as reads,
            Load(platform.url, SETTERS, lambda n: setters[n].setting(), rate=SETTINGS_A_SECOND) as settings,
            Load(platform.url, TRADERS, lambda n: traders[n].alert(), rate=ALERTS_A_SECOND) as alerts,
        ):
            time.sleep(3.0)
            private_kafka.kill()
            away = time.monotonic()
            time.sleep(AWAY_S)
            backlog = outbox_ages(platform)
            private_kafka.start()
            back = time.monotonic()
            # The load goes on: gone is what had come before.
            wait_for("outboxes are empty of old events", lambda: max(outbox_ages(platform).values()) < 1.0, BACKLOG_S)
            asyncio.run(until_applied(kafka, namespace, seconds=BACKLOG_S))
            drained = time.monotonic()
        assert all(process.alive for process in platform.processes.values())
        commands = [*settings.history, *alerts.history]
        during = [c for c in commands if away < c.begun < back]
        read = [c for c in reads.history if c.begun > away - 1]
        print(  # noqa: T201 - figures for docs/failures.md
            f"Kafka away {back - away:.1f} s, {len(during)} commands ({len(during) / (back - away):.0f}/s): "
            f"{counted(during)}; backlog {max(backlog.values()):.1f} s old, gone after {drained - back:.1f} s; "
            f"reads {counted(read)} p99 {percentile([c.seconds for c in read], 0.99):.2f} s, "
            f"commands p99 {percentile([c.seconds for c in during], 0.99):.2f} s"
        )
        assert {c.status for c in read} == {200}, counted(read)
        assert max(c.seconds for c in read) < READ_WITHIN_S
        # A bus that is away refuses nothing that only has to be kept.
        refused = [c for c in commands if not c.ok]
        assert {(c.status, c.code) for c in refused} <= {(503, "SERVICE_UNAVAILABLE")}, counted(commands)
        assert len(refused) <= BUSY_SHARE * len(commands), counted(commands)
        assert max(backlog.values()) > AWAY_S / 2, "events waited in an outbox, and its age said so"
        assert drained - back < BACKLOG_S

        asyncio.run(until_applied(kafka, namespace, seconds=60.0))
        check(platform, setters, traders, kafka, namespace)


def check(platform: Distributed, setters: list[User], traders: list[User], kafka: str, namespace: str) -> None:
    """Nothing acknowledged is lost, nothing is there twice, and read models have what the owners have."""
    for user in setters:
        user.settle()
        found = int(user.client.ok("GET", "/config/settings")["trading"]["max_position_size_usd"])
        assert found in {user.size, *user.in_doubt}
    for user in traders:
        user.settle()
        wait_for("every trade has ended", lambda u=user: all(t["opened_at"] for t in trades_of(u)))  # type: ignore[misc]
        listed = [str(t["trade_id"]) for t in trades_of(user)]
        assert len(listed) == len(set(listed)), "a trade is listed twice"
        assert set(user.trades.values()) <= set(listed), "acknowledged and gone"
        assert len(listed) <= user.sent
        positions = [p["symbol"] for p in user.client.ok("GET", "/account/positions")["positions"]]
        assert len(positions) == len(set(positions))
    on_bus = asyncio.run(history(kafka, namespace, SEQUENCED))
    assert not on_bus.problems, on_bus.problems[:5]
    print(f"events on the bus: {on_bus.events}, repeated: {on_bus.repeated}")  # noqa: T201
    parked = run_nija(["parked", "list"], env=platform.env)
    assert (parked.returncode, parked.stdout.strip()) == (0, "no key is parked"), parked.stdout + parked.stderr
