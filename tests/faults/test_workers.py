"""Two trading workers on Kafka and MongoDB's wire: one dies or freezes, the other takes over, and nothing is doubled
(promise 9 for the pool). NIJA_TEST_LONG=1 runs it, and so does `.ci/run`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nija_common.testing.client import ApiClient
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, wait_for

USERS = 4
PATIENCE_S = 120.0
"""MongoDB's wire is slow where the machine is busy; how fast a take-over is, is measured against an undisturbed round."""
LEASE_S = 10.0
"""The pool's default lease: a dead worker's shards are free after it at the latest."""
TAKE_OVER_S = 8.0
"""Then the other looks for free shards every 3 s, and reads what it has taken."""


@pytest.fixture
def platform(tmp_path: Path, kafka_bootstrap: str, mongo_url: str, namespace: str) -> Iterator[Distributed]:
    # In real time no candle closes during the test: no stop ends a position that the test looks for.
    with Distributed(
        tmp_path,
        kafka=kafka_bootstrap,
        mongo=mongo_url,
        namespace=namespace,
        workers=2,
        own_files=True,  # the workers' store is what matters here
        env={"NIJA_SPEED": "1"},
    ) as distributed:
        yield distributed


def trader(platform: Distributed) -> tuple[ApiClient, str]:
    """A user whose bot trades on signals only, and the key of its alerts."""
    user = ApiClient(platform.url).register()
    user.ok("PUT", "/config/settings", {"trading": {"allowed_pairs": ["BTC-USD"]}})
    key = user.ok("POST", "/config/webhook-key")["webhook_key"]
    user.ok("POST", "/trading/start", {"broker": "coinbase", "strategy": "SIGNALS_ONLY"})
    return user, key


def running(user: ApiClient) -> bool:
    return str(user.ok("GET", "/trading/status")["status"]) == "running"


def alert(user: ApiClient, key: str, action: str, name: str) -> str:
    body = {"symbol": "BTC-USD", "action": action, "strategy": "APEX_V72", "api_key": key, "alert_id": name}
    return str(user.ok("POST", "/webhooks/tradingview", body)["trade_id"])


def positions(user: ApiClient) -> list[str]:
    return [p["symbol"] for p in user.ok("GET", "/account/positions")["positions"]]


def settled_trade(user: ApiClient, trade_id: str) -> bool:
    listed = user.ok("GET", "/account/history?per_page=100")["trades"]
    return any(t["trade_id"] == trade_id and t["entry_price"] is not None for t in listed)


def round_of_alerts(users: list[tuple[ApiClient, str]], number: int) -> float:
    """Every user opens and closes once; each trade is there once and closed. Answers in how many seconds all were open."""
    started = time.monotonic()
    opened = [(user, key, alert(user, key, "buy", f"buy-{number}")) for user, key in users]
    for user, _, trade_id in opened:
        wait_for("the alert's trade is open", lambda u=user, t=trade_id: settled_trade(u, t), PATIENCE_S, every=0.5)  # type: ignore[misc]
        # The position's event follows the trade's, and may be read a moment later.
        wait_for("one position is listed", lambda u=user: positions(u) == ["BTC-USD"], PATIENCE_S, every=0.5)  # type: ignore[misc]
    seconds = time.monotonic() - started
    for user, key, _ in opened:
        alert(user, key, "sell", f"sell-{number}")
    for user, _, trade_id in opened:
        wait_for("the position is closed", lambda u=user: not positions(u), PATIENCE_S, every=0.5)  # type: ignore[misc]
        listed = [t["trade_id"] for t in user.ok("GET", "/account/history?status=closed&per_page=100")["trades"]]
        assert listed.count(trade_id) == 1
        assert len(listed) == len(set(listed)) == number
    return seconds


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(600)
@only_long("ten processes")
def test_one_of_two_workers_dies_and_one_freezes_and_no_order_is_doubled(platform: Distributed) -> None:
    users = [trader(platform) for _ in range(USERS)]
    for user, _ in users:
        wait_for("the bot runs", lambda u=user: running(u), PATIENCE_S, every=0.5)  # type: ignore[misc]
    undisturbed = round_of_alerts(users, 1)

    first, second = platform.workers()
    first.kill()
    assert round_of_alerts(users, 2) < undisturbed + LEASE_S + TAKE_OVER_S

    first.start()
    first.wait_ready()
    second.send(signal.SIGSTOP)
    assert round_of_alerts(users, 3) < undisturbed + LEASE_S + TAKE_OVER_S
    second.send(signal.SIGCONT)
    round_of_alerts(users, 4)
    for user, _ in users:
        assert running(user)
        user.close()
    assert first.alive
