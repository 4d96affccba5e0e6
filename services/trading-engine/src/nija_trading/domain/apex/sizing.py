"""Size: from a score to an order value, through every clamp, or the reason for which there is no order.

Alike for APEX's own entries and for alerts. Values in units of 1e-8 of the quote currency; caps in USD are
taken in the quote currency.
"""

from __future__ import annotations

from typing import NamedTuple

from nija_trading.domain.apex.guarding import first_stop_of
from nija_trading.domain.apex.parameters import Limits, Parameters, RiskProfile
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.matching.money import ONE, fee_of, part_of, quantity_for, rate_units
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


class Sizer:
    """The clamps of one market for one account: what stays the same from entry to entry, worked out once."""

    __slots__ = ("_cap", "_exposure", "_kept", "_limit", "_params", "_plenty", "_rates", "_room", "_rules", "_taker")

    def __init__(self, symbol: str, params: Parameters, profile: RiskProfile, limits: Limits, venue: Venue) -> None:
        self._params = params
        self._rules = venue.rules(symbol)
        self._taker = venue.fees.taker
        self._exposure, self._room, self._cap = (
            rate_units(rate) for rate in (profile.exposure, params.minimum_room, params.hard_cap_fraction)
        )
        own = limits.position_value
        self._limit = params.hard_cap_value if own is None else min(own, params.hard_cap_value)
        # Whatever is worth so much at its lowest stop is above every minimum; not where a tick moves the stop too.
        self._kept = 1 - params.stop_maximum if self._rules.tick is None else 0.0
        self._plenty = 2.0 * self._rules.minimum_cost + ONE
        self._rates: dict[float, int] = {}

    def value(self, wanted: int, room: Room, price: float, atr: float) -> int | Denial:
        """The value of an entry that wants `wanted`, after all clamps; or why there is none.

        `price` is the last close (or the mark of an alert). The exit at the stop is checked with the quantity
        that this price, moved by the market order's cost, would buy.
        """
        equity, exposure, cash = room
        left = part_of(equity, self._exposure) - exposure
        if left <= 0 or left * ONE < equity * self._room:
            return Denial.EXPOSURE
        return self._clamped(min(wanted, left, part_of(equity, self._cap), self._limit), cash, price, atr)

    def flat(self, fraction: float, equity: int, price: float, atr: float) -> int | Denial:
        """`value` of an entry that wants `fraction` of the equity, where nothing is held or on its way."""
        left = part_of(equity, self._exposure)
        if left <= 0 or left * ONE < equity * self._room:
            return Denial.EXPOSURE
        rate = self._rates.get(fraction)
        if rate is None:
            rate = self._rates[fraction] = min(rate_units(fraction), self._exposure, self._cap)
        value = part_of(equity, rate)
        return self._clamped(value if value < self._limit else self._limit, equity, price, atr)

    def _clamped(self, value: int, cash: int, price: float, atr: float) -> int | Denial:
        """The value, if the venue takes it, takes the exit at its stop too, and the cash suffices."""
        rules = self._rules
        entry = price * (1 + rules.market_cost)
        quantity = quantity_for(max(value, 0), entry, rules.step)
        worth = entry * quantity
        if worth * self._kept < self._plenty or quantity < rules.minimum_quantity:
            if value < rules.minimum_cost or rules.too_small(quantity, entry):
                return Denial.BELOW_MINIMUM
            if rules.too_small(quantity, first_stop_of(entry, atr, self._params, rules)):
                return Denial.EXIT_BELOW_MINIMUM
        if value + fee_of(value, self._taker) > cash:
            return Denial.INSUFFICIENT_CASH
        return value
