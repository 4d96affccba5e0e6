"""What positions are worth."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from nija_accounts.domain.positions import Mark, Marks, OpenPosition, open_position, total_pnl_pct, valued
from nija_common.events.trading import PositionOpened
from nija_common.testing.events import example_of

prices = st.integers(1, 10_000_000).map(lambda cents: cents / 100)


def position(**changes: object) -> OpenPosition:
    return open_position(example_of(PositionOpened, **changes), 0)


@given(entry=prices, now=prices, quantity=st.decimals("0.00000001", "1000", places=8))
def test_value_and_profit_agree_with_plain_arithmetic(entry: float, now: float, quantity: Decimal) -> None:
    size = Decimal(repr(entry)) * quantity
    held = position(entry_price=entry, quantity=f"{quantity:f}", size_usd=f"{size:f}")
    long = valued(held, Mark(now, 0))
    exact = Decimal(repr(now)) * quantity * 10**8
    assert abs(long.value - exact) <= 1
    assert abs(long.pnl - (exact - size * 10**8)) <= 1
    assert valued(held.model_copy(update={"side": "short"}), Mark(now, 0)).pnl == -long.pnl
    assert abs(long.equity - (held.size_usd + long.pnl)) <= 2


def test_without_positions_nothing_is_gained() -> None:
    assert total_pnl_pct([]) == 0.0


def test_an_older_mark_never_replaces_a_newer_one() -> None:
    marks = Marks()
    held = position(at_ms=5, mark_price=1.0)
    marks.moved(held.market, Mark(3.0, 20))
    marks.moved(held.market, Mark(2.0, 10))
    assert marks.of(held) == Mark(3.0, 20)
    assert marks.of(held.model_copy(update={"at_ms": 30})) == Mark(1.0, 30)
