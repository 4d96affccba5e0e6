"""Four workers and 200 paper bots on replayed candles: one is killed, one is added, all are restarted one after another.

Nothing is lost or doubled: when the candles are over, every bot has exactly the fills of the backtest over the same
candles. Trading is on MongoDB's wire, the other services on SQLite files of their own. NIJA_TEST_LONG=1 runs it; what
two workers do in short is in `test_workers.py`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from nija_common.events.preferences import TradingSettings
from nija_common.events.topics import SHARED_TOPICS
from nija_common.storage.mongo import MongoServer
from nija_common.testing import mongo
from nija_common.testing.bus_history import history
from nija_common.testing.client import ApiClient
from nija_common.testing.long_run import only_long
from nija_common.testing.platforms import Distributed, NijaProcess, run_nija, wait_for
from nija_common.testing.processes import Server
from nija_common.values.shards import PARTITIONS
from nija_common.values.tiers import registration_defaults
from nija_trading.adapters.candle_files import bundled_folder, load_file, load_folder
from nija_trading.domain.apex.parameters import PROFILES, Parameters, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.matching.codec import fill_to
from nija_trading.domain.matching.terms import COINBASE
from nija_trading.domain.records import PAPER_CASH, Order, PaperAccount, Position, Trade
from nija_trading.domain.standing import limits_of

BOTS = int(os.environ.get("NIJA_TEST_BOTS", "200"))
WORKERS = 4
STEP_S = 3.0
FIRST, CANDLES = 17_190, 160
"""Of the bundled candles: the first entry is 23 steps after the start, so every bot starts before it; 15 orders follow."""
PATIENCE_S = 900.0
SETTINGS = {"allowed_pairs": ["BTC-USD"]}


def write_candles(folder: Path) -> Path:
    candles = load_file(bundled_folder() / "BTC-USD_1h.csv.gz", "1h").slice(FIRST, FIRST + CANDLES)
    rows = [",".join(map(repr, candle)) for candle in candles]
    folder.mkdir()
    (folder / "BTC-USD_1h.csv").write_text("\n".join(["timestamp_ms,open,high,low,close,volume", *rows]) + "\n")
    return folder


def backtest(folder: Path) -> Simulation:
    limits = limits_of(TradingSettings.model_validate(SETTINGS), registration_defaults(0)[0])
    rules = Rulebook(Parameters(), PROFILES[RiskLevel.HIGH], limits, COINBASE)
    return simulate(load_folder(folder), rules, PAPER_CASH, ["BTC-USD"])


def gauge(process: NijaProcess, name: str) -> float:
    """A metric of a running worker."""
    for line in httpx.get(process.wait_ready() + "/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[-1])
    return 0.0


def whole(workers: Sequence[NijaProcess]) -> bool:
    """Whether the workers hold every shard, each with a fair share, and step every bot."""
    held = [gauge(worker, "nija_shards_held") for worker in workers]
    bots = sum(gauge(worker, "nija_bots_running") for worker in workers)
    return sum(held) == PARTITIONS and max(held) <= -(-PARTITIONS // len(workers)) and bots == BOTS


def seconds_until_whole(workers: Sequence[NijaProcess], since: float) -> float:
    wait_for("every shard and bot has a worker", lambda: whole(workers), PATIENCE_S, every=0.1)
    return time.monotonic() - since


def bare(fill: Mapping[str, Any]) -> tuple[Any, ...]:
    """A fill without the order's id, the market's time first."""
    return tuple(v for name, v in sorted(fill.items(), key=lambda i: i[0] != "market_time") if name != "order_id")


async def check_store(url: str, namespace: str, users: Sequence[str], expected: Simulation) -> None:
    """Every bot has exactly the backtest's fills, cash and open positions, and no order that is not over."""
    closed = sorted([bare(fill_to(f)) for f in t.fills] for t in expected.trades)
    still_open = sorted([bare(fill_to(f)) for f in t.fills] for t in expected.open_trades)
    held = {trade.position.symbol: trade.position.quantity for trade in expected.open_trades}
    async with MongoServer.open(url, namespace=namespace) as server:
        storage = server.storage("trading-engine")
        for user in users:
            trades = (await storage.find(Trade, "by_user", (user,), limit=1_000)).items
            assert sorted([bare(f) for f in t.fills] for t in trades if t.status == "closed") == closed, user
            assert sorted([bare(f) for f in t.fills] for t in trades if t.status == "open") == still_open, user
            orders = [fill["order_id"] for trade in trades for fill in trade.fills]
            assert len(orders) == len(set(orders)) == expected.orders
            positions = (await storage.find(Position, "by_user", (user,), limit=100)).items
            assert {p.symbol: p.value.quantity for p in positions} == held, user
            assert not (await storage.find(Order, "by_user", (user, True), limit=10)).items
            book = await storage.get(PaperAccount, f"{user}/coinbase")
            assert book is not None
            assert book.book["cash"] == expected.book.cash


def started_bot(platform: Distributed) -> ApiClient:
    """A user with APEX on paper. Without a worker the bot waits for one."""
    user = ApiClient(platform.url).register()
    user.ok("PUT", "/config/settings", {"trading": SETTINGS})
    start = {"broker": "coinbase", "strategy": "APEX_V72", "risk_profile": "high"}
    # The wire takes some 300 writes a second: who is told to come back later does.
    wait_for(
        "the bot is started", lambda: user.post("/trading/start", start).status in (200, 409), PATIENCE_S, every=1.0
    )
    return user


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.mongo
@pytest.mark.timeout(3600)
@only_long("minutes")
def test_a_pool_loses_and_doubles_nothing_while_workers_die_come_and_are_restarted(
    tmp_path: Path, private_kafka: Server, private_mongo: Server, namespace: str
) -> None:
    candles = write_candles(tmp_path / "candles")
    expected = backtest(candles)
    assert expected.orders == 15
    kafka, url = f"127.0.0.1:{private_kafka.port}", mongo.url_of(private_mongo.port)
    env = {"NIJA_SPEED": str(3600 / STEP_S), "NIJA_METRICS_PORT": "-1", "NIJA_CANDLES": str(candles)}
    platform = Distributed(
        tmp_path, kafka=kafka, mongo=url, namespace=namespace, workers=WORKERS + 1, own_files=True, env=env
    )
    try:
        platform.start(*(name for name in platform.processes if not name.startswith("trading-worker")))
        began = time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            users = list(pool.map(lambda _: started_bot(platform), range(BOTS)))
        figures = [f"{BOTS} users in {time.monotonic() - began:.0f} s"]
        workers = platform.workers()
        killed, added = workers[0], workers[WORKERS]
        began = time.monotonic()
        platform.run(*(worker.name for worker in workers[:WORKERS]))
        figures.append(f"all bots run after {seconds_until_whole(workers[:WORKERS], began):.1f} s")

        killed.kill()
        figures.append(f"killed: whole after {seconds_until_whole(workers[1:WORKERS], time.monotonic()):.1f} s")
        began = time.monotonic()
        platform.run(added.name)
        figures.append(f"added: whole after {seconds_until_whole(workers[1:], began):.1f} s")
        for worker in workers[1:]:
            others = [w for w in workers[1:] if w is not worker]
            began = time.monotonic()
            assert worker.stop() == 0, worker.tail()
            ended = time.monotonic() - began
            apart = seconds_until_whole(others, began)
            platform.run(worker.name)
            figures.append(f"restarted: ended in {ended:.1f} s, whole without it after {apart:.1f} s")
            seconds_until_whole(workers[1:], began)

        ids = [user.user_id for user in users]
        asyncio.run(until_over(url, namespace, ids))
        asyncio.run(check_store(url, namespace, ids, expected))
        on_bus = asyncio.run(history(kafka, namespace, [t for t in SHARED_TOPICS if t.sequenced]))
        assert not on_bus.problems, on_bus.problems[:5]
        for user in users:
            wait_for("the history has every trade", lambda u=user: in_history(u, expected), PATIENCE_S, every=1.0)  # type: ignore[misc]
        parked = run_nija(["parked", "list"], env=platform.env)
        assert (parked.returncode, parked.stdout.strip()) == (0, "no key is parked"), parked.stdout + parked.stderr
        for user in users:
            user.close()
        print("; ".join(figures))  # noqa: T201 - figures for docs/failures.md
    finally:
        platform.__exit__()


async def until_over(url: str, namespace: str, users: Sequence[str]) -> None:
    """Waits until every bot has reached the last candle."""
    from nija_trading.domain.account import Account

    async with MongoServer.open(url, namespace=namespace) as server, asyncio.timeout(PATIENCE_S):
        storage = server.storage("trading-engine")
        while any(a.status != "paused" for a in (await storage.get_many(Account, users)).values()):
            await asyncio.sleep(1.0)


def in_history(user: ApiClient, expected: Simulation) -> bool:
    """Whether accounts' read model has the same trades."""
    listed = user.ok("GET", "/account/history?per_page=100")["trades"]
    assert len({t["trade_id"] for t in listed}) == len(listed)
    return len(listed) == len(expected.trades) + len(expected.open_trades)
