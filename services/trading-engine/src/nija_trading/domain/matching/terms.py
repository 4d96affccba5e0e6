"""What a venue asks and allows: fees, steps, ticks, minimums, and the cost of a market order.

Facts that the matching core takes as given. Where a market says nothing, quantities are cut to 1e-8, prices
are not rounded, and only the venue's smallest order value applies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nija_trading.domain.matching.money import units, value_of

MARKET_COST = 0.0005
"""Half the spread plus slippage: by so much a market order or a stop fills worse than the price it met."""


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Rates of the order value: `taker` for market orders and stops, `maker` for orders that rested."""

    taker: float
    maker: float


@dataclass(frozen=True, slots=True)
class MarketRules:
    """Rules of one market. Quantities and costs in units of 1e-8; `tick` is a price, None where unknown."""

    tick: float | None = None
    step: int = 1
    minimum_quantity: int = 0
    minimum_cost: int = 0
    market_cost: float = MARKET_COST

    def too_small(self, quantity: int, price: float) -> bool:
        """Whether the venue would refuse an order of this quantity at this price."""
        return self.refuses(quantity, value_of(price, quantity))

    def refuses(self, quantity: int, value: int) -> bool:
        """Whether the venue would refuse an order of this quantity and this value."""
        return quantity <= 0 or quantity < self.minimum_quantity or value < self.minimum_cost

    def price_up(self, price: float) -> float:
        """A sell's price, rounded up to the tick."""
        return price if self.tick is None else _on_tick(math.ceil(price / self.tick - _NOISE), self.tick)

    def price_down(self, price: float) -> float:
        """A stop's or a buy's price, rounded down to the tick."""
        return price if self.tick is None else _on_tick(math.floor(price / self.tick + _NOISE), self.tick)


_NOISE = 1e-9
"""A price that is a multiple of the tick but for a float's noise stays where it is."""


def _on_tick(ticks: int, tick: float) -> float:
    return round(ticks * tick, 12)


@dataclass(frozen=True, slots=True)
class Venue:
    """A broker as the matching core sees it: its fees and the rules of its markets."""

    name: str
    fees: FeeSchedule
    default_rules: MarketRules
    markets: Mapping[str, MarketRules] = field(default_factory=dict)

    def rules(self, symbol: str) -> MarketRules:
        """The rules of a market; the venue's default where nothing is known of it."""
        return self.markets.get(symbol, self.default_rules)


COINBASE = Venue("coinbase", FeeSchedule(taker=0.006, maker=0.004), MarketRules(minimum_cost=units(1)))
KRAKEN = Venue("kraken", FeeSchedule(taker=0.004, maker=0.0025), MarketRules(minimum_cost=units("0.5")))
VENUES: Mapping[str, Venue] = {venue.name: venue for venue in (COINBASE, KRAKEN)}
