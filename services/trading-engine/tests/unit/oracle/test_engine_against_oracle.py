"""The engine, live and fast, and the literal oracle make the same trades: times, prices, quantities, reasons.

On random markets with tight protections, ticks, steps and minimums, and on real candles where they are there.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nija_common.testing.long_run import LONG
from nija_trading.adapters.candle_files import load_file
from nija_trading.domain.apex.parameters import PROFILES, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.backtest.apex_run import run_apex
from nija_trading.domain.market.candles import timeframe_ms
from nija_trading.domain.matching.money import as_float, units

CASH = 10_000


def compare(run: Simulation, oracle: Any, where: str) -> int:
    """Both made the same trades; how many exits that were."""
    ours = [
        (
            trade.position.symbol,
            trade.position.opened_ms,
            trade.position.entry_price,
            as_float(trade.position.entry_quantity),
            [(f.market_time, f.price, as_float(f.quantity), f.reason.value) for f in trade.exits],
        )
        for trade in (*run.trades, *run.open_trades)
    ]
    still = list(oracle.positions.values())
    theirs = [(p.symbol, p.opened_at, p.entry, p.bought, p.exits) for p in (*oracle.trades, *still)]
    ours.sort(key=lambda trade: trade[:2])
    theirs.sort(key=lambda trade: trade[:2])
    assert [t[:2] for t in ours] == [t[:2] for t in theirs], where
    exits = 0
    for mine, other in zip(ours, theirs, strict=True):
        assert [(e[0], e[3]) for e in mine[4]] == [(e[0], e[3]) for e in other[4]], (where, mine, other)
        numbers = [mine[2:4], *((e[1], e[2]) for e in mine[4])]
        expected = [other[2:4], *((e[1], e[2]) for e in other[4])]
        for got, wanted in zip(numbers, expected, strict=True):
            assert got == pytest.approx(wanted, rel=1e-9, abs=3e-8), (where, mine, other)
        exits += len(mine[4])
    assert len(run.trades) == len(oracle.trades), where
    assert as_float(run.book.cash) == pytest.approx(oracle.cash, abs=1e-4), where
    return exits


BLOCKS = 9


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_markets_give_the_same_trades_as_the_literal_oracle(
    block: int, literal: ModuleType, markets: ModuleType, scenarios: ModuleType
) -> None:
    exits = 0
    for seed in range(block, 2_000 if LONG else 200, BLOCKS):
        feeds, chosen, level, timeframe = scenarios.mixed(literal, markets, seed)
        oracle = literal.Oracle(feeds, CASH, chosen)
        oracle.run()
        candles, rules = scenarios.candles(feeds, timeframe), scenarios.rulebook(chosen, level)
        run = simulate(candles, rules, units(CASH))
        exits += compare(run, oracle, f"seed {seed}")
        fast = run_apex(candles, rules, units(CASH))
        assert scenarios.told(fast) == scenarios.told_plainly(run, units(CASH)), f"seed {seed}"
    assert exits > 20, "markets without trades prove nothing"


@pytest.mark.parametrize(
    ("names", "level"),
    [
        (("binance_BTC-USDT_1h",), RiskLevel.HIGH),
        (("bybit_BTCUSDT_5m", "bybit_ETHUSDT_5m", "bybit_SOLUSDT_5m"), RiskLevel.MEDIUM),
        (("freqtrade_ETH_BTC_5m",), RiskLevel.LOW),
    ],
)
def test_real_candles_give_the_same_trades_as_the_literal_oracle(
    names: tuple[str, ...], level: RiskLevel, literal: ModuleType, scenarios: ModuleType, shared_folder: Path
) -> None:
    timeframe = names[0].rsplit("_", 1)[1]
    loaded = {name: load_file(shared_folder / "data" / f"{name}.csv.gz", timeframe).slice(0, 6000) for name in names}
    profile = PROFILES[level]
    chosen = literal.Options(
        timeframe=timeframe_ms(timeframe),
        size_factor=profile.size_factor,
        least_score=profile.minimum_score,
        least_adx=profile.minimum_adx,
        exposure=profile.exposure,
        daily_loss=profile.daily_loss,
        drawdown=profile.drawdown,
        least_cost=0.0001,
        hard_value=10_000.0,
    )
    feeds = {name: [tuple(candle) for candle in candles] for name, candles in loaded.items()}
    oracle = literal.Oracle(feeds, CASH, chosen)
    oracle.run()
    run = simulate(loaded, scenarios.rulebook(chosen, level), units(CASH))
    assert compare(run, oracle, str(names)) > 0
