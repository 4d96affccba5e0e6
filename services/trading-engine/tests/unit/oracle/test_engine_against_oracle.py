"""The engine and the literal oracle make the same trades: times, prices, quantities, reasons.

On random markets with tight protections, ticks, steps and minimums, and on real candles where they are there.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nija_trading.adapters.candle_files import load_file
from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.matching.money import as_float, units
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules, Venue

CASH = 10_000
HOUR = timeframe_ms("1h")


def rulebook(o: Any, level: RiskLevel) -> Rulebook:
    """The engine's rules for the oracle's options."""
    profile = replace(
        PROFILES[level],
        size_factor=o.size_factor,
        minimum_score=o.least_score,
        minimum_adx=o.least_adx,
        exposure=o.exposure,
        daily_loss=o.daily_loss,
        drawdown=o.drawdown,
    )
    params = Parameters(
        gross_levels=o.gross,
        losing_streak=o.streak,
        week_half=o.week_half,
        week_stop=o.week_stop,
        hard_cap_value=units(o.hard_value),
    )
    limits = Limits(
        None if o.max_value is None else units(o.max_value),
        o.max_positions,
        o.max_trades,
        None if o.max_daily_loss is None else units(o.max_daily_loss),
    )
    market = MarketRules(o.tick, units(o.step), units(o.least_quantity), units(o.least_cost), o.slip)
    return Rulebook(params, profile, limits, Venue("test", FeeSchedule(o.taker, o.maker), market))


def options(literal: ModuleType, seed: int, level: RiskLevel, timeframe: int) -> Any:
    """The profile's numbers, and a random choice of everything that may bind."""
    rng = random.Random(seed)
    profile = PROFILES[level]
    taker, maker = rng.choice(((0.006, 0.004), (0.004, 0.0025), (0.001, 0.001), (0.0, 0.0)))
    tight = rng.random() < 0.6
    return literal.Options(
        timeframe=timeframe,
        taker=taker,
        maker=maker,
        slip=rng.choice((0.0005, 0.0005, 0.0)),
        tick=rng.choice((None, None, 0.01, 0.5)),
        step=rng.choice((1e-8, 1e-8, 0.001, 0.05)),
        least_cost=rng.choice((1.0, 1.0, 30.0, 120.0)),
        least_quantity=rng.choice((0.0, 0.0, 0.3)),
        size_factor=profile.size_factor,
        least_score=rng.choice((profile.minimum_score, 2, 2)),
        least_adx=rng.choice((profile.minimum_adx, 15.0)),
        exposure=rng.choice((profile.exposure, 0.055)) if tight else profile.exposure,
        daily_loss=rng.choice((profile.daily_loss, 0.0008)) if tight else profile.daily_loss,
        drawdown=rng.choice((profile.drawdown, 0.004)) if tight else profile.drawdown,
        max_value=rng.choice((None, 250.0)),
        max_positions=rng.choice((None, 1, 2)),
        max_trades=rng.choice((None, None, 1, 3)),
        max_daily_loss=rng.choice((None, 6.0)) if tight else None,
        gross=rng.random() < 0.4,
        streak=rng.choice((5, 2)) if tight else 5,
        week_half=rng.choice((0.08, 0.001)) if tight else 0.08,
        week_stop=rng.choice((0.10, 0.002)) if tight else 0.10,
        hard_value=rng.choice((10_000.0, 350.0)),
    )


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


SEEDS = range(90)


@pytest.mark.parametrize("block", range(9))
def test_random_markets_give_the_same_trades_as_the_literal_oracle(
    block: int, literal: ModuleType, markets: ModuleType
) -> None:
    exits = 0
    for seed in SEEDS[block :: len(range(9))]:
        rng = random.Random(seed)
        level = list(RiskLevel)[seed % 3]
        timeframe = timeframe_ms(rng.choice(("1h", "1h", "5m")))
        chosen = options(literal, seed, level, timeframe)
        feeds = {
            f"S{number}-USD": markets.market(seed * 10 + number, rng.randint(120, 700), timeframe)
            for number in range(rng.choice((1, 1, 2, 3)))
        }
        oracle = literal.Oracle(feeds, CASH, chosen)
        oracle.run()
        candles = {symbol: Candles.of(timeframe, rows) for symbol, rows in feeds.items()}
        run = simulate(candles, rulebook(chosen, level), units(CASH))
        exits += compare(run, oracle, f"seed {seed}")
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
    names: tuple[str, ...], level: RiskLevel, literal: ModuleType, shared_folder: Path
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
    run = simulate(loaded, rulebook(chosen, level), units(CASH))
    assert compare(run, oracle, str(names)) > 0
