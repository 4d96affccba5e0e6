"""A market that trades on a fake exchange, on a clock that a test moves, and what the plain runner makes of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from nija_common.events.preferences import TradingSettings as UserSettings
from nija_common.runtime.manifest import Service
from nija_common.testing.exchange import Candle, Exchange, Market, Quote, RunningExchange, run_exchange
from nija_common.values.clock import ManualClock
from nija_common.values.tiers import registration_defaults
from nija_trading.adapters.live_market import LiveMarket
from nija_trading.adapters.live_venue import LiveVenue
from nija_trading.adapters.public_exchange import PublicExchange
from nija_trading.domain.apex.parameters import PROFILES, RiskLevel
from nija_trading.domain.apex.simulate import Simulation, simulate
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.market.grid import STEP_MS
from nija_trading.domain.matching.money import units
from nija_trading.domain.matching.terms import VENUES, MarketRules
from nija_trading.domain.records import PAPER_CASH
from nija_trading.domain.standing import limits_of
from nija_trading.service import SERVICE
from nija_trading.wiring import build

START_MS = 1_700_438_400_000
HISTORY = 520
"""Candles that have closed when a test begins."""
TICK = "0.0001"


@dataclass(slots=True)
class Trading:
    """Candles by symbol, all of the same grid; those that have not opened yet are not told by the exchange."""

    rows: dict[str, list[Any]]
    clock: ManualClock
    running: RunningExchange
    missing: dict[str, set[int]] = field(default_factory=dict)

    @property
    def exchange(self) -> Exchange:
        return self.running.exchange

    def service(self) -> Service:
        """Trading-engine on this exchange, which may be asked as often as a test likes."""

        @asynccontextmanager
        async def build_live(settings: Any, platform: Any) -> AsyncIterator[Any]:
            async with build(settings, platform, market=self.market(settings, platform.clock)) as deps:
                yield deps

        return replace(SERVICE, build=build_live)

    def market(self, settings: Any, clock: ManualClock) -> LiveMarket:
        """The live market as `wiring.py` builds it, but for the throttle; pauses are of one length."""
        exchanges = [PublicExchange(n, clock, settings.brokers.base_url(n), throttled=False) for n in VENUES]
        return LiveMarket([LiveVenue(exchange, clock, jitter=lambda: 1.0) for exchange in exchanges], clock)

    @property
    def env(self) -> dict[str, str]:
        url = self.running.base_url
        return {
            "NIJA_MARKET": "live",
            "NIJA_BROKERS__COINBASE__BASE_URL": url,
            "NIJA_BROKERS__KRAKEN__BASE_URL": url,
            "NIJA_TRADING_LEASE_MS": "3000000",
            "NIJA_TRADING_POLL_MS": "100",
        }

    def step_ms(self, index: int) -> int:
        """The close of candle number `index`."""
        return START_MS + (index + 1) * STEP_MS

    async def now_is(self, index: int, seconds: float) -> None:
        """Puts the clock on to so long after a candle's close, once what has just been read has been given out."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.clock.advance((self.step_ms(index) - self.clock.now_ms()) / 1000 + seconds)

    def tell(self, symbol: str, indexes: Collection[int]) -> None:
        """The exchange knows these candles."""
        told = [told_as(self.rows[symbol][i], i) for i in indexes if i not in self.missing.get(symbol, ())]
        self.exchange.add_candles(symbol, STEP_MS // 1000, told)

    def forget(self, symbol: str, index: int) -> Candle:
        """The exchange does not know this candle yet; the candle that it will tell."""
        with self.exchange.lock:
            known = self.exchange.candles[symbol, STEP_MS // 1000]
            found = next(candle for candle in known if candle.start_s * 1000 == START_MS + index * STEP_MS)
            known.remove(found)
        return found

    def simulated(self, last: int, *, level: str = "high", broker: str = "coinbase") -> Simulation:
        """The plain runner over the same candles, up to number `last`, deciding from the first that closes live."""
        params = replace(PARAMETERS, warm_up=HISTORY + 1)
        limits = limits_of(UserSettings(), registration_defaults(0)[0])
        rules = MarketRules(float(TICK), minimum_quantity=units("0.0001"), minimum_cost=units(1))
        venue = replace(VENUES[broker], markets=dict.fromkeys(self.rows, rules))
        book = Rulebook(params, PROFILES[RiskLevel(level)], limits, venue)
        feeds = {symbol: self.candles(symbol, last) for symbol in self.rows}
        return simulate(feeds, book, PAPER_CASH)

    def candles(self, symbol: str, last: int) -> Candles:
        absent = self.missing.get(symbol, set())
        kept = [(START_MS + i * STEP_MS, *row[1:]) for i, row in enumerate(self.rows[symbol]) if i not in absent]
        return Candles.of(STEP_MS, [row for row in kept if row[0] <= START_MS + last * STEP_MS])

    async def step_of(self, deps: Any, user_id: str) -> int | None:
        """The last step that the user's shard has taken."""
        step: int | None = (await deps.store.shard((await deps.store.account(user_id)).shard)).step_ms
        return step

    async def until_step(self, deps: Any, user_id: str, index: int, *, behind: bool = False) -> None:
        """Waits until the user's shard has taken the step of that candle, and the user with it unless `behind`."""
        shard = (await deps.store.account(user_id)).shard
        loop = asyncio.get_running_loop()
        started = loop.time()
        for looked in itertools.count(1):
            found = await deps.store.shard(shard)
            if found.step_ms == self.step_ms(index) and (user_id in found.behind) == behind:
                return
            assert loop.time() < started + 20, f"step {index} is not taken: {found}"
            if looked % 300 == 0:
                self.clock.advance(1)  # who was still at work when the clock was put on sleeps from then on
            await asyncio.sleep(0.003)


def told_as(row: Sequence[float], index: int) -> Candle:
    """A candle as the exchange tells it."""
    return Candle(START_MS // 1000 + index * STEP_MS // 1000, *(repr(float(value)) for value in row[1:]))


@contextmanager
def trading(
    random_market: Callable[..., list[Any]],
    seeds: dict[str, int],
    bars: int,
    *,
    missing: dict[str, set[int]] | None = None,
    told: int | None = None,
) -> Iterator[Trading]:
    """A running exchange with these markets. `told`: so many candles are known to it already; by default all."""
    clock = ManualClock(START_MS + HISTORY * STEP_MS + 20_000)
    exchange = Exchange(now_s=lambda: clock.now_ms() / 1000)
    with run_exchange(exchange) as running:
        rows = {symbol: random_market(seed, HISTORY + bars, STEP_MS) for symbol, seed in seeds.items()}
        market = Trading(rows, clock, running, missing or {})
        for symbol in seeds:
            exchange.add_market(Market(symbol, price_step=TICK), Quote("99.99", "100.01", "100"))
            market.tell(symbol, range(HISTORY + bars if told is None else told))
        yield market
