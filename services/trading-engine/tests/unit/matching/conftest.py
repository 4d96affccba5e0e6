"""Books and candles for the matching tests: round numbers, no fees unless a test asks for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nija_trading.domain.market.candles import Candle
from nija_trading.domain.matching.book import Holding, PaperBook
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.orders import Reason, RestingLevel, RestingStop
from nija_trading.domain.matching.terms import FeeSchedule, MarketRules, Venue

MakeVenue = Callable[..., Venue]
MakeBook = Callable[..., PaperBook]
MakeCandle = Callable[..., Candle]


@pytest.fixture(scope="session")
def venue() -> MakeVenue:
    """A venue; taker, maker and the market's rules by keyword."""

    def make(taker: float = 0.0, maker: float = 0.0, **rules: object) -> Venue:
        return Venue("test", FeeSchedule(taker, maker), MarketRules(**{"market_cost": 0.0, **rules}))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def held() -> MakeBook:
    """A book that holds 100 BTC since time 0, with a stop and levels `(price, share)`."""

    def make(
        stop: float | None = 90.0,
        levels: tuple[tuple[float, float], ...] = (),
        quantity: str = "100",
        active_from: int = 0,
    ) -> PaperBook:
        resting = tuple(RestingLevel(f"tp{n}", price, share) for n, (price, share) in enumerate(levels, 1))
        guard = None if stop is None else RestingStop("stop", stop, Reason.STOP_LOSS)
        holding = Holding(units(quantity), active_from, guard, resting)
        return PaperBook(units(1000), {"BTC-USD": holding})

    return make


@pytest.fixture(scope="session")
def candle() -> MakeCandle:
    """A candle at time 60,000 from open, high, low, close."""

    def make(opened: float, high: float, low: float, close: float, time_ms: int = 60_000) -> Candle:
        return Candle(time_ms, opened, high, low, close, 1.0)

    return make
