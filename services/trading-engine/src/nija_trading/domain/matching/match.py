"""Matching: what a candle, or a mark, does to a book. The only code that fills orders on paper.

Pure: (book, venue, candle) -> (book, fills, endings). The paper broker and the backtester both call it. A
candle has two phases. At its open: the stop, then the take-profit levels and other limits, then the market
orders decided at an earlier close. Then the path: open, nearer extreme, farther extreme, close (the low first
when both are as near); on a falling leg the stop, on a rising leg the levels. A live engine calls `open_phase`
as soon as an open is known and `rest_of_candle` at the close; a backtest calls the latter alone: the same
fills come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from nija_trading.domain.market.candles import Candle
from nija_trading.domain.matching.book import Holding, PaperBook
from nija_trading.domain.matching.money import cut, fee_of, portion, quantity_for, value_of
from nija_trading.domain.matching.orders import (
    Ended,
    EndReason,
    Fill,
    LimitOrder,
    Liquidity,
    MarketOrder,
    Order,
    Reason,
    RestingLevel,
    RestingStop,
    Side,
)
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
    work = _Work(book, venue, symbol, open_ms)
    work.at_open(price)
    return work.result(opened=open_ms)


def rest_of_candle(book: PaperBook, venue: Venue, symbol: str, candle: Candle) -> Matched:
    """The symbol's candle has closed: its open, if the book has not met that yet, and its path."""
    if not book.concerns(symbol) and symbol not in book.opened:
        return Matched(book)
    work = _Work(book, venue, symbol, candle.time_ms)
    if book.opened.get(symbol) != candle.time_ms:
        work.at_open(candle.open)
    for start, end in legs(candle):
        if end < start:
            work.falling(start, end)
        else:
            work.rising(start, end)
    return work.result(opened=None)


def fill_now(book: PaperBook, venue: Venue, order: MarketOrder, mark: float, market_time: int) -> Matched:
    """Fill a market order that no close decided (alert, manual close, kill switch) at a mark, at once.

    The mark is moved by the market order's cost. A stop and levels that come with it meet the path from the
    first candle that opens at or after `market_time`.
    """
    work = _Work(book, venue, order.symbol, market_time)
    work.market(order, mark)
    return work.result(opened=book.opened.get(order.symbol))


def legs(candle: Candle) -> tuple[tuple[float, float], ...]:
    """The path inside a candle as legs (from, to): open, nearer extreme, farther extreme, close."""
    _, start, high, low, close, _ = candle
    if start - low <= high - start:
        return (start, low), (low, high), (high, close)
    return (start, high), (high, low), (low, close)


class _Work:
    """The parts of a book that one symbol's candle may change, while it does."""

    def __init__(self, book: PaperBook, venue: Venue, symbol: str, time_ms: int) -> None:
        self.book = book
        self.fees = venue.fees
        self.rules = venue.rules(symbol)
        self.symbol = symbol
        self.time_ms = time_ms
        self.cash = book.cash
        self.held = book.holdings.get(symbol)
        self.orders: list[Order] = [order for order in book.orders if order.symbol == symbol]
        self.fills: list[Fill] = []
        self.ended: list[Ended] = []

    def result(self, opened: int | None) -> Matched:
        """The new book. `opened` is remembered only where something happened; None forgets it."""
        happened = bool(self.fills or self.ended)
        marks = dict(self.book.opened)
        if opened is None:
            marks.pop(self.symbol, None)
        elif happened:
            marks[self.symbol] = opened
        if not happened:
            book = self.book if marks == self.book.opened else replace(self.book, opened=marks)
            return Matched(book)
        holdings = dict(self.book.holdings)
        holdings.pop(self.symbol, None)
        if self.held is not None:
            holdings[self.symbol] = self.held
        left = {order.order_id for order in self.orders}
        orders = tuple(o for o in self.book.orders if o.symbol != self.symbol or o.order_id in left)
        book = replace(self.book, cash=self.cash, holdings=holdings, orders=orders, opened=marks)
        return Matched(book, tuple(self.fills), tuple(self.ended))

    # -- the open ----------------------------------------------------------------------------------------

    def at_open(self, price: float) -> None:
        """The stop, then levels and other limits, then market orders decided at or before this opening."""
        stop = self._stop()
        if stop is not None and price <= stop.price:
            self._stopped(stop, price)
        for level in self._levels():
            if price > level.price:
                self._level(level, price)
        for limit in self._limits():
            if price > limit.price if limit.side is Side.SELL else price < limit.price:
                self._limit(limit, price)
        for order in list(self.orders):
            if isinstance(order, MarketOrder) and order.decided_ms <= self.time_ms:
                self.market(order, price)

    # -- the path ----------------------------------------------------------------------------------------

    def falling(self, start: float, end: float) -> None:
        """A leg down to `end`: the stop where it is touched, buy limits where the price goes through."""
        while True:
            buys = [o for o in self._limits() if o.side is Side.BUY and o.price > end]
            buy = max(buys, key=lambda order: order.price, default=None)
            stop = self._stop()
            touched = stop is not None and stop.price >= end
            if touched and stop is not None and (buy is None or stop.price >= buy.price):
                self._stopped(stop, min(stop.price, start))
            elif buy is not None:
                self._limit(buy, buy.price)
            else:
                return

    def rising(self, start: float, end: float) -> None:
        """A leg up to `end`: levels and sell limits that the price goes through, lowest first."""
        while True:
            sells = [o for o in self._limits() if o.side is Side.SELL and o.price < end]
            sell = min(sells, key=lambda order: order.price, default=None)
            level = next((found for found in self._levels() if found.price < end), None)
            if level is not None and (sell is None or level.price <= sell.price):
                self._level(level, max(level.price, start))
            elif sell is not None:
                self._limit(sell, max(sell.price, start))
            else:
                return

    # -- what is live now --------------------------------------------------------------------------------

    def _active(self) -> Holding | None:
        held = self.held
        return held if held is not None and held.active_from <= self.time_ms else None

    def _stop(self) -> RestingStop | None:
        held = self._active()
        return None if held is None else held.stop

    def _levels(self) -> Iterator[RestingLevel]:
        held = self._active()
        for level in held.levels if held is not None else ():
            if self.held is None:
                return
            yield level

    def _limits(self) -> list[LimitOrder]:
        return [o for o in self.orders if isinstance(o, LimitOrder) and o.placed_ms <= self.time_ms]

    # -- one order ---------------------------------------------------------------------------------------

    def market(self, order: MarketOrder, price: float) -> None:
        """Fill a market order against `price`, moved by the market order's cost, or end it."""
        self._take(order)
        if order.side is Side.BUY:
            paid = price * (1 + self.rules.market_cost)
            quantity = order.quantity
            if quantity is None:
                quantity = quantity_for(order.value or 0, paid, self.rules.step)
            self._buy(order, paid, quantity, Liquidity.TAKER)
        elif self.held is None:
            self._end(order.order_id, EndReason.NO_POSITION)
        else:
            left = self.held.quantity
            quantity = left if order.quantity is None else min(order.quantity, left)
            got = price * (1 - self.rules.market_cost)
            self._sell(order.order_id, got, quantity, Liquidity.TAKER, order.reason)

    def _limit(self, order: LimitOrder, price: float) -> None:
        self._take(order)
        if order.side is Side.BUY:
            self._buy(order, price, order.quantity, Liquidity.MAKER)
        elif self.held is None:
            self._end(order.order_id, EndReason.NO_POSITION)
        else:
            quantity = min(order.quantity, self.held.quantity)
            self._sell(order.order_id, price, quantity, Liquidity.MAKER, order.reason)

    def _stopped(self, stop: RestingStop, price: float) -> None:
        assert self.held is not None
        self.held = replace(self.held, stop=None)
        got = price * (1 - self.rules.market_cost)
        self._sell(stop.order_id, got, self.held.quantity, Liquidity.TAKER, stop.reason)

    def _level(self, level: RestingLevel, price: float) -> None:
        """Sell the level's share of what remains, or count it as done where that is too small."""
        assert self.held is not None
        rest = tuple(other for other in self.held.levels if other is not level)
        self.held = replace(self.held, levels=rest)
        left = self.held.quantity
        share = cut(portion(left, level.share), self.rules.step)
        if self.rules.too_small(share, price):
            self._end(level.order_id, EndReason.BELOW_MINIMUM)
            return
        if self.rules.too_small(left - share, price):
            share = left
        self._sell(level.order_id, price, share, Liquidity.MAKER, Reason.TAKE_PROFIT)

    # -- cash and holding --------------------------------------------------------------------------------

    def _buy(self, order: Order, price: float, quantity: int, liquidity: Liquidity) -> None:
        value = value_of(price, quantity)
        fee = fee_of(value, self._rate(liquidity))
        if self.held is not None:
            self._end(order.order_id, EndReason.POSITION_EXISTS)
            return
        if self.rules.too_small(quantity, price):
            self._end(order.order_id, EndReason.BELOW_MINIMUM)
            return
        if value + fee > self.cash:
            self._end(order.order_id, EndReason.INSUFFICIENT_CASH)
            return
        self.cash -= value + fee
        self._fill(order.order_id, Side.BUY, price, quantity, value, fee, liquidity, order.reason)
        bracket = order.bracket
        if bracket is None:
            self.held = Holding(quantity, self.time_ms)
            return
        stop_price = bracket.stop_price(price, self.rules)
        stop = RestingStop(bracket.stop_order_id, stop_price, Reason.STOP_LOSS)
        levels = tuple(
            RestingLevel(level.order_id, bracket.level_price(level, price, self.fees, self.rules), level.share)
            for level in bracket.levels
        )
        self.held = Holding(quantity, self.time_ms, stop, levels)

    def _sell(self, order_id: str, price: float, quantity: int, liquidity: Liquidity, reason: Reason) -> None:
        assert self.held is not None
        value = value_of(price, quantity)
        fee = fee_of(value, self._rate(liquidity))
        self.cash += value - fee
        self._fill(order_id, Side.SELL, price, quantity, value, fee, liquidity, reason)
        if quantity < self.held.quantity:
            self.held = replace(self.held, quantity=self.held.quantity - quantity)
            return
        closed, self.held = self.held, None
        if closed.stop is not None:
            self._end(closed.stop.order_id, EndReason.POSITION_CLOSED)
        for level in closed.levels:
            self._end(level.order_id, EndReason.POSITION_CLOSED)

    def _rate(self, liquidity: Liquidity) -> float:
        return self.fees.maker if liquidity is Liquidity.MAKER else self.fees.taker

    def _take(self, order: Order) -> None:
        self.orders = [other for other in self.orders if other.order_id != order.order_id]

    def _fill(
        self,
        order_id: str,
        side: Side,
        price: float,
        quantity: int,
        value: int,
        fee: int,
        liquidity: Liquidity,
        reason: Reason,
    ) -> None:
        self.fills.append(
            Fill(order_id, self.symbol, side, price, quantity, value, fee, liquidity, self.time_ms, reason)
        )

    def _end(self, order_id: str, reason: EndReason) -> None:
        self.ended.append(Ended(order_id, self.symbol, reason, self.time_ms))
