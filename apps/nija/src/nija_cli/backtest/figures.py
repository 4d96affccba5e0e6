"""The figures of a run: those of analytics, from analytics' own functions, and a few that only a backtest can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nija_analytics.domain.statistics import (
    ClosedTrade,
    DayResult,
    Performance,
    every_day,
    performance,
    results_by_day,
)
from nija_common.values.times import DAY_MS
from nija_trading.domain.backtest.result import Result, TradeRecord, drawdowns
from nija_trading.domain.market.candles import Candles


@dataclass(frozen=True, slots=True)
class Figures:
    """`performance` rests on closed trades by UTC day, as an account's does, from the day of the run's first step to
    that of its last; `days` are those days. `drawdown_at_closes` (0 or less, a fraction) is of equity at every close,
    open positions at their worth. `market`: the mean change of the symbols from the first step's close to the last, as a
    fraction, without costs."""

    performance: Performance
    days: list[DayResult]
    drawdown_at_closes: float
    market: float | None


def figures_of(result: Result, feeds: Mapping[str, Candles]) -> Figures:
    """All figures of a run over these candles."""
    closed = (
        ClosedTrade(t.closed_ms, t.realized_pnl, t.fees, t.closed_ms - t.opened_ms)
        for t in result.trades
        if t.closed_ms is not None
    )
    found = results_by_day(closed)
    days: list[DayResult] = []
    if len(result.equity_ms):
        first, last = ((int(at) - result.timeframe_ms) // DAY_MS for at in (result.equity_ms[0], result.equity_ms[-1]))
        days = every_day(found, first, last)
    fallen = drawdowns(result.equity, result.cash)
    return Figures(
        performance(result.cash, days), days, float(fallen.min()) if len(fallen) else 0.0, _market(result, feeds)
    )


def statistics(figures: Performance) -> dict[str, float | int | None]:
    """The figures under the names that `GET /account/performance` has for them, in full precision."""

    def money(value: float | None) -> float | None:
        return None if value is None else value / 1e8

    return {
        "total_trades": figures.total_trades,
        "winning_trades": figures.winning_trades,
        "losing_trades": figures.losing_trades,
        "win_rate": figures.win_rate,
        "total_pnl": money(figures.total_pnl),
        "total_pnl_pct": figures.total_pnl_pct,
        "avg_win": money(figures.avg_win),
        "avg_loss": money(figures.avg_loss),
        "largest_win": money(figures.largest_win),
        "largest_loss": money(figures.largest_loss),
        "profit_factor": figures.profit_factor,
        "sharpe_ratio": figures.sharpe_ratio,
        "max_drawdown": money(figures.drawdown.usd),
        "max_drawdown_pct": figures.drawdown.pct,
        "recovery_time_days": figures.drawdown.recovery_days,
        "avg_trade_duration_minutes": figures.avg_duration_minutes,
        "total_fees": money(figures.total_fees),
        "net_pnl": money(figures.net_pnl),
    }


def return_pct(trade: TradeRecord) -> float:
    """A trade's net profit in per cent of its entry's value."""
    return 100 * trade.realized_pnl / trade.cost if trade.cost else 0.0


def equity_pct(result: Result) -> float:
    """The change of equity over the run, in per cent of the cash it began with."""
    return 100 * (result.final_equity - result.cash) / result.cash


def beyond_accounts(result: Result, figures: Figures) -> dict[str, Any]:
    """What a backtest tells and an account does not."""
    return {
        "return_pct": equity_pct(result),
        "drawdown_at_closes_pct": 100 * figures.drawdown_at_closes,
        "market_return_pct": None if figures.market is None else 100 * figures.market,
    }


def _market(result: Result, feeds: Mapping[str, Candles]) -> float | None:
    if not len(result.equity_ms):
        return None
    changes = []
    for candles in feeds.values():
        first = int(np.searchsorted(candles.closes_ms, result.equity_ms[0]))
        if first < len(candles):
            changes.append(candles.close[-1] / candles.close[first] - 1.0)
    return float(np.mean(changes)) if changes else None
