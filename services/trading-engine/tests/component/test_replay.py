"""Replaying candles through the live engine on the paper broker gives exactly the backtest's trades, kills included."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nija_common.events.preferences import TradingSettings as UserSettings
from nija_common.testing import start_platform
from nija_common.values.clock import SystemClock
from nija_common.values.tiers import registration_defaults
from nija_trading.domain.account import Account
from nija_trading.domain.apex.parameters import PROFILES, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.matching.codec import fill_to
from nija_trading.domain.matching.terms import COINBASE
from nija_trading.domain.records import PAPER_CASH, Order, PaperAccount, Position, Trade
from nija_trading.domain.standing import limits_of
from nija_trading.service import SERVICE

HOUR = timeframe_ms("1h")
SEED, BARS = 261, 220
FAST = {
    "NIJA_MARKET": "replay",
    "NIJA_SPEED": "1e12",
    "NIJA_TRADING_LEASE_MS": "300",
    "NIJA_TRADING_RENEW_MS": "60",
    "NIJA_TRADING_POLL_MS": "20",
}


class Market:
    """The candles as a folder and as the plain runner's result."""

    def __init__(self, folder: Path, rows: list[Any]) -> None:
        folder.mkdir()
        lines = ["timestamp_ms,open,high,low,close,volume", *(",".join(map(repr, row)) for row in rows)]
        (folder / "BTC-USD_1h.csv").write_text("\n".join(lines) + "\n")
        self.env = {**FAST, "NIJA_CANDLES": str(folder)}
        limits = limits_of(UserSettings(), registration_defaults(0)[0])
        rules = Rulebook(PARAMETERS, PROFILES[RiskLevel.HIGH], limits, COINBASE)
        feeds = {"BTC-USD": Candles.of(HOUR, rows)}
        self.expected: Simulation = simulate(feeds, rules, PAPER_CASH)


@pytest.fixture
def replayed(tmp_path: Path, random_market: Any) -> Market:
    return Market(tmp_path / "candles", random_market(SEED, BARS, HOUR))


async def finished(desk: Any, wait_until: Any) -> None:
    async def paused() -> bool:
        return bool((await desk.status())["status"] == "paused")

    await wait_until(paused, "the replay has ended", 30.0)


async def check(desk: Any, expected: Simulation) -> None:
    """Same trades, same cash, every intent over, positions the sum of their fills."""
    storage = desk.platform.deps("trading-engine").storage
    trades = [
        t for t in (await storage.find(Trade, "by_user", (desk.user_id,), limit=500)).items if t.source == "strategy"
    ]
    closed = sorted(sorted(bare(fill) for fill in trade.fills) for trade in trades if trade.status == "closed")
    assert closed == sorted(sorted(bare(fill_to(fill)) for fill in trade.fills) for trade in expected.trades)
    book = await storage.get(PaperAccount, f"{desk.user_id}/coinbase")
    assert book.book["cash"] == expected.book.cash
    positions = (await storage.find(Position, "by_user", (desk.user_id,), limit=50)).items
    assert sum(position.state["quantity"] for position in positions) == sum(
        trade.position.quantity for trade in expected.open_trades
    )
    for trade in trades:
        signed = sum(fill["quantity"] * (1 if fill["side"] == "buy" else -1) for fill in trade.fills)
        assert signed == sum(position.state["quantity"] for position in positions if position.trade_id == trade.id)
    assert not (await storage.find(Order, "by_user", (desk.user_id, True), limit=50)).items


def bare(fill: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value for name, value in fill.items() if name != "order_id")


async def test_the_replay_makes_the_backtests_trades(
    tmp_path: Path, replayed: Market, user_of: Any, wait_until: Any
) -> None:
    assert len(replayed.expected.trades) == 6
    async with start_platform(tmp_path / "data", [SERVICE], clock=SystemClock(), env=replayed.env) as platform:
        desk = user_of(platform, "usr_a")
        await desk.settle()
        await desk.start(strategy="APEX_V72", risk_profile="high")
        await finished(desk, wait_until)
        await check(desk, replayed.expected)
        assert "last candle" in (await desk.status())["last_error"]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_kill_at_any_commit_neither_doubles_nor_loses_an_order(
    tmp_path: Path, replayed: Market, faults: Any, user_of: Any, wait_until: Any, when: str
) -> None:
    kills = 0
    for at in range(1 if when == "before" else 3, 90, 6):
        folder = tmp_path / f"data-{at}"
        storages: list[Any] = []
        dying = faults.mortal_service(storages, at, when)
        try:
            async with start_platform(folder, [dying], clock=SystemClock(), env=replayed.env) as platform:
                desk = user_of(platform, "usr_a")
                await desk.settle()
                storages[0].armed = True
                assert (await desk.start(strategy="APEX_V72", risk_profile="high")).status_code in (200, 500)
                await finished_or_dead(desk, storages[0], wait_until)
        except* faults.Killed:
            kills += 1
        async with start_platform(folder, [SERVICE], clock=SystemClock(), env=replayed.env) as platform:
            desk = user_of(platform, "usr_a")
            if (await desk.status())["status"] == "stopped":
                await desk.start(strategy="APEX_V72", risk_profile="high")
            await finished(desk, wait_until)
            await check(desk, replayed.expected)
    assert kills > 5


async def finished_or_dead(desk: Any, storage: Any, wait_until: Any) -> None:
    """Looks past the store that may be dead."""
    calm = storage.inner

    async def over() -> bool:
        account = await calm.get(Account, desk.user_id)
        return storage.dead or (account is not None and account.status == "paused")

    await wait_until(over, "the replay has ended, or its process", 30.0)
    if storage.dead:
        await asyncio.sleep(30)  # the end of the process cancels this
