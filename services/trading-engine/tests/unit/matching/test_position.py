"""Positions: profit net of fees, what reduces them, and which reason a trade ends with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_trading.domain.matching.money import fee_of, units, value_of
from nija_trading.domain.matching.orders import Fill, Liquidity, Reason, Side
from nija_trading.domain.matching.position import level_skipped, opened_by, reduced_by


def fill(side: Side, price: float, quantity: int, reason: Reason, at: int = 0, rate: float = 0.01) -> Fill:
    value = value_of(price, quantity)
    return Fill("o", "BTC-USD", side, price, quantity, value, fee_of(value, rate), Liquidity.TAKER, at, reason)


ENTRY = fill(Side.BUY, 100.0, units(2), Reason.ENTRY)


def test_profit_is_net_of_all_fees_and_the_reason_is_that_of_the_last_exit() -> None:
    position = opened_by(ENTRY, atr_at_signal=1.0, stop=98.0)
    position = reduced_by(position, fill(Side.SELL, 110.0, units(1), Reason.TAKE_PROFIT, at=1))
    assert (position.is_open, position.levels_done, position.closed_ms) == (True, 1, None)
    assert position.realized_pnl == units(110) - units("1.1") - units(101)
    assert position.unrealized_pnl(105.0) == units(105) - units(101)
    closed = reduced_by(position, fill(Side.SELL, 90.0, units(1), Reason.TRAILING_STOP, at=2))
    assert (closed.is_open, closed.closed_ms, closed.exit_reason) == (False, 2, Reason.TRAILING_STOP)
    assert closed.fees == units("2") + units("1.1") + units("0.9")
    assert closed.realized_pnl == units(200) - units(200) - closed.fees


@given(st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=6), st.data())
def test_parts_of_the_profit_add_up_to_what_the_cash_gained(parts: list[int], data: st.DataObject) -> None:
    price = st.floats(min_value=0.01, max_value=1e5)
    entry = fill(Side.BUY, data.draw(price), sum(parts), Reason.ENTRY)
    position = opened_by(entry, atr_at_signal=1.0, stop=None)
    cash = -entry.value - entry.fee
    for part in parts:
        leave = fill(Side.SELL, data.draw(price), part, Reason.TAKE_PROFIT)
        position = reduced_by(position, leave)
        cash += leave.value - leave.fee
    assert not position.is_open
    assert position.realized_pnl == cash


def test_a_skipped_level_counts_as_done() -> None:
    position = opened_by(ENTRY, atr_at_signal=1.0, stop=98.0)
    assert level_skipped(position).levels_done == 1


def test_what_does_not_fit_the_position_is_refused() -> None:
    position = opened_by(ENTRY, atr_at_signal=1.0, stop=98.0)
    leave = fill(Side.SELL, 100.0, units(3), Reason.MANUAL)
    for wrong in (leave, ENTRY, leave._replace(quantity=1, symbol="ETH-USD")):
        with pytest.raises(ValueError, match="does not reduce"):
            reduced_by(position, wrong)
    with pytest.raises(ValueError, match="opens nothing"):
        opened_by(leave, atr_at_signal=1.0, stop=None)
