"""Books, orders, fills and positions survive JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from nija_trading.domain.matching.book import PaperBook, cancel, place
from nija_trading.domain.matching.codec import fill_from, fill_to, order_from, order_to
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.orders import (
    Bracket,
    BracketLevel,
    Fill,
    LimitOrder,
    Liquidity,
    MarketOrder,
    Reason,
    Side,
)
from nija_trading.domain.matching.position import PositionState, opened_by, reduced_by
from nija_trading.domain.matching.terms import COINBASE, MarketRules

BRACKET = Bracket("s", 1.25, 1.5, 0.005, 0.02, (BracketLevel("t1", 0.005, 0.1), BracketLevel("t2", 0.01, 0.15)), True)
ORDERS = (
    MarketOrder("m1", "BTC-USD", Side.BUY, Reason.ENTRY, 5, value=units("12.3"), bracket=BRACKET),
    MarketOrder("m2", "ETH-USD", Side.SELL, Reason.OPPOSITE_SIGNAL, 6),
    LimitOrder("l1", "SOL-USD", Side.BUY, Reason.WEBHOOK, 0.1, units(3), 7, BRACKET),
)
FILL = Fill("m1", "BTC-USD", Side.BUY, 0.1 + 0.2, 3, 2, 1, Liquidity.TAKER, 60_000, Reason.ENTRY)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_orders_and_fills_survive_json() -> None:
    for order in ORDERS:
        assert order_from(through_json(order_to(order))) == order
    assert fill_from(through_json(fill_to(FILL))) == FILL


def test_a_book_survives_json(held: Any) -> None:
    book = held(levels=((110.1, 0.1), (120.2, 0.5)))
    for order in ORDERS:
        book = place(book, order)
    book = replace(book, opened={"BTC-USD": 60_000})
    assert PaperBook.from_dict(through_json(book.to_dict())) == book
    bare = held(stop=None)
    assert PaperBook.from_dict(through_json(bare.to_dict())) == bare


def test_a_position_survives_json() -> None:
    position = opened_by(FILL, atr_at_signal=1.1, stop=0.29)
    assert PositionState.from_dict(through_json(position.to_dict())) == position
    closed = reduced_by(position, FILL._replace(side=Side.SELL, reason=Reason.MAX_HOLD))
    assert PositionState.from_dict(through_json(closed.to_dict())) == closed


def test_a_book_keeps_the_rules_of_a_market_until_it_is_done_with_it() -> None:
    first, then = MarketRules(tick=0.5, step=10, minimum_cost=100), MarketRules(tick=0.1)
    venue = replace(COINBASE, markets={"BTC-USD": then, "ETH-USD": then})
    order = MarketOrder("ord_1", "BTC-USD", Side.BUY, Reason.ENTRY, 0, value=10**10)
    book = place(PaperBook(10**12).under("BTC-USD", first), order)
    again = PaperBook.from_dict(book.to_dict())
    assert again == book
    assert again.under("BTC-USD", then) is again, "in the middle of something"
    assert again.ruled(venue).rules("BTC-USD") == first
    assert again.ruled(venue).rules("ETH-USD") == then
    over = cancel(again, "ord_1")
    assert over.ruled(venue).rules("BTC-USD") == then
    assert over.under("BTC-USD", then).rules == {"BTC-USD": then}
    assert over.under("BTC-USD", None).rules == {}


def test_a_book_that_was_stored_before_it_kept_rules_is_read() -> None:
    row = PaperBook(5).to_dict()
    del row["rules"]
    assert PaperBook.from_dict(row) == PaperBook(5)
