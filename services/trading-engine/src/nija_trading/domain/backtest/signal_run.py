"""A strategy of signals over candles of the past: all in, all out, at the opens that follow its decisions.

Each symbol trades an equal share of the cash on its own. Orders fill as the paper broker's market orders do,
with its steps, minimums and cost; what is held is valued at the last close. A buy spends all cash: its fee is
the taker's rate of what is spent, fee included, a sell's the rate of its proceeds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nija_trading.domain.backtest.result import Exit, Result, TradeRecord
from nija_trading.domain.backtest.strategy import LONG, SignalStrategy, Targets
from nija_trading.domain.market.candles import Candles, Ints
from nija_trading.domain.market.timeline import Timeline
from nija_trading.domain.matching.money import fee_of, quantity_for, value_of
from nija_trading.domain.matching.orders import Reason
from nija_trading.domain.matching.terms import MarketRules, Venue


def run_signals(strategy: SignalStrategy, feeds: Mapping[str, Candles], venue: Venue, cash: int) -> Result:
    """Run a strategy over `{symbol: candles}` from `cash` (units of 1e-8). Exits have the reason `opposite_signal`.

    ValueError without candles or with feeds of several timeframes.
    """
    return run_targets(
        strategy.name, {symbol: strategy.targets(candles) for symbol, candles in feeds.items()}, feeds, venue, cash
    )


def run_targets(
    name: str, targets: Mapping[str, Targets], feeds: Mapping[str, Candles], venue: Venue, cash: int
) -> Result:
    """Trade what a strategy of this name wants of each symbol, one target a candle; as `run_signals`."""
    timeline = Timeline.of(feeds)
    share, rest = divmod(cash, len(feeds))
    runs = [
        _SymbolRun(symbol, candles, venue, share + (rest if number == 0 else 0))
        for number, (symbol, candles) in enumerate(feeds.items())
    ]
    for run in runs:
        run.trade(targets[run.symbol])
    equity = np.zeros(len(timeline), dtype=np.int64)
    for run in runs:
        equity += run.equity(timeline.closes_ms)
    ended = sorted(
        (trade.closed_ms or 0, number, n) for number, run in enumerate(runs) for n, trade in enumerate(run.trades)
    )
    return Result(
        strategy=name,
        symbols=tuple(feeds),
        timeframe_ms=timeline.timeframe_ms,
        bars=sum(len(candles) for candles in feeds.values()),
        cash=cash,
        final_equity=int(equity[-1]) if len(equity) else cash,
        orders=sum(run.orders for run in runs),
        trades=tuple(runs[number].trades[n] for _, number, n in ended),
        open_trades=tuple(run.open_trade for run in runs if run.open_trade is not None),
        equity_ms=timeline.closes_ms,
        equity=equity,
    )


class _SymbolRun:
    """One symbol's share of the cash on its way through the candles."""

    def __init__(self, symbol: str, candles: Candles, venue: Venue, cash: int) -> None:
        self.symbol = symbol
        self.candles = candles
        self.taker = venue.fees.taker
        self.rules: MarketRules = venue.rules(symbol)
        self.cash = cash
        self.orders = 0
        self.trades: list[TradeRecord] = []
        self.open_trade: TradeRecord | None = None
        self.changes: list[tuple[int, int, int]] = [(0, cash, 0)]
        """(candle, cash, quantity) from that candle's close on."""

    def trade(self, targets: Targets) -> None:
        """Follow the targets; that of the last candle has no open to trade at."""
        decided = np.flatnonzero(targets[:-1])
        wants = targets[decided] == LONG
        opens = self.candles.open[decided + 1].tolist()
        times = self.candles.time_ms[decided + 1].tolist()
        for index, want, price, at in zip(decided.tolist(), wants.tolist(), opens, times, strict=True):
            if want and self.open_trade is None:
                self._buy(index + 1, price, at)
            elif not want and self.open_trade is not None:
                self._sell(self.open_trade, index + 1, price, at)

    def _buy(self, index: int, price: float, at_ms: int) -> None:
        paid = price * (1 + self.rules.market_cost)
        quantity = quantity_for(self.cash - fee_of(self.cash, self.taker), paid, self.rules.step)
        value = value_of(paid, quantity)
        fee = fee_of(value, self.taker / (1 - self.taker))
        while value + fee > self.cash:
            quantity -= self.rules.step
            value = value_of(paid, quantity)
            fee = fee_of(value, self.taker / (1 - self.taker))
        if self.rules.too_small(quantity, paid):
            return
        self.cash -= value + fee
        self.orders += 1
        self.open_trade = TradeRecord(self.symbol, at_ms, None, paid, quantity, value, fee, 0, None, ())
        self.changes.append((index, self.cash, quantity))

    def _sell(self, held: TradeRecord, index: int, price: float, at_ms: int) -> None:
        got = price * (1 - self.rules.market_cost)
        value = value_of(got, held.quantity)
        fee = fee_of(value, self.taker)
        self.cash += value - fee
        self.orders += 1
        self.trades.append(
            TradeRecord(
                self.symbol,
                held.opened_ms,
                at_ms,
                held.entry_price,
                held.quantity,
                held.cost,
                held.fees + fee,
                value - fee - held.cost - held.fees,
                Reason.OPPOSITE_SIGNAL,
                (Exit(at_ms, got, held.quantity, fee, Reason.OPPOSITE_SIGNAL),),
            )
        )
        self.open_trade = None
        self.changes.append((index, self.cash, 0))

    def equity(self, closes_ms: Ints) -> Ints:
        """Cash and worth at each step; before the symbol's first candle its share of the cash."""
        starts, cash, quantity = (np.array(column, dtype=np.int64) for column in zip(*self.changes, strict=True))
        lengths = np.diff(np.append(starts, len(self.candles)))
        worth = np.rint(self.candles.close * np.repeat(quantity, lengths)).astype(np.int64)
        mine = np.repeat(cash, lengths) + worth
        if len(closes_ms) == len(mine):
            return mine
        last = np.searchsorted(self.candles.closes_ms, closes_ms, side="right") - 1
        return np.where(last >= 0, mine[last], cash[0])
