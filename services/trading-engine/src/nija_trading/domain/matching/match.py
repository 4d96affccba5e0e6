"""Matching: what a candle, or a mark, does to a book.

Pure: (book, venue, candle) -> (book, fills, endings). A
candle has two phases. At its open: the stop, then the take-profit levels and other limits, then the market
orders decided at an earlier close. Then the path: open, nearer extreme, farther extreme, close (the low first
when both are as near); on a falling leg the stop, on a rising leg the levels. A live engine calls `open_phase`
as soon as an open is known and `rest_of_candle` at the close. What fills, and how, is `symbol_book.py`; what a
stop and levels do in a candle `guarded.py`, which the fast backtest calls too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from nija_trading.domain.market.candles import Candle
from nija_trading.domain.matching.book import PaperBook
from nija_trading.domain.matching.orders import Ended, Fill, MarketOrder
from nija_trading.domain.matching.symbol_book import SymbolBook
from nija_trading.domain.matching.terms import Venue


class Matched(NamedTuple):
    """What came of it: the new book (the same object where nothing happened), fills and endings in order."""

    book: PaperBook
    fills: tuple[Fill, ...] = ()
    ended: tuple[Ended, ...] = ()


def open_phase(book: PaperBook, venue: Venue, symbol: str, open_ms: int, price: float) -> Matched:
    """The symbol's next candle opened at `price`: fill what the open fills, once per candle."""
    if not book.concerns(symbol) or book.opened.get(symbol) == open_ms:
        return Matched(book)
    work = _taken(book, venue, symbol, open_ms)
    work.at_open(price)
    return _put_back(book, work, opened=open_ms)


def rest_of_candle(book: PaperBook, venue: Venue, symbol: str, candle: Candle) -> Matched:
    """The symbol's candle has closed: its open, if the book has not met that yet, and its path."""
    if not book.concerns(symbol) and symbol not in book.opened:
        return Matched(book)
    work = _taken(book, venue, symbol, candle.time_ms)
    if book.opened.get(symbol) != candle.time_ms:
        work.at_open(candle.open)
    work.path(candle.open, candle.high, candle.low, candle.close)
    return _put_back(book, work, opened=None)


def fill_now(book: PaperBook, venue: Venue, order: MarketOrder, mark: float, market_time: int) -> Matched:
    """Fill a market order that no close decided (alert, manual close, kill switch) at a mark, at once.

    The mark is moved by the market order's cost. A stop and levels that come with it meet the path from the
    first candle that opens at or after `market_time`.
    """
    work = _taken(book, venue, order.symbol, market_time)
    work.market(order, mark)
    return _put_back(book, work, opened=book.opened.get(order.symbol))


def _taken(book: PaperBook, venue: Venue, symbol: str, time_ms: int) -> SymbolBook:
    """The parts of a book that one symbol's candle may change."""
    orders = [order for order in book.orders if order.symbol == symbol]
    work = SymbolBook(symbol, venue.fees, venue.rules(symbol), orders, book.cash, time_ms)
    held = book.holdings.get(symbol)
    if held is not None:
        work.hold(held)
    return work


def _put_back(book: PaperBook, work: SymbolBook, opened: int | None) -> Matched:
    """The new book. `opened` is remembered only where something happened; None forgets it."""
    happened = bool(work.fills or work.ended)
    marks = dict(book.opened)
    if opened is None:
        marks.pop(work.symbol, None)
    elif happened:
        marks[work.symbol] = opened
    if not happened:
        return Matched(book if marks == book.opened else replace(book, opened=marks))
    holdings = dict(book.holdings)
    holdings.pop(work.symbol, None)
    held = work.holding()
    if held is not None:
        holdings[work.symbol] = held
    left = {order.order_id for order in work.orders}
    orders = tuple(o for o in book.orders if o.symbol != work.symbol or o.order_id in left)
    after = replace(book, cash=work.cash, holdings=holdings, orders=orders, opened=marks)
    return Matched(after, tuple(work.fills), tuple(work.ended))
