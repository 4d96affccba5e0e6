"""The path inside a candle: open, nearer extreme, farther extreme, close; stops falling, levels rising."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_trading.domain.market.candles import Candle
from nija_trading.domain.matching.book import PaperBook, cancel, move_stop, place
from nija_trading.domain.matching.guarded import legs
from nija_trading.domain.matching.match import open_phase, rest_of_candle
from nija_trading.domain.matching.money import as_float, units
from nija_trading.domain.matching.orders import (
    Bracket,
    BracketLevel,
    EndReason,
    LimitOrder,
    MarketOrder,
    Reason,
    Side,
    first_stop,
    first_stops,
    level_prices,
    levels_prices,
)
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules

BTC = "BTC-USD"


def test_the_nearer_extreme_comes_first() -> None:
    assert legs(100.0, 105.0, 98.0, 101.0) == ((100.0, 98.0), (98.0, 105.0), (105.0, 101.0))
    assert legs(100.0, 102.0, 95.0, 101.0) == ((100.0, 102.0), (102.0, 95.0), (95.0, 101.0))


def test_the_low_comes_first_where_both_are_as_near() -> None:
    assert legs(100.0, 102.0, 98.0, 101.0)[0] == (100.0, 98.0)


def test_the_stop_before_the_target_where_the_low_is_nearer(candle: Any, venue: Any, held: Any) -> None:
    book = held(stop=95.0, levels=((110.0, 0.1),))
    result = rest_of_candle(book, venue(), BTC, candle(100.0, 120.0, 95.0, 100.0))
    assert [(f.order_id, f.price) for f in result.fills] == [("stop", 95.0)]


def test_the_target_before_the_stop_where_the_high_is_nearer(candle: Any, venue: Any, held: Any) -> None:
    book = held(stop=80.0, levels=((110.0, 0.1),))
    result = rest_of_candle(book, venue(), BTC, candle(100.0, 112.0, 80.0, 100.0))
    assert [(f.order_id, f.price, as_float(f.quantity)) for f in result.fills] == [
        ("tp1", 110.0, 10.0),
        ("stop", 80.0, 90.0),
    ]


def test_a_stop_fires_when_touched_and_fills_at_the_stop_less_the_cost(candle: Any, venue: Any, held: Any) -> None:
    touched = rest_of_candle(held(stop=95.0), venue(market_cost=0.0005), BTC, candle(100.0, 101.0, 95.0, 100.0))
    assert [f.price for f in touched.fills] == [95 * 0.9995], "below the candle's range"
    missed = rest_of_candle(held(stop=95.0), venue(), BTC, candle(100.0, 101.0, 95.01, 100.0))
    assert missed.fills == ()


def test_a_level_fills_only_when_the_price_goes_through_it(candle: Any, venue: Any, held: Any) -> None:
    book = held(levels=((110.0, 0.1),))
    assert rest_of_candle(book, venue(), BTC, candle(100.0, 110.0, 99.0, 105.0)).fills == ()
    (fill,) = rest_of_candle(book, venue(), BTC, candle(100.0, 110.01, 99.0, 105.0)).fills
    assert (fill.price, fill.reason) == (110.0, Reason.TAKE_PROFIT)


def test_each_level_sells_its_share_of_what_remains_and_a_runner_is_left(candle: Any, venue: Any, held: Any) -> None:
    levels = ((101.0, 0.10), (102.0, 0.15), (103.0, 0.25), (104.0, 0.50))
    result = rest_of_candle(held(levels=levels), venue(), BTC, candle(100.0, 110.0, 99.0, 109.0))
    assert [as_float(f.quantity) for f in result.fills] == [10.0, 13.5, 19.125, 28.6875]
    assert as_float(result.book.holdings[BTC].quantity) == 28.6875


def test_a_share_is_cut_to_the_step(candle: Any, venue: Any, held: Any) -> None:
    book = held(levels=((101.0, 0.15),), quantity="1")
    (fill,) = rest_of_candle(book, venue(step=units("0.01")), BTC, candle(100.0, 110.0, 99.0, 109.0)).fills
    assert as_float(fill.quantity) == 0.15


@pytest.mark.parametrize(
    "rules", [{"minimum_cost": units(20)}, {"minimum_quantity": units("0.2")}, {"step": units("0.2")}]
)
def test_a_share_below_the_minimum_is_not_sold_and_its_level_is_done(
    rules: dict[str, Any], candle: Any, venue: Any, held: Any
) -> None:
    book = held(levels=((101.0, 0.10), (102.0, 0.50)), quantity="1")
    result = rest_of_candle(book, venue(**rules), BTC, candle(100.0, 110.0, 99.0, 109.0))
    assert [(e.order_id, e.reason) for e in result.ended] == [("tp1", EndReason.BELOW_MINIMUM)]
    assert [f.order_id for f in result.fills] == ["tp2"]
    assert result.book.holdings[BTC].levels == ()


def test_a_remainder_below_the_minimum_closes_with_the_step_before(candle: Any, venue: Any, held: Any) -> None:
    book = held(levels=((101.0, 0.90), (102.0, 0.50)), quantity="1")
    result = rest_of_candle(book, venue(minimum_cost=units(20)), BTC, candle(100.0, 110.0, 99.0, 109.0))
    assert [(f.order_id, as_float(f.quantity)) for f in result.fills] == [("tp1", 1.0)]
    assert result.book.holdings == {}
    assert {e.order_id for e in result.ended} == {"stop", "tp2"}


def test_stop_and_ladder_live_from_the_fill_inside_the_same_candle(candle: Any, venue: Any) -> None:
    bracket = Bracket("stop", 2.0, 1.5, 0.005, 0.02, (BracketLevel("tp1", 0.01, 0.5),), True)
    order = MarketOrder("buy", BTC, Side.BUY, Reason.ENTRY, 60_000, value=units(100), bracket=bracket)
    result = rest_of_candle(place(PaperBook(units(1000)), order), venue(), BTC, candle(100.0, 102.0, 90.0, 95.0))
    assert [(f.order_id, f.price) for f in result.fills] == [("buy", 100.0), ("tp1", 101.0), ("stop", 98.0)]
    assert {f.market_time for f in result.fills} == {60_000}


def test_a_moved_stop_keeps_its_order_and_tells_its_reason(candle: Any, venue: Any, held: Any) -> None:
    book = move_stop(held(stop=90.0), BTC, 99.0, Reason.TRAILING_STOP)
    (fill,) = rest_of_candle(book, venue(), BTC, candle(100.0, 101.0, 98.0, 100.0)).fills
    assert (fill.order_id, fill.price, fill.reason) == ("stop", 99.0, Reason.TRAILING_STOP)
    with pytest.raises(ValueError, match="no stop rests"):
        move_stop(PaperBook(0), BTC, 1.0, Reason.STOP_LOSS)


def test_a_trailing_stop_above_the_close_fires_at_the_next_open(candle: Any, venue: Any, held: Any) -> None:
    book = move_stop(held(stop=90.0), BTC, 105.0, Reason.TRAILING_STOP)
    (fill,) = rest_of_candle(book, venue(), BTC, candle(100.0, 110.0, 98.0, 109.0)).fills
    assert fill.price == 100.0


def test_cancelled_orders_stops_and_levels_do_not_fill(candle: Any, venue: Any, held: Any) -> None:
    order = MarketOrder("sell", BTC, Side.SELL, Reason.MANUAL, 0)
    book = place(held(stop=95.0, levels=((110.0, 0.1),)), order)
    for order_id in ("sell", "stop", "tp1", "unknown"):
        book = cancel(book, order_id)
    assert book.order_ids() == frozenset()
    assert rest_of_candle(book, venue(), BTC, candle(100.0, 120.0, 80.0, 100.0)).book is book


def test_limits_of_another_kind_fill_when_the_price_trades_through_them(candle: Any, venue: Any, held: Any) -> None:
    sell = LimitOrder("out", BTC, Side.SELL, Reason.MANUAL, 110.0, units(40), 0)
    assert rest_of_candle(place(held(), sell), venue(), BTC, candle(100.0, 110.0, 95.0, 100.0)).fills == ()
    result = rest_of_candle(place(held(), sell), venue(), BTC, candle(100.0, 111.0, 95.0, 100.0))
    assert [(f.price, as_float(f.quantity)) for f in result.fills] == [(110.0, 40.0)]
    assert result.book.holdings[BTC].quantity == units(60)


def test_a_bought_limits_stop_is_live_on_the_rest_of_its_leg(candle: Any, venue: Any) -> None:
    bracket = Bracket("stop", 1.0, 1.0, 0.005, 0.02)
    order = LimitOrder("in", BTC, Side.BUY, Reason.ENTRY, 98.0, units(1), 0, bracket)
    book = place(PaperBook(units(1000)), order)
    result = rest_of_candle(book, venue(), BTC, candle(100.0, 101.0, 90.0, 95.0))
    assert [(f.order_id, f.price) for f in result.fills] == [("in", 98.0), ("stop", 97.0)]


prices = st.integers(min_value=80, max_value=120).map(float)


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    """Any candle whose prices meet stops and levels exactly now and then."""
    opened, close, *others = draw(st.lists(prices, min_size=4, max_size=4))
    everything = [opened, close, *others]
    return Candle(60_000, opened, max(everything), min(everything), close, 1.0)


@given(candles(), prices, st.lists(prices, max_size=4), st.booleans())
def test_the_open_apart_and_the_candle_at_once_fill_alike(
    venue: Any, held: Any, one: Candle, stop: float, levels: list[float], exits: bool
) -> None:
    book = held(stop=stop, levels=tuple((price, 0.3) for price in sorted(levels)))
    if exits:
        book = place(book, MarketOrder("sell", BTC, Side.SELL, Reason.MAX_HOLD, 60_000))
    terms = venue(taker=0.006, maker=0.004, market_cost=0.0005, minimum_cost=units(1))
    first = open_phase(book, terms, BTC, one.time_ms, one.open)
    again = open_phase(first.book, terms, BTC, one.time_ms, one.open)
    assert (again.book, again.fills, again.ended) == (first.book, (), ())
    rest = rest_of_candle(first.book, terms, BTC, one)
    whole = rest_of_candle(book, terms, BTC, one)
    assert first.fills + rest.fills == whole.fills
    assert first.ended + rest.ended == whole.ended
    assert rest.book == whole.book


@given(candles(), prices, st.lists(prices, max_size=4))
def test_cash_and_quantity_are_the_sum_of_the_fills(
    venue: Any, held: Any, one: Candle, stop: float, levels: list[float]
) -> None:
    book = held(stop=stop, levels=tuple((price, 0.3) for price in sorted(levels)))
    result = rest_of_candle(book, venue(taker=0.006, maker=0.004, market_cost=0.0005), BTC, one)
    assert result.book.cash == book.cash + sum(fill.value - fill.fee for fill in result.fills)
    left = result.book.holdings.get(BTC)
    assert (left.quantity if left else 0) == units(100) - sum(fill.quantity for fill in result.fills)
    resting = result.book.order_ids() | {f.order_id for f in result.fills} | {e.order_id for e in result.ended}
    assert resting == book.order_ids(), "no order disappears without a fill or an ending"


@given(candles(), prices)
def test_another_symbols_candle_changes_nothing(venue: Any, held: Any, one: Candle, stop: float) -> None:
    book = replace(held(stop=stop), opened={"ETH-USD": 1})
    assert rest_of_candle(book, venue(), "SOL-USD", one).book is book


@given(
    entries=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20),
    part=st.floats(0.0, 0.2),
    fees=st.builds(FeeSchedule, st.floats(0.0, 0.02), st.floats(0.0, 0.02)),
    gross=st.booleans(),
)
def test_stops_and_levels_of_many_entries_are_those_of_each(
    entries: list[float], part: float, fees: FeeSchedule, gross: bool
) -> None:
    column, atrs = np.array(entries), np.array(entries) * part
    ladder = tuple(BracketLevel(f"tp{n}", gain, 0.5) for n, gain in enumerate((0.005, 0.01, 0.02, 0.03)))
    rules, gains = MarketRules(), [level.gain for level in ladder]
    stops = first_stops(column, atrs, 1.5, 0.005, 0.02).tolist()
    assert stops == [first_stop(e, a, 1.5, 0.005, 0.02, rules) for e, a in zip(entries, atrs.tolist(), strict=True)]
    levels = levels_prices(column, gains, fees, gross).tolist()
    assert levels == [[price for _, price, _ in level_prices(ladder, e, fees, rules, gross)] for e in entries]
