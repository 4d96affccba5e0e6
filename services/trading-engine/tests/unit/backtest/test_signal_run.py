"""Strategies of signals: the reference rule's own figures, cash to the unit, what a strategy may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from nija_trading.adapters.candle_files import load_file
from nija_trading.domain.backtest.signal_run import run_signals
from nija_trading.domain.backtest.strategies.ema_cross import EmaCross
from nija_trading.domain.backtest.strategy import FLAT, LONG, Targets
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.matching.money import as_float, units
from nija_trading.domain.matching.orders import Reason
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules, Venue

HOUR = 3_600_000
PLAIN = Venue("plain", FeeSchedule(0.001, 0.001), MarketRules(market_cost=0.0))


@dataclass(frozen=True)
class Listed:
    """Wants what its list says."""

    name: ClassVar[str] = "listed"
    wants: tuple[int, ...] = ()

    def targets(self, candles: Candles) -> Targets:
        return np.array(self.wants[: len(candles)], dtype=np.int8)


def candles(*closes: float) -> Candles:
    """Candles that open at the close of the one before."""
    opens = (closes[0], *closes[:-1])
    return Candles.of(
        HOUR, [(n * HOUR, o, max(o, c), min(o, c), c, 1.0) for n, (o, c) in enumerate(zip(opens, closes, strict=True))]
    )


def test_the_reference_rule_gives_the_reference_figures(shared_folder: Path) -> None:
    feed = load_file(shared_folder / "data" / "binance_BTC-USDT_1h.csv.gz", "1h")
    found = run_signals(EmaCross(), {"BTC-USDT": feed}, PLAIN, units(10_000))
    assert found.orders == 1_942
    assert round(as_float(found.final_equity), 2) == 9_877.11
    assert found.bars == 45_024
    assert len(found.equity) == 45_024
    assert found.equity[-1] == found.final_equity


def test_a_target_is_traded_at_the_next_open_with_all_cash() -> None:
    feed = candles(100.0, 110.0, 120.0, 130.0)
    found = run_signals(Listed((LONG, 0, FLAT, 0)), {"A-USD": feed}, PLAIN, units(1_000))
    (trade,) = found.trades
    assert (trade.opened_ms, trade.closed_ms) == (1 * HOUR, 3 * HOUR)
    assert (trade.entry_price, trade.exits[0].price) == (100.0, 120.0)
    assert trade.quantity == units("9.99"), "a fee of 1 is part of the 1,000"
    assert trade.cost + trade.fees - trade.exits[0].fee == units(1_000)
    assert trade.exit_reason is Reason.OPPOSITE_SIGNAL
    assert found.final_equity == units(1_000) + trade.realized_pnl
    assert found.equity.tolist() == [units(1_000), units("1098.9"), units("1198.8"), found.final_equity]
    assert found.orders == 2


def test_what_is_decided_at_the_last_close_has_no_open_and_what_is_open_stands_apart() -> None:
    feed = candles(100.0, 110.0, 120.0)
    late = run_signals(Listed((0, 0, LONG)), {"A-USD": feed}, PLAIN, units(1_000))
    assert (late.orders, late.trades, late.open_trades) == (0, (), ())
    held = run_signals(Listed((LONG, LONG, FLAT)), {"A-USD": feed}, PLAIN, units(1_000))
    assert held.orders == 1
    assert held.open_trades[0].exit_reason is None
    assert held.final_equity == units("1198.8")


def test_several_symbols_trade_equal_shares_of_the_cash() -> None:
    one, other = candles(100.0, 110.0, 120.0), candles(10.0, 10.0, 5.0)
    rule = Listed((LONG, 0, 0))
    both = run_signals(rule, {"A-USD": one, "B-USD": other}, PLAIN, units(1_001))
    first = run_signals(rule, {"A-USD": one}, PLAIN, units("500.5"))
    second = run_signals(rule, {"B-USD": other}, PLAIN, units("500.5"))
    assert both.equity.tolist() == (first.equity + second.equity).tolist()
    assert both.bars == 6


def test_a_quantity_keeps_to_the_step_and_a_small_order_is_none() -> None:
    feed = candles(100.0, 100.0, 100.0, 100.0)
    rules = MarketRules(step=units("0.5"), minimum_cost=units(200), market_cost=0.0)
    venue = Venue("stepped", FeeSchedule(0.001, 0.001), rules)
    found = run_signals(Listed((LONG, FLAT, 0, 0)), {"A-USD": feed}, venue, units(1_000))
    assert found.trades[0].quantity == units("9.5")
    assert run_signals(Listed((LONG, FLAT, 0, 0)), {"A-USD": feed}, venue, units(199)).orders == 0


def test_crosses_count_from_the_slow_length_on(random_market: Callable[..., list[Any]]) -> None:
    feed = Candles.of(HOUR, random_market(3, 300, HOUR))
    wanted = EmaCross(fast=3, slow=50).targets(feed)
    assert not wanted[:50].any()
    assert wanted[50:].any()


@pytest.mark.parametrize(("fast", "slow"), [(0, 5), (5, 5), (6, 5)])
def test_lengths_that_make_no_sense_are_refused(fast: int, slow: int) -> None:
    with pytest.raises(ValueError, match="needs 1 <= fast < slow"):
        EmaCross(fast=fast, slow=slow)
