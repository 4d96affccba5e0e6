"""One exchange's feeds: pauses after failures, others unaffected, rules of markets, first candles page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nija_common.testing.exchange import Fault, FaultKind, Market
from nija_trading.adapters.live_market import LiveMarket
from nija_trading.adapters.live_venue import LiveVenue
from nija_trading.adapters.public_exchange import PublicExchange
from nija_trading.domain.market.grid import FIRST_CANDLES, STEP_MS
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.terms import MarketRules
from nija_trading.ports import Look

SEEDS = {"BTC-USD": 6690}
Until = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def watching(trading: Any, *looks: Look) -> AsyncIterator[LiveMarket]:
    """The live market, reading what these looks ask for."""
    exchanges = [
        PublicExchange(name, trading.clock, trading.running.base_url, throttled=False)
        for name in ("coinbase", "kraken")
    ]
    market = LiveMarket(
        [LiveVenue(exchange, trading.clock, jitter=lambda: 1.0) for exchange in exchanges], trading.clock
    )
    market.watch(looks)
    reading = asyncio.create_task(market.run(lambda: None))
    try:
        yield market
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await market.close()


def loaded(market: LiveMarket, broker: str) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return market.loaded(broker, SEEDS)

    return there


async def test_a_venue_that_asks_for_patience_is_left_alone_longer_each_time_and_the_other_goes_on(
    live: Any, random_market: Any, wait_until: Until
) -> None:
    with live.trading(random_market, SEEDS, 8) as trading:
        async with watching(trading, Look("coinbase", "BTC-USD"), Look("kraken", "BTC-USD")) as market:
            for broker in ("coinbase", "kraken"):
                await wait_until(loaded(market, broker), broker)
            busy = Fault(FaultKind.STATUS, status=429)
            trading.exchange.will_fail("/api/v3/brokerage/market/products/BTC-USD/candles", always=busy)
            before = len(trading.exchange.calls_to("BTC-USD/candles"))

            def asked() -> int:
                return len(trading.exchange.calls_to("BTC-USD/candles")) - before

            async def away() -> bool:
                return "coinbase" in market.notes()

            await trading.now_is(live.HISTORY, 3)
            await wait_until(away, "the exchange is known to be away")

            async def kraken_settled() -> bool:
                return market.known("kraken", "BTC-USD", trading.step_ms(live.HISTORY))

            await wait_until(kraken_settled, "the other exchange's candle")
            assert asked() == 1
            for pause, calls in ((4.5, 1), (1, 2), (9, 2), (2, 3), (19, 3), (2, 4)):
                for _ in range(10):
                    await asyncio.sleep(0)
                trading.clock.advance(pause)

                async def as_often(n: int = calls) -> bool:
                    return asked() >= n

                await wait_until(as_often, f"{calls} calls")
                await asyncio.sleep(0.03)
                assert asked() == calls
            trading.exchange.heal()
            trading.clock.advance(31)

            async def settled() -> bool:
                return market.known("coinbase", "BTC-USD", trading.step_ms(live.HISTORY))

            await wait_until(settled, "it is back")
            assert market.notes() == {}


@pytest.mark.parametrize(("broker", "pages"), [("coinbase", 2), ("kraken", 1)])
async def test_a_feed_begins_with_500_closed_candles(
    broker: str, pages: int, live: Any, random_market: Any, wait_until: Until
) -> None:
    with live.trading(random_market, SEEDS, 8) as trading:
        async with watching(trading, Look(broker, "BTC-USD")) as market:
            await wait_until(loaded(market, broker), "candles")
            feed = market.venues[broker].markets["BTC-USD"].feed
            assert feed is not None
            assert len(feed.candles) >= FIRST_CANDLES
            assert feed.newest_ms == trading.step_ms(live.HISTORY - 1)
            assert feed.opened is not None, "the candle that is being made"
            assert len(trading.exchange.calls_to("candles" if broker == "coinbase" else "OHLC")) == pages


async def test_a_feed_reaches_back_to_the_steps_that_nobody_took(
    live: Any, random_market: Any, wait_until: Until
) -> None:
    with live.trading(random_market, SEEDS, 8) as trading:
        behind = trading.step_ms(live.HISTORY - 1) - 300 * STEP_MS
        async with watching(trading, Look("coinbase", "BTC-USD", since_ms=behind)) as market:
            await wait_until(loaded(market, "coinbase"), "candles")
            assert len(trading.exchange.calls_to("candles")) == 3, "the exchange has nothing older"
            trading.clock.advance(30)
            await asyncio.sleep(0.05)
            assert len(trading.exchange.calls_to("candles")) == 3, "and is not asked for it again"


@pytest.mark.parametrize("broker", ["coinbase", "kraken"])
async def test_a_market_has_the_rules_that_the_exchange_tells(
    broker: str, live: Any, random_market: Any, wait_until: Until
) -> None:
    with live.trading(random_market, {}, 0) as trading:
        doge = Market("DOGE-USD", price_step="0.001", quantity_step="0.1", least_quantity="5", least_cost="2.5")
        trading.exchange.add_market(doge)
        async with watching(trading, Look(broker, "DOGE-USD")) as market:

            async def told() -> bool:
                return bool(market.venue(broker).markets)

            await wait_until(told, "rules")
            expected = MarketRules(0.001, step=units("0.1"), minimum_quantity=units(5), minimum_cost=units("2.5"))
            assert market.venue(broker).rules("DOGE-USD") == expected


async def test_while_an_exchanges_clock_is_behind_its_candle_has_not_closed(
    live: Any, random_market: Any, wait_until: Until
) -> None:
    with live.trading(random_market, SEEDS, 8) as trading:
        trading.exchange.now_s = lambda: trading.clock.now_ms() / 1000 - 30
        async with watching(trading, Look("coinbase", "BTC-USD")) as market:
            await wait_until(loaded(market, "coinbase"), "candles")
            await trading.now_is(live.HISTORY, 4)
            await asyncio.sleep(0.1)
            assert not market.known("coinbase", "BTC-USD", trading.step_ms(live.HISTORY))
            await trading.now_is(live.HISTORY, 40)

            async def settled() -> bool:
                return market.known("coinbase", "BTC-USD", trading.step_ms(live.HISTORY))

            await wait_until(settled, "once it has closed there")
