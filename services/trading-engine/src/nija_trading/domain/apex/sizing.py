"""Size: from a score to an order value, through every clamp, or the reason for which there is no order.

Alike for APEX's own entries and for alerts. Values in units of 1e-8 of the quote currency; caps in USD are
taken in the quote currency.
"""

from __future__ import annotations

from typing import NamedTuple

from nija_trading.domain.apex.guarding import first_stop_of
from nija_trading.domain.apex.parameters import Limits, Parameters, RiskProfile
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.matching.money import fee_of, portion, quantity_for, reaches
from nija_trading.domain.matching.terms import Venue


class Room(NamedTuple):
    """What the account has for entries now: equity, exposure (positions and pending entries), free cash."""

    equity: int
    exposure: int
    cash: int

    def less(self, value: int, fee: int) -> Room:
        """The room that is left beside an entry of this value."""
        return Room(self.equity, self.exposure + value, self.cash - value - fee)


def fraction_of(score: int, params: Parameters, profile: RiskProfile, week_factor: float) -> float:
    """Fraction of equity for a score, before the clamps."""
    return score * params.size_per_point * profile.size_factor * week_factor


def entry_value(
    wanted: int,
    room: Room,
    *,
    symbol: str,
    price: float,
    atr: float,
    params: Parameters,
    profile: RiskProfile,
    limits: Limits,
    venue: Venue,
) -> int | Denial:
    """The value of an entry that wants `wanted`, after all clamps; or why there is none.

    `price` is the last close (or the mark of an alert). The exit at the stop is checked with the quantity that
    this price, moved by the market order's cost, would buy.
    """
    left = portion(room.equity, profile.exposure) - room.exposure
    if left <= 0 or not reaches(left, room.equity, params.minimum_room):
        return Denial.EXPOSURE
    value = min(wanted, left, portion(room.equity, params.hard_cap_fraction), params.hard_cap_value)
    if limits.position_value is not None:
        value = min(value, limits.position_value)
    rules = venue.rules(symbol)
    entry = price * (1 + rules.market_cost)
    quantity = quantity_for(max(value, 0), entry, rules.step)
    if value < rules.minimum_cost or rules.too_small(quantity, entry):
        return Denial.BELOW_MINIMUM
    stop = first_stop_of(entry, atr, params, rules)
    if rules.too_small(quantity, stop):
        return Denial.EXIT_BELOW_MINIMUM
    if value + fee_of(value, venue.fees.taker) > room.cash:
        return Denial.INSUFFICIENT_CASH
    return value
