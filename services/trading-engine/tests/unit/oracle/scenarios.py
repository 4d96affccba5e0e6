"""Markets and rules by seed: the literal oracle's options, with everything random that may bind, and the engine's."""

from __future__ import annotations

import random
from dataclasses import replace
from types import ModuleType
from typing import Any

from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, Trade
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.result import Result
from nija_trading.domain.market.candles import Candles, timeframe_ms
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules, Venue

"""More markets, and whole files."""


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


def scenario(literal: ModuleType, markets: ModuleType, seed: int) -> tuple[dict[str, Any], Any, RiskLevel, int]:
    """(rows of one to three symbols, the oracle's options, profile, timeframe) of a seed."""
    rng = random.Random(seed)
    level = list(RiskLevel)[seed % 3]
    timeframe = timeframe_ms(rng.choice(("1h", "1h", "5m")))
    chosen = options(literal, seed, level, timeframe)
    feeds = {
        f"S{number}-USD": markets.market(seed * 10 + number, rng.randint(120, 700), timeframe)
        for number in range(rng.choice((1, 1, 2, 3)))
    }
    return feeds, chosen, level, timeframe


def one_limit(literal: ModuleType, markets: ModuleType, seed: int) -> tuple[dict[str, Any], Any, RiskLevel, int]:
    """As `scenario`, hourly, on a venue without frictions, with one protection or limit that binds, by the seed."""
    level = list(RiskLevel)[seed % 3]
    timeframe = timeframe_ms("1h")
    loose = {"daily_loss": 0.9, "drawdown": 0.95, "week_half": 0.8, "week_stop": 0.9, "exposure": 0.8}
    tight = ("daily_loss", "week_half", "week_stop", "drawdown", "exposure")[seed % 5]
    loose[tight] = 0.055 if tight == "exposure" else 0.0006 + seed // 5 % 4 * 0.0004
    chosen = literal.Options(timeframe=timeframe, taker=0.001, maker=0.0005, least_score=2, least_adx=15.0, **loose)
    feeds = {
        f"S{number}-USD": markets.market(seed * 10 + number, 500, timeframe) for number in range(1 + seed // 5 % 3)
    }
    return feeds, chosen, level, timeframe


def mixed(literal: ModuleType, markets: ModuleType, seed: int) -> tuple[dict[str, Any], Any, RiskLevel, int]:
    """Every fourth seed's is `one_limit`, the others' `scenario`."""
    return (one_limit if seed % 4 == 3 else scenario)(literal, markets, seed)


def candles(feeds: dict[str, Any], timeframe: int) -> dict[str, Candles]:
    """Rows as the engine takes them."""
    return {symbol: Candles.of(timeframe, rows) for symbol, rows in feeds.items()}


def told(found: Result) -> dict[str, Any]:
    """All that a backtest tells, as plain values."""
    return {
        "trades": [tuple(trade) for trade in found.trades],
        "open": [tuple(trade) for trade in found.open_trades],
        "orders": found.orders,
        "final": found.final_equity,
        "equity": list(zip(found.equity_ms.tolist(), found.equity.tolist(), strict=True)),
    }


def told_plainly(run: Simulation, cash: int) -> dict[str, Any]:
    """The same of the plain runner."""
    return {
        "trades": [_record(trade) for trade in run.trades],
        "open": [_record(trade) for trade in run.open_trades],
        "orders": run.orders,
        "final": run.equity[-1][1] if run.equity else cash,
        "equity": list(run.equity),
    }


def _record(trade: Trade) -> tuple[Any, ...]:
    held = trade.position
    return (
        held.symbol,
        held.opened_ms,
        held.closed_ms,
        held.entry_price,
        held.entry_quantity,
        held.cost,
        held.fees,
        held.realized_pnl,
        None if held.is_open else held.exit_reason,
        tuple((fill.market_time, fill.price, fill.quantity, fill.fee, fill.reason) for fill in trade.exits),
    )
