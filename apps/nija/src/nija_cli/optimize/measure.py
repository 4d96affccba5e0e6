"""What is kept of a run: its trades' net expectancy, its equity day by day, and how that was spread.

A trade that the candles end before it does counts as if it were sold at the last close, fee and slippage included: a
search that dropped it would favour whatever holds its losers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from nija_trading.domain.backtest.apex_run import Span
from nija_trading.domain.backtest.result import Result, TradeRecord, drawdowns
from nija_trading.domain.market.candles import DAY_MS, Candles, Floats
from nija_trading.domain.matching.terms import Venue


@dataclass(frozen=True, slots=True)
class Measured:
    """A run in figures. Fractions of 1, but for counts.

    `expectancy` is the mean net result of a trade on its entry's value, `error` that mean's standard error (None with
    fewer than two trades, as `expectancy` without one). `equity` is what the cash had become, as a multiple of it,
    after each full 24 hours since the run began, or empty where it was not asked for; `final` at its end. `drawdown`
    (0 or less) is at closes.
    """

    trades: int
    expectancy: float | None
    error: float | None
    final: float
    drawdown: float
    equity: tuple[float, ...]

    @property
    def score(self) -> float | None:
        """Net expectancy over its standard error; None where there is none."""
        if self.expectancy is None or not self.error:
            return None
        return self.expectancy / self.error

    @property
    def daily(self) -> Floats:
        """The returns of the full days."""
        curve = np.array((1.0, *self.equity))
        returns: Floats = np.diff(curve) / curve[:-1]
        return returns

    def bare(self) -> Measured:
        """The same without its days: those of trains overlap and would fill the state file."""
        return replace(self, equity=())

    def plain(self) -> dict[str, Any]:
        """As JSON keeps it; `Measured.from_plain` reads it back, number for number."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Measured:
        """Raises KeyError or TypeError for what `plain` did not make."""
        named = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{**named, "equity": tuple(map(float, named["equity"]))})


def measured(result: Result, closes: Mapping[str, float], venue: Venue, span: Span | None = None) -> Measured:
    """The figures of a run over a span, None for all candles; `closes`: the prices at which open trades are cut off."""
    returns = [trade.realized_pnl / trade.cost for trade in result.trades if trade.cost]
    costs = 0.0
    for trade in result.open_trades:
        profit, cost = cut_off(trade, closes[trade.symbol], venue)
        costs += cost
        if trade.cost:
            returns.append(profit / trade.cost)
    equity = result.equity.astype(np.float64)
    if len(equity):
        equity[-1] -= costs
    return Measured(
        trades=len(returns),
        expectancy=float(np.mean(returns)) if returns else None,
        error=float(np.std(returns, ddof=1)) / math.sqrt(len(returns)) if len(returns) > 1 else None,
        final=float(equity[-1]) / result.cash if len(equity) else 1.0,
        drawdown=float(drawdowns(equity, result.cash).min()) if len(equity) else 0.0,
        equity=_by_day(result, equity / result.cash, span),
    )


def cut_off(trade: TradeRecord, close: float, venue: Venue) -> tuple[float, float]:
    """(net profit of an open trade that is sold at a close, costs of that sale), in units of 1e-8."""
    left = trade.quantity - sum(exit_.quantity for exit_ in trade.exits)
    entry_fee = trade.fees - sum(exit_.fee for exit_ in trade.exits)
    got = close * (1 - venue.rules(trade.symbol).market_cost) * left
    fee = got * venue.fees.taker
    paid = (trade.cost + entry_fee) * left / trade.quantity
    return trade.realized_pnl + got - fee - paid, close * left - got + fee


def last_closes(feeds: Mapping[str, Candles], end_ms: int | None = None) -> dict[str, float]:
    """The last close of each symbol before `end_ms`; nothing of a symbol that has none."""
    found = {}
    for symbol, candles in feeds.items():
        count = len(candles) if end_ms is None else int(np.searchsorted(candles.time_ms, end_ms))
        if count:
            found[symbol] = float(candles.close[count - 1])
    return found


def _by_day(result: Result, equity: Floats, span: Span | None) -> tuple[float, ...]:
    """Equity after each full 24 hours since the beginning; between closes the last one's."""
    if span is None:
        if not len(equity):
            return ()
        span = int(result.equity_ms[0]) - result.timeframe_ms, int(result.equity_ms[-1])
    marks = span[0] + DAY_MS * np.arange(1, (span[1] - span[0]) // DAY_MS + 1, dtype=np.int64)
    places = np.searchsorted(result.equity_ms, marks, side="right")
    return tuple(np.concatenate(([1.0], equity))[places].tolist())
