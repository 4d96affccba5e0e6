"""Orders, the bracket that an entry brings along, and what comes of them: fills and endings.

Order ids are the caller's, deterministic, and unique in a book. Values, quantities and fees are units of
1e-8; prices float64 in the quote currency; times UTC milliseconds of the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from nija_trading.domain.market.candles import Floats
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules


class Side(StrEnum):
    """Buy or sell."""

    BUY = "buy"
    SELL = "sell"


class Liquidity(StrEnum):
    """Which of the two fees a fill paid."""

    MAKER = "maker"
    TAKER = "taker"


class Reason(StrEnum):
    """Why an order exists. All but `entry` are a trade's `exit_reason`; `manual` and `webhook` also open."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    OPPOSITE_SIGNAL = "opposite_signal"
    TREND_BREAK = "trend_break"
    MAX_HOLD = "max_hold"
    MANUAL = "manual"
    WEBHOOK = "webhook"
    EMERGENCY_STOP = "emergency_stop"
    KILL_SWITCH = "kill_switch"


class EndReason(StrEnum):
    """Why an order ended without a fill."""

    BELOW_MINIMUM = "below_minimum"
    INSUFFICIENT_CASH = "insufficient_cash"
    POSITION_EXISTS = "position_exists"
    NO_POSITION = "no_position"
    POSITION_CLOSED = "position_closed"


class BracketLevel(NamedTuple):
    """A take-profit level that is still to be placed: gain over the entry, share of what then remains."""

    order_id: str
    gain: float
    share: float


class Bracket(NamedTuple):
    """Stop and take-profit levels that come to life with the fill of an entry.

    The stop's distance is `multiple` times `atr`, the range at the signal, clamped to `minimum` and `maximum`,
    fractions of the fill price. `gross_levels` reads the gains without fees.
    """

    stop_order_id: str
    atr: float
    multiple: float
    minimum: float
    maximum: float
    levels: tuple[BracketLevel, ...] = ()
    gross_levels: bool = False

    def stop_price(self, entry: float, rules: MarketRules) -> float:
        """Price of the stop of an entry at `entry`, rounded down to the tick."""
        return first_stop(entry, self.atr, self.multiple, self.minimum, self.maximum, rules)

    def levels_of(self, entry: float, fees: FeeSchedule, rules: MarketRules) -> list[Level]:
        """The levels at rest (`level_prices`)."""
        return level_prices(self.levels, entry, fees, rules, self.gross_levels)


Level = tuple[str, float, float]
"""A `RestingLevel` while candles go over it: order id, price, share."""


def first_stop(entry: float, atr: float, multiple: float, minimum: float, maximum: float, rules: MarketRules) -> float:
    """A stop `multiple` x `atr` below `entry`, clamped to fractions of it, rounded down to the tick."""
    distance, least, most = multiple * atr, minimum * entry, maximum * entry
    if distance < least:
        distance = least
    if distance > most:
        distance = most
    return entry - distance if rules.tick is None else rules.price_down(entry - distance)


def level_prices(
    levels: tuple[BracketLevel, ...], entry: float, fees: FeeSchedule, rules: MarketRules, gross: bool
) -> list[Level]:
    """Levels of an entry at `entry`: net of its taker's fee and their own maker's, rounded up to the tick.

    `gross` leaves the fees out.
    """
    even = entry if gross else entry * (1 + fees.taker) / (1 - fees.maker)
    if rules.tick is None:
        return [(order_id, even * (1 + gain), share) for order_id, gain, share in levels]
    return [(order_id, rules.price_up(even * (1 + gain)), share) for order_id, gain, share in levels]


def first_stops(entries: Floats, atrs: Floats, multiple: float, minimum: float, maximum: float) -> Floats:
    """`first_stop` of many entries, where there is no tick; the same to the bit."""
    stops: Floats = entries - np.minimum(np.maximum(multiple * atrs, minimum * entries), maximum * entries)
    return stops


def levels_prices(entries: Floats, gains: Sequence[float], fees: FeeSchedule, gross: bool) -> Floats:
    """`level_prices` of many entries, one a row, where there is no tick; the same to the bit."""
    even = entries if gross else entries * (1 + fees.taker) / (1 - fees.maker)
    levels: Floats = np.multiply.outer(even, np.array([1 + gain for gain in gains]))
    return levels


@dataclass(frozen=True, slots=True)
class MarketOrder:
    """A market order. A buy has a `value` to spend; a sell has a `quantity`, or None for all that is left.

    `decided_ms` is the close at which it was decided: it fills at the open of the first candle that opens then
    or later. `bracket` goes with a buy.
    """

    order_id: str
    symbol: str
    side: Side
    reason: Reason
    decided_ms: int
    value: int | None = None
    quantity: int | None = None
    bracket: Bracket | None = None

    def __post_init__(self) -> None:
        if self.side is Side.BUY and (self.value is None) == (self.quantity is None):
            raise ValueError(f"buy {self.order_id} needs a value or a quantity, and not both")


@dataclass(frozen=True, slots=True)
class LimitOrder:
    """A limit order that is no take-profit level. Fills when the price trades through `price`."""

    order_id: str
    symbol: str
    side: Side
    reason: Reason
    price: float
    quantity: int
    placed_ms: int
    bracket: Bracket | None = None


Order = MarketOrder | LimitOrder


class RestingStop(NamedTuple):
    """The stop of a holding: sells all of it when the price touches `price`."""

    order_id: str
    price: float
    reason: Reason


class RestingLevel(NamedTuple):
    """A take-profit level at rest: sells `share` of what remains when the price goes through `price`."""

    order_id: str
    price: float
    share: float


class Fill(NamedTuple):
    """One execution. `value` is price times quantity; `market_time` the opening of the candle, or the mark's."""

    order_id: str
    symbol: str
    side: Side
    price: float
    quantity: int
    value: int
    fee: int
    liquidity: Liquidity
    market_time: int
    reason: Reason


class Ended(NamedTuple):
    """An order that is over without a fill. A take-profit level that was too small counts as done."""

    order_id: str
    symbol: str
    reason: EndReason
    market_time: int
