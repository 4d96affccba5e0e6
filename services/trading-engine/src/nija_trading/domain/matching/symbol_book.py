"""One symbol's part of a paper account while candles go over it. The only code that fills orders on paper.

Mutable and short-lived: the paper broker takes it out of a book for one candle and puts it back (`match.py`);
the fast backtest keeps one from a trade's entry to its last exit. A quiet candle need not meet it: one whose
low stays above the stop and whose high reaches no level, while no order waits, changes nothing.
"""

from __future__ import annotations

from nija_trading.domain.matching.book import Holding
from nija_trading.domain.matching.money import cut, fee_of, portion, quantity_for, value_of
from nija_trading.domain.matching.orders import (
    Bracket,
    Ended,
    EndReason,
    Fill,
    Level,
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

# Where each fill does it: members of an enumeration are slow to look up, and a tuple's own `_make` is three times
# as fast as its constructor.
_fill = Fill._make
_BUY, _SELL = Side.BUY, Side.SELL
_MAKER, _TAKER = Liquidity.MAKER, Liquidity.TAKER
_STOP_LOSS, _TAKE_PROFIT = Reason.STOP_LOSS, Reason.TAKE_PROFIT


def legs(start: float, high: float, low: float, close: float) -> tuple[tuple[float, float], ...]:
    """The path inside a candle as legs (from, to): open, nearer extreme, farther extreme, close.

    The low comes first when both are as near.
    """
    if start - low <= high - start:
        return (start, low), (low, high), (high, close)
    return (start, high), (high, low), (low, close)


class SymbolBook:
    """Cash, what is held of a symbol, and its orders at rest; `fills` and `ended` in the order they came.

    `time_ms` is the opening of the candle that goes over it, or a mark's time: whoever drives it sets it. What is
    held is a `Holding` taken apart: `quantity` is 0 where there is none, `stop` the stop's price, `levels` has the
    lowest first.
    """

    __slots__ = (
        "active_from",
        "cash",
        "ended",
        "fees",
        "fills",
        "levels",
        "orders",
        "paid",
        "quantity",
        "rules",
        "stop",
        "stop_id",
        "stop_reason",
        "symbol",
        "time_ms",
    )

    def __init__(self, symbol: str, fees: FeeSchedule, rules: MarketRules, orders: list[Order]) -> None:
        self.symbol = symbol
        self.fees = fees
        self.rules = rules
        self.orders = orders
        self.begin(0, 0)

    def begin(self, cash: int, time_ms: int) -> None:
        """Begin with cash, and without a holding."""
        self.cash = cash
        self.time_ms = time_ms
        self.quantity = 0
        self.active_from = 0
        self.stop: float | None = None
        self.stop_id = ""
        self.stop_reason = _STOP_LOSS
        self.levels: list[Level] = []
        self.paid = 0
        """Fees of all fills."""
        self.fills: list[Fill] = []
        self.ended: list[Ended] = []

    def hold(self, held: Holding) -> None:
        """Begin with a holding."""
        self.quantity, self.active_from = held.quantity, held.active_from
        if held.stop is not None:
            self.stop_id, self.stop, self.stop_reason = held.stop
        self.levels = [(order_id, price, share) for order_id, price, share in held.levels]

    def holding(self) -> Holding | None:
        """What is held now."""
        if self.quantity == 0:
            return None
        stop = None if self.stop is None else RestingStop(self.stop_id, self.stop, self.stop_reason)
        return Holding(self.quantity, self.active_from, stop, tuple(RestingLevel(*level) for level in self.levels))

    # -- the open ----------------------------------------------------------------------------------------

    def at_open(self, price: float) -> None:
        """The stop, then levels and other limits, then market orders decided at or before this opening."""
        if self.quantity and self.active_from <= self.time_ms:
            if self.stop is not None and price <= self.stop:
                self._stopped(price)
            else:
                while self.levels and price > self.levels[0][1]:
                    self._level(price)
        if not self.orders:
            return
        for limit in self._limits():
            if price > limit.price if limit.side is _SELL else price < limit.price:
                self._limit(limit, price)
        for order in list(self.orders):
            if isinstance(order, MarketOrder) and order.decided_ms <= self.time_ms:
                self.market(order, price)

    # -- the path ----------------------------------------------------------------------------------------

    def path(self, start: float, high: float, low: float, close: float) -> None:
        """From the open to the nearer extreme, to the farther one, to the close; the open has been met."""
        if self.quantity and self.active_from < self.time_ms and not self.orders:
            # Where the stop is not reached, or no level is, the order of the extremes does not matter.
            if self.stop is None or self.stop < low:
                self._rising(start, high)
                return
            if not self.levels or self.levels[0][1] >= high:
                self._stopped(self.stop)
                return
        for begin, end in legs(start, high, low, close):
            if end < begin:
                self._falling(begin, end)
            else:
                self._rising(begin, end)

    def _falling(self, start: float, end: float) -> None:
        """A leg down to `end`: the stop where it is touched, buy limits where the price goes through."""
        while True:
            buy = self._highest_buy(end) if self.orders else None
            stop = self.stop
            touched = self.quantity and self.active_from <= self.time_ms and stop is not None and stop >= end
            if touched and stop is not None and (buy is None or stop >= buy.price):
                self._stopped(stop if stop < start else start)
                continue
            if buy is None:
                return
            self._limit(buy, buy.price)

    def _rising(self, start: float, end: float) -> None:
        """A leg up to `end`: levels and sell limits that the price goes through, lowest first."""
        while True:
            sell = self._lowest_sell(end) if self.orders else None
            if self.levels and self.active_from <= self.time_ms:
                price = self.levels[0][1]
                if price < end and (sell is None or price <= sell.price):
                    self._level(price if price > start else start)
                    continue
            if sell is None:
                return
            self._limit(sell, max(sell.price, start))

    # -- what is live now --------------------------------------------------------------------------------

    def _limits(self) -> list[LimitOrder]:
        return [o for o in self.orders if isinstance(o, LimitOrder) and o.placed_ms <= self.time_ms]

    def _highest_buy(self, end: float) -> LimitOrder | None:
        buys = [o for o in self._limits() if o.side is Side.BUY and o.price > end]
        return max(buys, key=lambda order: order.price, default=None)

    def _lowest_sell(self, end: float) -> LimitOrder | None:
        sells = [o for o in self._limits() if o.side is Side.SELL and o.price < end]
        return min(sells, key=lambda order: order.price, default=None)

    # -- one order ---------------------------------------------------------------------------------------

    def market(self, order: MarketOrder, price: float) -> None:
        """Fill a market order against `price`, moved by the market order's cost, or end it."""
        self._take(order)
        if order.side is _BUY:
            self.bought(order.order_id, order.reason, order.bracket, price, order.value or 0, order.quantity)
        elif self.quantity == 0:
            self._end(order.order_id, EndReason.NO_POSITION)
        else:
            self.sold(order.order_id, order.reason, price, order.quantity)

    def bought(
        self,
        order_id: str,
        reason: Reason,
        bracket: Bracket | None,
        price: float,
        value: int,
        quantity: int | None = None,
    ) -> None:
        """Buy at the market, for `value` unless a quantity is given."""
        paid = price * (1 + self.rules.market_cost)
        if quantity is None:
            quantity = quantity_for(value, paid, self.rules.step)
        self._buy(order_id, reason, bracket, paid, quantity, _TAKER, self.fees.taker)

    def sold(self, order_id: str, reason: Reason, price: float, quantity: int | None = None) -> None:
        """Sell at the market, all that is held unless a smaller quantity is given."""
        got = price * (1 - self.rules.market_cost)
        if quantity is None or quantity > self.quantity:
            quantity = self.quantity
        self._sell(order_id, got, quantity, value_of(got, quantity), _TAKER, self.fees.taker, reason)

    def _limit(self, order: LimitOrder, price: float) -> None:
        self._take(order)
        if order.side is Side.BUY:
            self._buy(order.order_id, order.reason, order.bracket, price, order.quantity, _MAKER, self.fees.maker)
        elif self.quantity == 0:
            self._end(order.order_id, EndReason.NO_POSITION)
        else:
            quantity = min(order.quantity, self.quantity)
            value = value_of(price, quantity)
            self._sell(order.order_id, price, quantity, value, _MAKER, self.fees.maker, order.reason)

    def _stopped(self, price: float) -> None:
        got = price * (1 - self.rules.market_cost)
        quantity = self.quantity
        self.stop = None
        value = value_of(got, quantity)
        self._sell(self.stop_id, got, quantity, value, _TAKER, self.fees.taker, self.stop_reason)

    def _level(self, price: float) -> None:
        """Sell the lowest level's share of what remains, or count it as done where that is too small."""
        order_id, _, part = self.levels.pop(0)
        left, rules = self.quantity, self.rules
        share = cut(portion(left, part), rules.step)
        value = value_of(price, share)
        if rules.refuses(share, value):
            self._end(order_id, EndReason.BELOW_MINIMUM)
            return
        if rules.too_small(left - share, price):
            share, value = left, value_of(price, left)
        self._sell(order_id, price, share, value, _MAKER, self.fees.maker, _TAKE_PROFIT)

    # -- cash and holding --------------------------------------------------------------------------------

    def _buy(
        self,
        order_id: str,
        reason: Reason,
        bracket: Bracket | None,
        price: float,
        quantity: int,
        liquidity: Liquidity,
        rate: float,
    ) -> None:
        value = value_of(price, quantity)
        fee = fee_of(value, rate)
        if self.quantity:
            self._end(order_id, EndReason.POSITION_EXISTS)
            return
        if self.rules.refuses(quantity, value):
            self._end(order_id, EndReason.BELOW_MINIMUM)
            return
        if value + fee > self.cash:
            self._end(order_id, EndReason.INSUFFICIENT_CASH)
            return
        self.cash -= value + fee
        self.paid += fee
        self.fills.append(
            _fill((order_id, self.symbol, _BUY, price, quantity, value, fee, liquidity, self.time_ms, reason))
        )
        self.quantity, self.active_from = quantity, self.time_ms
        if bracket is not None:
            self.stop_id, self.stop, self.stop_reason = (
                bracket.stop_order_id,
                bracket.stop_price(price, self.rules),
                _STOP_LOSS,
            )
            self.levels = bracket.levels_of(price, self.fees, self.rules)

    def _sell(
        self, order_id: str, price: float, quantity: int, value: int, liquidity: Liquidity, rate: float, reason: Reason
    ) -> None:
        fee = fee_of(value, rate)
        self.cash += value - fee
        self.paid += fee
        self.fills.append(
            _fill((order_id, self.symbol, _SELL, price, quantity, value, fee, liquidity, self.time_ms, reason))
        )
        self.quantity -= quantity
        if self.quantity == 0:
            self.closed()

    def closed(self) -> None:
        """Nothing is left: the stop and the levels that still rested are over."""
        if self.stop is not None:
            self._end(self.stop_id, EndReason.POSITION_CLOSED)
        for order_id, _, _ in self.levels:
            self._end(order_id, EndReason.POSITION_CLOSED)
        self.stop, self.levels = None, []

    def _take(self, order: Order) -> None:
        self.orders = [other for other in self.orders if other.order_id != order.order_id]

    def _end(self, order_id: str, reason: EndReason) -> None:
        self.ended.append(Ended(order_id, self.symbol, reason, self.time_ms))
