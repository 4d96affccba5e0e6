"""Booking: fills open, reduce and close positions, and move the protections."""

from __future__ import annotations

from typing import Any

from nija_trading.domain.apex.booking import Booked, book
from nija_trading.domain.apex.guarding import bracket_for
from nija_trading.domain.apex.parameters import Parameters
from nija_trading.domain.apex.protections import Protections
from nija_trading.domain.matching.money import units, value_of
from nija_trading.domain.matching.orders import (
    Ended,
    EndReason,
    Fill,
    Liquidity,
    MarketOrder,
    Reason,
    Side,
)

BTC = "BTC-USD"
ENTRY = MarketOrder("e", BTC, Side.BUY, Reason.ENTRY, 0, value=units(100), bracket=bracket_for("e", 1.0, Parameters()))
START = Protections.start(units(1000))


def fill(order_id: str, side: Side, price: float, quantity: str, reason: Reason, at: int = 0) -> Fill:
    amount = units(quantity)
    return Fill(order_id, BTC, side, price, amount, value_of(price, amount), 0, Liquidity.TAKER, at, reason)


BUY = fill("e", Side.BUY, 100.0, "1", Reason.ENTRY)


def booked(made: Any, fills: list[Fill], ended: list[Ended] | None = None, held: Any = None) -> Booked:
    return book(held or {}, START, fills, ended or [], {"e": ENTRY}, made.rules())


def test_an_entrys_fill_opens_a_position_with_its_stop_and_counts_as_a_trade(made: Any) -> None:
    after = booked(made, [BUY])
    position = after.positions[BTC]
    assert (position.entry_order_id, position.stop, position.atr_at_signal) == ("e", 98.5, 1.0)
    assert (after.protections.trades, after.closed) == (1, ())


def test_a_trade_that_opens_and_ends_in_one_candle_is_booked_whole(made: Any) -> None:
    half = fill("e-tp1", Side.SELL, 101.0, "0.5", Reason.TAKE_PROFIT)
    rest = fill("e-stop", Side.SELL, 90.0, "0.5", Reason.STOP_LOSS)
    after = booked(made, [BUY, half, rest])
    (closed,) = after.closed
    assert after.positions == {}
    assert (closed.exit_reason, closed.levels_done) == (Reason.STOP_LOSS, 1)
    assert closed.realized_pnl == units("-4.5")
    assert after.protections.streak == 1


def test_a_level_that_was_too_small_counts_as_done(made: Any) -> None:
    held = booked(made, [BUY]).positions
    small = Ended("e-tp1", BTC, EndReason.BELOW_MINIMUM, 0)
    assert booked(made, [], [small], held).positions[BTC].levels_done == 1
    over = Ended("e-tp1", BTC, EndReason.POSITION_CLOSED, 0)
    assert booked(made, [], [over], held).positions[BTC].levels_done == 0


def test_an_entry_that_was_not_filled_leaves_nothing(made: Any) -> None:
    after = booked(made, [], [Ended("e", BTC, EndReason.BELOW_MINIMUM, 0)])
    assert (after.positions, after.protections) == ({}, START)
