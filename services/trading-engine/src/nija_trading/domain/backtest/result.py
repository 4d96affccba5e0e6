"""What a backtest leaves: its trades, its equity at each close, and how much was run.

Money and quantities in units of 1e-8, prices float64, times UTC milliseconds of candles' openings; `equity_ms`
alone holds closing times. The same for every strategy; statistics are made of it elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nija_trading.domain.market.candles import Floats, Ints
from nija_trading.domain.matching.orders import Reason


class Exit(NamedTuple):
    """One fill that sold: `at_ms` is the opening of its candle."""

    at_ms: int
    price: float
    quantity: int
    fee: int
    reason: Reason


class TradeRecord(NamedTuple):
    """A long from its entry to its last exit; `closed_ms` and `exit_reason` are None while something is left.

    `cost` is the entry's value without its fee; `fees` are all fees so far; `realized_pnl` is net of fees, of
    what was sold (the entry's cost and fee counted in proportion while the trade is open).
    """

    symbol: str
    opened_ms: int
    closed_ms: int | None
    entry_price: float
    quantity: int
    cost: int
    fees: int
    realized_pnl: int
    exit_reason: Reason | None
    exits: tuple[Exit, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A whole run. `trades` are closed, in the order of their last exits; `open_trades` stand apart.

    `orders` counts filled orders. `equity[i]` is cash and the worth of what is held at the closes of step i,
    which ends at `equity_ms[i]`; `bars` counts the candles of all symbols.
    """

    strategy: str
    symbols: tuple[str, ...]
    timeframe_ms: int
    bars: int
    cash: int
    final_equity: int
    orders: int
    trades: tuple[TradeRecord, ...]
    open_trades: tuple[TradeRecord, ...]
    equity_ms: Ints
    equity: Ints


def drawdowns(equity: Floats | Ints, cash: int) -> Floats:
    """At each step: equity over its highest close so far (the cash at the start among them), less 1; 0 or below."""
    highest = np.maximum(np.maximum.accumulate(equity), cash)
    fallen: Floats = equity / highest - 1.0
    return fallen
