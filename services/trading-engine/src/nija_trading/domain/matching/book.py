"""The paper book: cash, holdings with what guards them, and orders at rest.

A frozen value. `match.py` moves it along a candle; the functions here place, move and cancel orders. It keeps
no history and no profit: fills tell that, and `position.py` adds them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from nija_trading.domain.matching import codec
from nija_trading.domain.matching.orders import Order, Reason, RestingLevel, RestingStop
from nija_trading.domain.matching.terms import MarketRules, Venue


class Holding(NamedTuple):
    """What is held of one symbol: units of 1e-8, the stop, and the take-profit levels, lowest first.

    Stop and levels meet the candles that open at or after `active_from`.
    """

    quantity: int
    active_from: int
    stop: RestingStop | None = None
    levels: tuple[RestingLevel, ...] = ()


@dataclass(frozen=True, slots=True)
class PaperBook:
    """A paper account at one venue. `cash` in units of 1e-8 of the quote currency.

    `opened` remembers, for a symbol whose current candle already met the book at its open with an effect, that
    candle's opening, so that the rest of the candle does not meet it twice. `rules` are those of the markets under which
    what is here was placed, where the exchange told them: they hold until the book is done with the market.
    """

    cash: int
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    opened: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, MarketRules] = field(default_factory=dict)

    def concerns(self, symbol: str) -> bool:
        """Whether a candle of this symbol can have any effect on the book."""
        return symbol in self.holdings or any(order.symbol == symbol for order in self.orders)

    def under(self, symbol: str, rules: MarketRules | None) -> PaperBook:
        """The book with a market's rules, unless it is in the middle of something there."""
        if self.concerns(symbol) or self.rules.get(symbol) == rules:
            return self
        others = {other: known for other, known in self.rules.items() if other != symbol}
        return replace(self, rules=others if rules is None else {**others, symbol: rules})

    def ruled(self, venue: Venue) -> Venue:
        """The venue with this book's rules where it is in the middle of something."""
        mine = {symbol: rules for symbol, rules in self.rules.items() if self.concerns(symbol)}
        return replace(venue, markets={**venue.markets, **mine}) if mine else venue

    def order_ids(self) -> frozenset[str]:
        """Ids of everything at rest: orders, stops, levels."""
        ids = {order.order_id for order in self.orders}
        for holding in self.holdings.values():
            ids.update(level.order_id for level in holding.levels)
            if holding.stop is not None:
                ids.add(holding.stop.order_id)
        return frozenset(ids)

    def to_dict(self) -> dict[str, Any]:
        """The book as plain JSON values."""
        return {
            "cash": self.cash,
            "holdings": {symbol: codec.holding_to(held) for symbol, held in self.holdings.items()},
            "orders": [codec.order_to(order) for order in self.orders],
            "opened": dict(self.opened),
            "rules": {symbol: asdict(rules) for symbol, rules in self.rules.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PaperBook:
        """The book that `to_dict` wrote."""
        holdings = {
            symbol: Holding(row["quantity"], row["active_from"], codec.stop_from(row), codec.levels_from(row))
            for symbol, row in data["holdings"].items()
        }
        orders = tuple(codec.order_from(row) for row in data["orders"])
        rules = {symbol: MarketRules(**row) for symbol, row in data.get("rules", {}).items()}
        return cls(data["cash"], holdings, orders, dict(data["opened"]), rules)


def place(book: PaperBook, order: Order) -> PaperBook:
    """The book with one more order at rest; ValueError if its id is taken."""
    if order.order_id in book.order_ids():
        raise ValueError(f"order {order.order_id} is already in the book")
    return replace(book, orders=(*book.orders, order))


def cancel(book: PaperBook, order_id: str) -> PaperBook:
    """The book without that order, stop or level; unchanged where it is not at rest any more."""
    orders = tuple(order for order in book.orders if order.order_id != order_id)
    if len(orders) < len(book.orders):
        return replace(book, orders=orders)
    for symbol, held in book.holdings.items():
        if held.stop is not None and held.stop.order_id == order_id:
            return replace(book, holdings={**book.holdings, symbol: held._replace(stop=None)})
        levels = tuple(level for level in held.levels if level.order_id != order_id)
        if len(levels) < len(held.levels):
            return replace(book, holdings={**book.holdings, symbol: held._replace(levels=levels)})
    return book


def move_stop(book: PaperBook, symbol: str, price: float, reason: Reason) -> PaperBook:
    """The book with a symbol's stop at another price; ValueError where nothing is held or no stop rests."""
    held = book.holdings.get(symbol)
    if held is None or held.stop is None:
        raise ValueError(f"no stop rests for {symbol}")
    stop = held.stop._replace(price=price, reason=reason)
    return replace(book, holdings={**book.holdings, symbol: held._replace(stop=stop)})
