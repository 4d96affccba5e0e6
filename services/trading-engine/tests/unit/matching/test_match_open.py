"""What the open of a candle does: the stop, then the ladder, then the orders decided at the last close."""

from __future__ import annotations

from typing import Any

import pytest

from nija_trading.domain.matching.book import PaperBook, place
from nija_trading.domain.matching.match import fill_now, open_phase, rest_of_candle
from nija_trading.domain.matching.money import as_float, units
from nija_trading.domain.matching.orders import (
    Bracket,
    BracketLevel,
    EndReason,
    LimitOrder,
    Liquidity,
    MarketOrder,
    Reason,
    Side,
)

BTC = "BTC-USD"
AT = 60_000


def buy(value: str, decided_ms: int = AT, bracket: Bracket | None = None, order_id: str = "buy") -> MarketOrder:
    return MarketOrder(order_id, BTC, Side.BUY, Reason.ENTRY, decided_ms, value=units(value), bracket=bracket)


def sell(reason: Reason = Reason.TREND_BREAK, decided_ms: int = AT) -> MarketOrder:
    return MarketOrder("sell", BTC, Side.SELL, reason, decided_ms)


def bracket(atr: float = 2.0, levels: tuple[BracketLevel, ...] = (), gross: bool = False) -> Bracket:
    return Bracket("stop", atr, 1.5, 0.005, 0.02, levels, gross)


def test_a_market_buy_fills_at_the_open_moved_against_us(venue: Any) -> None:
    book = place(PaperBook(units(1000)), buy("500"))
    result = open_phase(book, venue(taker=0.01, market_cost=0.0005), BTC, AT, 100.0)
    (fill,) = result.fills
    assert (fill.price, fill.liquidity, fill.market_time) == (100 * 1.0005, Liquidity.TAKER, AT)
    assert as_float(fill.quantity) == pytest.approx(500 / 100.05, abs=1e-8)
    assert fill.fee == round(fill.value * 0.01)
    assert result.book.cash == units(1000) - fill.value - fill.fee
    assert result.book.holdings[BTC].quantity == fill.quantity
    assert result.book.orders == ()


def test_a_market_sell_fills_at_the_open_moved_against_us_and_sells_all_that_is_left(venue: Any, held: Any) -> None:
    book = place(held(), sell())
    result = open_phase(book, venue(taker=0.01, market_cost=0.0005), BTC, AT, 100.0)
    (fill,) = result.fills
    assert (fill.price, fill.quantity, fill.reason) == (100 * 0.9995, units(100), Reason.TREND_BREAK)
    assert result.book.cash == units(1000) + fill.value - fill.fee
    assert result.book.holdings == {}
    assert [(e.order_id, e.reason) for e in result.ended] == [("stop", EndReason.POSITION_CLOSED)]


def test_an_order_waits_for_the_first_candle_that_opens_at_or_after_its_close(venue: Any) -> None:
    book = place(PaperBook(units(1000)), buy("500", decided_ms=AT))
    assert open_phase(book, venue(), BTC, AT - 1, 100.0).book is book
    assert len(open_phase(book, venue(), BTC, AT + 7, 100.0).fills) == 1
    assert open_phase(book, venue(), "ETH-USD", AT, 100.0).book is book


def test_at_the_open_the_stop_comes_before_the_decided_exit(venue: Any, held: Any) -> None:
    result = open_phase(place(held(stop=90.0), sell()), venue(), BTC, AT, 90.0)
    assert [fill.reason for fill in result.fills] == [Reason.STOP_LOSS]
    assert {(e.order_id, e.reason) for e in result.ended} == {("sell", EndReason.NO_POSITION)}


def test_at_the_open_the_ladder_comes_before_the_decided_exit(venue: Any, held: Any) -> None:
    book = place(held(levels=((110.0, 0.1), (120.0, 0.5))), sell())
    result = open_phase(book, venue(maker=0.001, taker=0.01), BTC, AT, 115.0)
    assert [(f.order_id, f.price, as_float(f.quantity)) for f in result.fills] == [
        ("tp1", 115.0, 10.0),
        ("sell", 115.0, 90.0),
    ]
    assert [fill.liquidity for fill in result.fills] == [Liquidity.MAKER, Liquidity.TAKER]


def test_a_stop_that_the_open_lies_beyond_fills_at_the_open_less_the_cost(venue: Any, held: Any) -> None:
    (fill,) = open_phase(held(stop=90.0), venue(market_cost=0.0005), BTC, AT, 80.0).fills
    assert (fill.price, fill.reason, fill.liquidity) == (80 * 0.9995, Reason.STOP_LOSS, Liquidity.TAKER)


def test_a_level_that_the_open_only_touches_is_not_filled(venue: Any, held: Any) -> None:
    assert open_phase(held(levels=((110.0, 0.1),)), venue(), BTC, AT, 110.0).fills == ()


def test_all_levels_that_the_open_lies_beyond_fill_at_the_open(venue: Any, held: Any) -> None:
    result = open_phase(held(levels=((110.0, 0.1), (112.0, 0.15), (115.0, 0.25))), venue(), BTC, AT, 115.0)
    assert [(f.price, as_float(f.quantity)) for f in result.fills] == [(115.0, 10.0), (115.0, 13.5)]


@pytest.mark.parametrize(
    ("order", "rules", "reason"),
    [
        (buy("1001"), {}, EndReason.INSUFFICIENT_CASH),
        (buy("1000"), {"taker": 0.001}, EndReason.INSUFFICIENT_CASH),
        (buy("0.5"), {"minimum_cost": units(1)}, EndReason.BELOW_MINIMUM),
        (buy("50"), {"minimum_quantity": units(1)}, EndReason.BELOW_MINIMUM),
        (buy("50"), {"step": units(1)}, EndReason.BELOW_MINIMUM),
    ],
)
def test_a_buy_that_the_account_or_the_market_forbids_ends_without_a_fill(
    order: MarketOrder, rules: dict[str, Any], reason: EndReason, venue: Any
) -> None:
    book = place(PaperBook(units(1000)), order)
    result = open_phase(book, venue(**rules), BTC, AT, 100.0)
    assert (result.fills, [e.reason for e in result.ended]) == ((), [reason])
    assert result.book.cash == book.cash
    assert result.book.orders == ()


def test_a_buy_beside_a_holding_ends_without_a_fill(venue: Any, held: Any) -> None:
    result = open_phase(place(held(), buy("100")), venue(), BTC, AT, 100.0)
    assert [e.reason for e in result.ended] == [EndReason.POSITION_EXISTS]


def test_a_quantity_is_cut_to_the_step(venue: Any) -> None:
    book = place(PaperBook(units(1000)), buy("500"))
    (fill,) = open_phase(book, venue(step=units("0.5")), BTC, AT, 110.0).fills
    assert as_float(fill.quantity) == 4.5


@pytest.mark.parametrize(("atr", "stop"), [(0.1, 99.5), (1.0, 98.5), (2.0, 98.0), (50.0, 98.0)])
def test_the_stop_lies_one_and_a_half_ranges_below_the_fill_within_half_and_two_per_cent(
    atr: float, stop: float, venue: Any
) -> None:
    book = place(PaperBook(units(1000)), buy("500", bracket=bracket(atr)))
    guard = open_phase(book, venue(), BTC, AT, 100.0).book.holdings[BTC].stop
    assert guard is not None
    assert guard.price == pytest.approx(stop)
    assert guard.reason is Reason.STOP_LOSS


def test_levels_stand_net_of_the_takers_fee_in_and_the_makers_out(venue: Any) -> None:
    levels = (BracketLevel("tp1", 0.005, 0.1), BracketLevel("tp2", 0.01, 0.15))
    book = place(PaperBook(units(1000)), buy("500", bracket=bracket(levels=levels)))
    resting = open_phase(book, venue(taker=0.006, maker=0.004), BTC, AT, 100.0).book.holdings[BTC].levels
    assert [level.price for level in resting] == [pytest.approx(100 * 1.006 / 0.996 * gain) for gain in (1.005, 1.01)]


def test_gross_levels_read_the_gains_literally(venue: Any) -> None:
    asked = bracket(levels=(BracketLevel("tp1", 0.01, 0.1),), gross=True)
    book = place(PaperBook(units(1000)), buy("500", bracket=asked))
    resting = open_phase(book, venue(taker=0.006, maker=0.004), BTC, AT, 100.0).book.holdings[BTC].levels
    assert resting[0].price == 101.0


def test_with_a_tick_sells_round_up_and_stops_down(venue: Any) -> None:
    asked = bracket(atr=0.91, levels=(BracketLevel("tp1", 0.0101, 0.1),), gross=True)
    book = place(PaperBook(units(1000)), buy("500", bracket=asked))
    holding = open_phase(book, venue(tick=0.25), BTC, AT, 100.0).book.holdings[BTC]
    assert holding.levels[0].price == 101.25
    assert holding.stop is not None
    assert holding.stop.price == 98.5


def test_a_price_on_the_tick_stays_where_it_is(venue: Any) -> None:
    rules = venue(tick=0.01).rules(BTC)
    for price in (0.07, 0.29, 1.13, 100.1, 64_123.57):
        assert rules.price_up(price) == rules.price_down(price) == price


def test_an_order_id_is_taken_once(held: Any) -> None:
    book = place(held(levels=((110.0, 0.1),)), sell())
    for taken in ("sell", "stop", "tp1"):
        with pytest.raises(ValueError, match="already in the book"):
            place(book, buy("1", order_id=taken))


def test_a_buy_says_value_or_quantity() -> None:
    with pytest.raises(ValueError, match="value or a quantity"):
        MarketOrder("x", BTC, Side.BUY, Reason.ENTRY, 0)


def test_an_alert_fills_at_once_at_the_mark_moved_by_the_cost(venue: Any) -> None:
    result = fill_now(PaperBook(units(1000)), venue(market_cost=0.0005), buy("500", bracket=bracket()), 100.0, 90_000)
    (fill,) = result.fills
    assert (fill.price, fill.market_time) == (100 * 1.0005, 90_000)
    assert result.book.holdings[BTC].stop is not None


def test_an_alerts_position_meets_the_first_candle_that_opens_at_or_after_it(venue: Any, candle: Any) -> None:
    book = fill_now(PaperBook(units(1000)), venue(), buy("500", bracket=bracket()), 100.0, 90_000).book
    running = candle(100.0, 101.0, 50.0, 60.0, time_ms=60_000)
    assert rest_of_candle(book, venue(), BTC, running).book is book
    (fill,) = rest_of_candle(book, venue(), BTC, candle(60.0, 61.0, 50.0, 60.0, time_ms=90_000)).fills
    assert (fill.price, fill.reason) == (60.0, Reason.STOP_LOSS)


def test_a_manual_close_fills_at_once_and_ends_what_rested(venue: Any, held: Any) -> None:
    order = MarketOrder("now", BTC, Side.SELL, Reason.MANUAL, 90_000)
    result = fill_now(held(levels=((110.0, 0.1),)), venue(), order, 95.0, 90_000)
    assert [(f.price, f.reason) for f in result.fills] == [(95.0, Reason.MANUAL)]
    assert {e.order_id for e in result.ended} == {"stop", "tp1"}
    empty = fill_now(result.book, venue(), order, 95.0, 90_000)
    assert [e.reason for e in empty.ended] == [EndReason.NO_POSITION]


def test_a_buy_limit_fills_at_the_open_only_where_that_lies_below_it(venue: Any) -> None:
    order = LimitOrder("limit", BTC, Side.BUY, Reason.ENTRY, 100.0, units(1), AT)
    book = place(PaperBook(units(1000)), order)
    assert open_phase(book, venue(), BTC, AT, 100.0).fills == ()
    (fill,) = open_phase(book, venue(maker=0.01), BTC, AT, 99.0).fills
    assert (fill.price, fill.liquidity, fill.fee) == (99.0, Liquidity.MAKER, units("0.99"))


def test_a_stop_above_the_open_of_its_own_entry_fills_at_the_open(venue: Any, candle: Any) -> None:
    book = place(PaperBook(units(1000)), buy("500", bracket=bracket(atr=0.01)))
    terms = venue(market_cost=0.01)
    result = rest_of_candle(book, terms, BTC, candle(100.0, 100.5, 95.0, 96.0))
    assert [f.order_id for f in result.fills] == ["buy", "stop"]
    falling = rest_of_candle(book, terms, BTC, candle(100.0, 110.0, 95.0, 96.0))
    assert falling.fills[1].price == 100.0 * 0.99, "not at a stop of 100.495 that the price never met"
