"""One symbol's part of a paper account while candles go over it. The only code that fills orders on paper.

Mutable and short-lived: the paper broker takes it out of a book for one candle and puts it back (`match.py`);
the fast backtest keeps one from a trade's entry to its last exit. A quiet candle need not meet it: one whose
low stays above the stop and whose high reaches no level, while no order waits, changes nothing.
"""

from __future__ import annotations

from nija_trading.domain.matching.book import Holding
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
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules


def legs(start: float, high: float, low: float, close: float) -> tuple[tuple[float, float], ...]:
    """The path inside a candle as legs (from, to): open, nearer extreme, farther extreme, close.

    The low comes first when both are as near.
    """
    if start - low <= high - start:
        return (start, low), (low, high), (high, close)
    return (start, high), (high, low), (low, close)


class SymbolBook:
    """Cash, what is held of a symbol, and its orders at rest; `fills` and `ended` in the order they came.

    `time_ms` is the opening of the candle that goes over it, or a mark's time: whoever drives it sets it.
    """

    __slots__ = ("cash", "ended", "fees", "fills", "held", "orders", "rules", "symbol", "time_ms")

    def __init__(
        self,
        symbol: str,
        fees: FeeSchedule,
        rules: MarketRules,
        cash: int,
        *,
        time_ms: int = 0,
        held: Holding | None = None,
        orders: list[Order] | None = None,
    ) -> None:
        self.symbol = symbol
        self.fees = fees
        self.rules = rules
        self.cash = cash
        self.time_ms = time_ms
        self.held = held
        self.orders: list[Order] = [] if orders is None else orders
        self.fills: list[Fill] = []
        self.ended: list[Ended] = []

    # -- the open ----------------------------------------------------------------------------------------

    def at_open(self, price: float) -> None:
        """The stop, then levels and other limits, then market orders decided at or before this opening."""
        held = self._active()
        if held is not None:
            if held.stop is not None and price <= held.stop.price:
                self._stopped(held, held.stop, price)
            else:
                for level in held.levels:
                    if price > level.price and self.held is not None:
                        self._level(self.held, level, price)
        if not self.orders:
            return
        for limit in self._limits():
            if price > limit.price if limit.side is Side.SELL else price < limit.price:
                self._limit(limit, price)
        for order in list(self.orders):
            if isinstance(order, MarketOrder) and order.decided_ms <= self.time_ms:
                self.market(order, price)

    # -- the path ----------------------------------------------------------------------------------------

    def path(self, start: float, high: float, low: float, close: float) -> None:
        """From the open to the nearer extreme, to the farther one, to the close."""
        for begin, end in legs(start, high, low, close):
            if end < begin:
                self._falling(begin, end)
            else:
                self._rising(begin, end)

    def _falling(self, start: float, end: float) -> None:
        """A leg down to `end`: the stop where it is touched, buy limits where the price goes through."""
        while True:
            buys = [o for o in self._limits() if o.side is Side.BUY and o.price > end]
            buy = max(buys, key=lambda order: order.price, default=None)
            held = self._active()
            stop = None if held is None else held.stop
            if held is not None and stop is not None and stop.price >= end and (buy is None or stop.price >= buy.price):
                self._stopped(held, stop, min(stop.price, start))
            elif buy is not None:
                self._limit(buy, buy.price)
            else:
                return

    def _rising(self, start: float, end: float) -> None:
        """A leg up to `end`: levels and sell limits that the price goes through, lowest first."""
        while True:
            sells = [o for o in self._limits() if o.side is Side.SELL and o.price < end]
            sell = min(sells, key=lambda order: order.price, default=None)
            held = self._active()
            level = None
            if held is not None:
                level = next((found for found in held.levels if found.price < end), None)
            if held is not None and level is not None and (sell is None or level.price <= sell.price):
                self._level(held, level, max(level.price, start))
            elif sell is not None:
                self._limit(sell, max(sell.price, start))
            else:
                return

    # -- what is live now --------------------------------------------------------------------------------

    def _active(self) -> Holding | None:
        held = self.held
        return held if held is not None and held.active_from <= self.time_ms else None

    def _limits(self) -> list[LimitOrder]:
        if not self.orders:
            return []
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

    def _stopped(self, held: Holding, stop: RestingStop, price: float) -> None:
        self.held = Holding(held.quantity, held.active_from, None, held.levels)
        got = price * (1 - self.rules.market_cost)
        self._sell(stop.order_id, got, held.quantity, Liquidity.TAKER, stop.reason)

    def _level(self, held: Holding, level: RestingLevel, price: float) -> None:
        """Sell the level's share of what remains, or count it as done where that is too small."""
        rest = tuple([other for other in held.levels if other is not level])
        left, rules = held.quantity, self.rules
        self.held = Holding(left, held.active_from, held.stop, rest)
        share = cut(portion(left, level.share), rules.step)
        if rules.too_small(share, price):
            self._end(level.order_id, EndReason.BELOW_MINIMUM)
            return
        if rules.too_small(left - share, price):
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
            held = self.held
            self.held = Holding(held.quantity - quantity, held.active_from, held.stop, held.levels)
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
