"""One symbol's part of a paper account while candles go over it. The only code that fills orders on paper.

Mutable and short-lived: the paper broker takes it out of a book for one candle and puts it back (`match.py`).
What a stop and levels do is `guarded.py`, which the fast backtest calls too; here other orders come in.
"""

from __future__ import annotations

from nija_trading.domain.matching import guarded
from nija_trading.domain.matching.book import Holding
from nija_trading.domain.matching.guarded import STOP, Sale, legs
from nija_trading.domain.matching.money import fee_of, rate_units, value_of
from nija_trading.domain.matching.orders import (
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

_BUY, _SELL = Side.BUY, Side.SELL
_MAKER, _TAKER = Liquidity.MAKER, Liquidity.TAKER


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
        "quantity",
        "rules",
        "stop",
        "stop_id",
        "stop_reason",
        "symbol",
        "time_ms",
    )

    def __init__(
        self, symbol: str, fees: FeeSchedule, rules: MarketRules, orders: list[Order], cash: int, time_ms: int
    ) -> None:
        self.symbol = symbol
        self.fees = fees
        self.rules = rules
        self.orders = orders
        self.cash = cash
        self.time_ms = time_ms
        self.quantity = 0
        self.active_from = 0
        self.stop: float | None = None
        self.stop_id = ""
        self.stop_reason = Reason.STOP_LOSS
        self.levels: list[Level] = []
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
            sales: list[Sale] = []
            stop, levels, shares = self.stop, *self._ladder()
            guarded.at_open(self.time_ms, stop, levels, shares, 0, self.quantity, price, self.rules, self.fees, sales)
            self._booked(sales)
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
        if not self.orders:
            if self.quantity and self.active_from <= self.time_ms:
                sales: list[Sale] = []
                guarded.along_path(
                    self.time_ms,
                    self.stop,
                    *self._ladder(),
                    0,
                    self.quantity,
                    start,
                    high,
                    low,
                    close,
                    self.rules,
                    self.fees,
                    sales,
                )
                self._booked(sales)
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
                price = stop if stop < start else start
                self._booked([guarded.sold(self.time_ms, STOP, self.quantity, price, self.rules, self.fees.taker)])
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
                    sales: list[Sale] = []
                    levels, shares = self._ladder()
                    rules, maker = self.rules, self.fees.maker
                    guarded.rising(self.time_ms, levels[:1], shares, 0, self.quantity, start, end, rules, maker, sales)
                    self._booked(sales)
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
        rules, taker = self.rules, self.fees.taker
        if order.side is _BUY:
            paid, quantity, value, fee = guarded.bought(order.value or 0, price, rules, taker)
            if order.quantity is not None:
                quantity, value = order.quantity, value_of(paid, order.quantity)
                fee = fee_of(value, taker)
            self._buy(order, paid, quantity, value, fee, _TAKER)
        elif self.quantity == 0:
            self._end(order.order_id, EndReason.NO_POSITION)
        else:
            quantity = self.quantity if order.quantity is None else min(order.quantity, self.quantity)
            _, _, got, _, value, fee = guarded.sold(self.time_ms, STOP, quantity, price, rules, taker)
            self._sell(order.order_id, got, quantity, value, fee, _TAKER, order.reason)

    def _limit(self, order: LimitOrder, price: float) -> None:
        self._take(order)
        quantity = order.quantity if order.side is _BUY else min(order.quantity, self.quantity)
        value = value_of(price, quantity)
        fee = fee_of(value, self.fees.maker)
        if order.side is _BUY:
            self._buy(order, price, quantity, value, fee, _MAKER)
        elif self.quantity == 0:
            self._end(order.order_id, EndReason.NO_POSITION)
        else:
            self._sell(order.order_id, price, quantity, value, fee, _MAKER, order.reason)

    def _ladder(self) -> tuple[list[float], list[int]]:
        """(prices, shares in hundred-millionths) of the levels that still rest."""
        return [price for _, price, _ in self.levels], [rate_units(share) for _, _, share in self.levels]

    def _booked(self, sales: list[Sale]) -> None:
        """What the stop and levels sold."""
        done = [level_id for level_id, _, _ in self.levels]
        self.levels = self.levels[sum(number != STOP for _, number, *_ in sales) :]
        for _, number, price, quantity, value, fee in sales:
            if number == STOP:
                self.stop = None
                self._sell(self.stop_id, price, quantity, value, fee, _TAKER, self.stop_reason)
            elif quantity == 0:
                self._end(done[number], EndReason.BELOW_MINIMUM)
            else:
                self._sell(done[number], price, quantity, value, fee, _MAKER, Reason.TAKE_PROFIT)

    # -- cash and holding --------------------------------------------------------------------------------

    def _buy(self, order: Order, price: float, quantity: int, value: int, fee: int, liquidity: Liquidity) -> None:
        if self.quantity:
            self._end(order.order_id, EndReason.POSITION_EXISTS)
            return
        if self.rules.refuses(quantity, value):
            self._end(order.order_id, EndReason.BELOW_MINIMUM)
            return
        if value + fee > self.cash:
            self._end(order.order_id, EndReason.INSUFFICIENT_CASH)
            return
        self.cash -= value + fee
        self._fill(order.order_id, _BUY, price, quantity, value, fee, liquidity, order.reason)
        self.quantity, self.active_from = quantity, self.time_ms
        bracket = order.bracket
        if bracket is not None:
            self.stop_id, self.stop_reason = bracket.stop_order_id, Reason.STOP_LOSS
            self.stop = bracket.stop_price(price, self.rules)
            self.levels = bracket.levels_of(price, self.fees, self.rules)

    def _sell(
        self, order_id: str, price: float, quantity: int, value: int, fee: int, liquidity: Liquidity, reason: Reason
    ) -> None:
        self.cash += value - fee
        self._fill(order_id, _SELL, price, quantity, value, fee, liquidity, reason)
        self.quantity -= quantity
        if self.quantity == 0:
            if self.stop is not None:
                self._end(self.stop_id, EndReason.POSITION_CLOSED)
            for level_id, _, _ in self.levels:
                self._end(level_id, EndReason.POSITION_CLOSED)
            self.stop, self.levels = None, []

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

    def _take(self, order: Order) -> None:
        self.orders = [other for other in self.orders if other.order_id != order.order_id]

    def _end(self, order_id: str, reason: EndReason) -> None:
        self.ended.append(Ended(order_id, self.symbol, reason, self.time_ms))
