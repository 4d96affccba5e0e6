"""APEX V7.2 over candles of the past: one account, all its symbols, every rule on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nija_trading.domain.apex.parameters import VERSION
from nija_trading.domain.apex.simulate import Trade, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.result import Exit, Result, TradeRecord
from nija_trading.domain.market.candles import Candles


def run_apex(feeds: Mapping[str, Candles], rules: Rulebook, cash: int, pairs: Sequence[str] | None = None) -> Result:
    """Run APEX over `{symbol: candles}` from `cash` (units of 1e-8); `pairs` is the order of `allowed_pairs`.

    The steps are those of `simulate`: from the first symbol's 100th candle on. ValueError without candles or
    with feeds of several timeframes.
    """
    run = simulate(feeds, rules, cash, pairs)
    symbols = tuple(feeds) if pairs is None else tuple(pairs)
    frame = next(iter(feeds.values())).timeframe_ms
    return Result(
        strategy=VERSION.lower(),
        symbols=symbols,
        timeframe_ms=frame,
        bars=sum(len(feeds[symbol]) for symbol in symbols if symbol in feeds),
        cash=cash,
        final_equity=run.equity[-1][1] if run.equity else cash,
        orders=run.orders,
        trades=tuple(_record(trade) for trade in run.trades),
        open_trades=tuple(_record(trade) for trade in run.open_trades),
        equity_ms=np.array([at for at, _ in run.equity], dtype=np.int64),
        equity=np.array([value for _, value in run.equity], dtype=np.int64),
    )


def _record(trade: Trade) -> TradeRecord:
    held = trade.position
    return TradeRecord(
        symbol=held.symbol,
        opened_ms=held.opened_ms,
        closed_ms=held.closed_ms,
        entry_price=held.entry_price,
        quantity=held.entry_quantity,
        cost=held.cost,
        fees=held.fees,
        realized_pnl=held.realized_pnl,
        exit_reason=None if held.is_open else held.exit_reason,
        exits=tuple(Exit(f.market_time, f.price, f.quantity, f.fee, f.reason) for f in trade.exits),
    )
