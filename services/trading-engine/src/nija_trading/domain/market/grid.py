"""The steps of a live market: closing times on the grid of its timeframe, and what is waited for at each.

Every 5 minutes of UTC are a step, whether anybody traded or not. This module knows when a step is late and when it is
looked again; it reads no clock and asks no exchange.
"""

from __future__ import annotations

from dataclasses import dataclass

from nija_trading.domain.market.candles import timeframe_ms

TIMEFRAME = "5m"
"""Live bots run on this one."""
STEP_MS = timeframe_ms(TIMEFRAME)
SETTLE_MS = 3_000
"""A candle is asked for this long after its close: before that an exchange may still be adding trades to it."""
LATEST_MS = 10_000
"""A step waits this long after its close for candles that are not there; then it is taken without them."""
LOOK_MS = 150_000
"""Between two steps prices are looked at, this long after the first."""
FRESH_MS = 10_000
"""A quote older than this is no price to act on."""
FIRST_CANDLES = 500
"""Closed candles that a feed begins with, so that what its averages were seeded with is forgotten."""
MOST_CANDLES = 4_000
"""Closed candles (two weeks) that are read for steps which nobody took; what is older stays a gap."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The best prices of a market, and the last trade's, where the exchange told them. `at_ms`: when it was asked."""

    bid: float | None
    ask: float | None
    last: float | None
    at_ms: int

    @property
    def price(self) -> float | None:
        """The middle of bid and ask, without both of them the last trade's price."""
        if self.bid is None or self.ask is None:
            return self.last
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> float | None:
        """The distance of bid and ask as a fraction of their middle; None without both."""
        if self.bid is None or self.ask is None or self.price is None:
            return None
        return (self.ask - self.bid) / self.price

    def fresh(self, now_ms: int) -> bool:
        """Whether it may be acted on."""
        return now_ms - self.at_ms < FRESH_MS


def step_at(time_ms: int) -> int:
    """The last step at or before a moment."""
    return time_ms - time_ms % STEP_MS


def step_after(time_ms: int) -> int:
    """The first step behind a moment."""
    return step_at(time_ms) + STEP_MS
