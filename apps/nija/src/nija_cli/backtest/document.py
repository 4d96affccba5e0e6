"""A run as JSON: what it was set to, its figures, every trade. Numbers are numbers, times are UTC text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from nija_cli.backtest.figures import Figures, beyond_accounts, statistics
from nija_common.values.times import DAY_MS, day_of, iso, iso_or_none
from nija_trading.domain.backtest.result import Result, TradeRecord
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.matching.money import as_float


class Finished(NamedTuple):
    """A run with all that is told of it. `settings`: what it was set to; `seconds`: of the run and its figures."""

    timeframe: str
    settings: Mapping[str, Any]
    feeds: Mapping[str, Candles]
    result: Result
    figures: Figures
    seconds: float


def document_of(run: Finished) -> dict[str, Any]:
    """The whole document, as plain values."""
    result = run.result
    return {
        "strategy": result.strategy,
        "symbol": ",".join(result.symbols),
        "symbols": list(result.symbols),
        "timeframe": run.timeframe,
        "settings": dict(run.settings),
        "first_candle": iso(min(int(candles.time_ms[0]) for candles in run.feeds.values())),
        "last_candle": iso(max(int(candles.time_ms[-1]) for candles in run.feeds.values())),
        "bars": result.bars,
        "seconds": run.seconds,
        "orders": result.orders,
        "cash": as_float(result.cash),
        "final_equity": as_float(result.final_equity),
        "statistics": statistics(run.figures.performance),
        **beyond_accounts(result, run.figures),
        "days": [
            {"date": day_of(point.day * DAY_MS), "pnl": as_float(point.pnl), "equity": as_float(point.equity)}
            for point in run.figures.performance.curve
        ],
        "trades": [_trade(trade) for trade in result.trades],
        "open_trades": [_trade(trade) for trade in result.open_trades],
    }


def encoded(document: Mapping[str, Any]) -> bytes:
    """The document's text, with a line for each value."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _trade(trade: TradeRecord) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": "long",
        "opened_at": iso(trade.opened_ms),
        "closed_at": iso_or_none(trade.closed_ms),
        "entry_price": trade.entry_price,
        "quantity": as_float(trade.quantity),
        "realized_pnl": as_float(trade.realized_pnl),
        "fees": as_float(trade.fees),
        "exit_reason": None if trade.exit_reason is None else trade.exit_reason.value,
        "exits": [
            {
                "at": iso(exit_.at_ms),
                "price": exit_.price,
                "quantity": as_float(exit_.quantity),
                "fee": as_float(exit_.fee),
                "reason": exit_.reason.value,
            }
            for exit_ in trade.exits
        ],
    }
