"""One exchange's feeds and quotes in a worker: read once, whatever number of bots look at them.

Reads what is watched and nothing else: each market's candles at its start and at each close, prices at a look between
two closes and before an order that no close decides. An exchange that fails is left alone for a while, which grows and
is never twice the same; what is known of it stays. Whether a bot may act on it is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from nija_common.values.clock import Clock, until
from nija_trading.adapters.public_exchange import ExchangeAway, PublicExchange
from nija_trading.domain.apex.parameters import PROFILES, RiskProfile
from nija_trading.domain.apex.signals import Signals, signals
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.market.candles import Candle
from nija_trading.domain.market.feed import Feed
from nija_trading.domain.market.grid import (
    FIRST_CANDLES,
    LATEST_MS,
    LOOK_MS,
    MOST_CANDLES,
    SETTLE_MS,
    STEP_MS,
    Quote,
    step_at,
)
from nija_trading.ports import Look

log = structlog.get_logger(__name__)

CALLS_AT_ONCE = 4
TURN_S = 1.0
PUBLISH_S = 2.0
"""What has come is given out together after this long; slower answers follow."""
QUOTE_S = 1.5
"""An order that waits for a quote waits no longer than this."""
AGAIN_MS = ((LATEST_MS, 2_000), (60_000, 5_000))
"""How often a candle that is not there is asked for, by how long ago it closed; after that every `LATER_MS`."""
LATER_MS = 30_000
REFUSED_MS = 3_600_000
"""A market that an exchange does not have is looked for again after an hour."""
COMPARED_MS = 3_600_000
"""How often the exchange's clock is compared with ours."""
FORGOTTEN_MS = 600_000
"""A feed that nobody looks at is kept as long, so that a bot that starts again finds it."""
LONGEST_PAUSE_S = 30.0
BUSY_PAUSE_S = 5.0


@dataclass(slots=True)
class Watched:
    """One market that is watched, and what is known of it. Times in UTC milliseconds of the clock."""

    look: Look
    seen_ms: int
    feed: Feed | None = None
    asked_ms: int = 0
    quoted_ms: int = 0
    failures: int = 0
    retry_ms: int = 0
    absent_ms: int | None = None
    _signals: dict[RiskProfile, tuple[Feed, Signals]] = field(default_factory=dict)

    def signals(self, feed: Feed, profile: RiskProfile) -> Signals:
        """The feed's signals for a profile, computed once."""
        known = self._signals.get(profile)
        if known is None or known[0] is not feed:
            known = self._signals[profile] = feed, signals(feed.features, PARAMETERS, profile)
        return known[1]

    def wanted(self, now_ms: int) -> bool:
        """Whether its candles are to be asked for now."""
        if now_ms < self.retry_ms:
            return False
        if self.absent_ms is not None:
            return now_ms - self.absent_ms >= REFUSED_MS
        feed = self.feed
        if feed is None or not self.covers(feed):
            return True
        step_ms = step_at(now_ms - SETTLE_MS)
        if feed.settled(step_ms) and not (self.look.opening and feed.opening(step_ms) is None):
            return False
        gone = now_ms - step_ms
        pause = next((again for age, again in AGAIN_MS if gone <= age), LATER_MS)
        return self.asked_ms < step_ms + SETTLE_MS or now_ms >= self.asked_ms + pause

    def settled(self, step_ms: int) -> bool:
        """Whether nothing of it is awaited at a step."""
        return self.absent_ms is not None or (self.feed is not None and self.feed.settled(step_ms))

    def covers(self, feed: Feed) -> bool:
        """Whether the feed reaches back to the first step that somebody has still to take."""
        since = self.look.since_ms
        return since is None or max(since, feed.heard_ms - MOST_CANDLES * STEP_MS) >= feed.from_ms


class LiveVenue:
    """The markets of one exchange that somebody here looks at."""

    def __init__(
        self,
        exchange: PublicExchange,
        clock: Clock,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),
    ) -> None:
        self.name = exchange.name
        self.exchange = exchange
        self.markets: dict[str, Watched] = {}
        self.quotes: dict[str, Quote] = {}
        self.away_since_ms: int | None = None
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._retry_ms = 0
        self._reading: set[str] = set()
        self._reading_since_ms = 0
        self._compared_ms = -COMPARED_MS
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._asked = asyncio.Event()

    def watch(self, looks: Iterable[Look]) -> None:
        """What is looked at from now on."""
        now_ms = self._clock.now_ms()
        for look in looks:
            known = self.markets.get(look.symbol)
            if known is None:
                self.markets[look.symbol] = Watched(look, now_ms)
                self._asked.set()
            elif known.look != look or known.seen_ms != now_ms:
                known.look, known.seen_ms = look, now_ms
        for symbol in [s for s, each in self.markets.items() if now_ms - each.seen_ms > FORGOTTEN_MS]:
            del self.markets[symbol]
            self.quotes.pop(symbol, None)

    def complete(self, step_ms: int) -> bool:
        """Whether nothing is awaited at a step: every candle is there, or the exchange is away."""
        return self.away_since_ms is not None or all(each.settled(step_ms) for each in self.markets.values())

    def overdue(self, symbol: str, step_ms: int) -> bool:
        """Whether a candle is being read now that could not be read while its step waited: the exchange is back."""
        return symbol in self._reading and self._reading_since_ms >= step_ms + LATEST_MS

    async def run(self, moved: Callable[[], object]) -> None:
        """Keeps what is watched up to date until cancelled; `moved` is called when there is news."""
        while True:
            self._asked.clear()
            if self.markets and self._clock.now_ms() >= self._retry_ms:
                await self._turn(moved)
            await until(self._clock, self._asked, TURN_S)

    async def ask(self, symbols: Iterable[str]) -> None:
        """Reads prices for an order that is about to be filled; comes back in time whether there are any or not."""
        now_ms = self._clock.now_ms()
        stale = [s for s in symbols if s in self.exchange.rules and not self._fresh(s, now_ms)]
        if not stale or now_ms < self._retry_ms:
            return
        try:
            async with asyncio.timeout(QUOTE_S):
                self.quotes.update(await self.exchange.quotes(stale))
        except (ExchangeAway, TimeoutError) as error:
            log.warning("no_quote", exchange=self.name, symbols=stale, reason=str(error))

    def _fresh(self, symbol: str, now_ms: int) -> bool:
        quote = self.quotes.get(symbol)
        return quote is not None and quote.fresh(now_ms)

    async def _turn(self, moved: Callable[[], object]) -> None:
        """Reads what is wanted now. Markets that failed are tried again apart; if all did, the exchange is away."""
        now_ms = self._clock.now_ms()
        wanted = [each for each in self.markets.values() if each.wanted(now_ms)]
        try:
            if self.markets and (not self.exchange.opened or any(each.absent_ms is not None for each in wanted)):
                await self.exchange.open()
                moved()
            if self.markets and now_ms - self._compared_ms >= COMPARED_MS:
                await self.exchange.compare_clocks()
                self._compared_ms = now_ms
            if wanted:
                await self._read(sorted(wanted, key=_urgency), moved)
            if await self._look(now_ms):
                moved()
        except ExchangeAway as error:
            self._fail(error)
            moved()

    async def _read(self, wanted: list[Watched], moved: Callable[[], object]) -> None:
        """Candles of these markets, given out together where they come together."""
        failed: list[ExchangeAway] = []
        tasks = {asyncio.create_task(self._candles(each)): each for each in wanted}
        pending = set(tasks)
        self._reading, self._reading_since_ms = {each.look.symbol for each in wanted}, self._clock.now_ms()
        try:
            while pending:
                done, pending = await asyncio.wait(pending, timeout=PUBLISH_S)
                news: dict[str, Feed] = {}
                for task in done:
                    each, error = tasks[task], task.exception()
                    if isinstance(error, ExchangeAway):
                        failed.append(error)
                        each.failures += 1
                        each.retry_ms = self._clock.now_ms() + self._pause_ms(each.failures, busy=error.busy)
                    elif error is not None:
                        raise error
                    elif (feed := task.result()) is not None:
                        each.failures = 0
                        news[each.look.symbol] = feed
                await self._priced(news)
                for symbol, feed in news.items():
                    if symbol in self.markets:
                        self.markets[symbol].feed = feed
                self._reading -= {tasks[task].look.symbol for task in done}
                if done:
                    moved()
        finally:
            self._reading = set()
            for task in pending:
                task.cancel()
        if failed and (len(failed) == len(wanted) or any(error.busy for error in failed)):
            raise failed[-1]
        self._answered()

    async def _candles(self, each: Watched) -> Feed | None:
        """The market's feed after one more answer; None where the exchange does not have it."""
        symbol = each.look.symbol
        if symbol not in self.exchange.rules:
            if each.absent_ms is None:
                log.warning("no_such_market", exchange=self.name, symbol=symbol)
            each.absent_ms = self._clock.now_ms()
            return None
        each.absent_ms = None
        each.asked_ms = self._clock.now_ms()
        feed = each.feed
        if feed is None or not each.covers(feed):
            return await self._begun(each.look)
        return await self._continued(symbol, feed)

    async def _continued(self, symbol: str, feed: Feed) -> Feed:
        """A feed with what has come since, from its last candle on: an answer without that one is none."""
        start_ms = feed.from_ms if feed.newest_ms is None else feed.newest_ms - STEP_MS
        while True:
            async with self._slots:
                asked_ms, told = await self.exchange.candles(symbol, start_ms, self.exchange.page)
            if not told and feed.newest_ms == start_ms + STEP_MS:
                raise ExchangeAway(f"{self.name} told of no candle of {symbol}, not even of the last known one")
            feed = feed.told(told, asked_ms=asked_ms, params=PARAMETERS)
            start_ms += self.exchange.page * STEP_MS
            if start_ms > asked_ms:
                return feed

    async def _begun(self, look: Look) -> Feed:
        """A market's first candles, page by page backwards, to 500 before the first step that is still to be taken."""
        now_ms = self._clock.now_ms()
        oldest = now_ms - MOST_CANDLES * STEP_MS
        since_ms = now_ms if look.since_ms is None else max(min(look.since_ms, now_ms), oldest)
        page_ms = self.exchange.page * STEP_MS
        end_ms = step_at(now_ms) + STEP_MS
        found: list[Candle] = []
        asked_ms = now_ms
        while sum(candle.time_ms + STEP_MS <= since_ms for candle in found) < FIRST_CANDLES:
            end_ms -= page_ms
            async with self._slots:
                page_asked_ms, told = await self.exchange.candles(look.symbol, end_ms, self.exchange.page)
            asked_ms = page_asked_ms if not found else asked_ms
            page = [candle for candle in told if not found or candle.time_ms < found[0].time_ms]
            if not page:
                end_ms = 0  # there is nothing older
                break
            found = page + found
        if not found:
            raise ExchangeAway(f"{self.name} told of no candle of {look.symbol}")
        return Feed.begun(found, asked_ms=asked_ms, from_ms=end_ms, params=PARAMETERS)

    async def _priced(self, news: dict[str, Feed]) -> None:
        """Quotes for the markets whose new candle asks for an entry: the spread is looked at before it is decided."""
        asking = []
        for symbol, feed in news.items():
            each = self.markets.get(symbol)
            if each is None or each.feed is None or each.feed.newest_ms == feed.newest_ms:
                continue
            if any(each.signals(feed, profile).row(-1).wants_entry for profile in PROFILES.values()):
                asking.append(symbol)
        if asking:
            await self.ask(asking)

    async def _look(self, now_ms: int) -> bool:
        """Prices of everything watched, between two closes. Answers whether it was time."""
        due_ms = step_at(now_ms) + LOOK_MS
        symbols = [s for s, each in self.markets.items() if each.feed is not None and each.quoted_ms < due_ms]
        if now_ms < due_ms or not symbols:
            return False
        self.quotes.update(await self.exchange.quotes(symbols))
        for symbol in symbols:
            self.markets[symbol].quoted_ms = now_ms
        self._answered()
        return True

    def _answered(self) -> None:
        if self.away_since_ms is not None:
            log.info("exchange_back", exchange=self.name)
        self._failures, self._retry_ms, self.away_since_ms = 0, 0, None

    def _fail(self, error: ExchangeAway) -> None:
        now_ms = self._clock.now_ms()
        if self.away_since_ms is None:
            self.away_since_ms = now_ms
            log.warning("exchange_away", exchange=self.name, reason=str(error))
        self._failures += 1
        self._retry_ms = now_ms + self._pause_ms(self._failures, busy=error.busy)

    def _pause_ms(self, failures: int, *, busy: bool) -> int:
        seconds = min(LONGEST_PAUSE_S, (BUSY_PAUSE_S if busy else 1.0) * 2.0 ** min(failures - 1, 10))
        return round(1000 * seconds * self._jitter())


def _urgency(each: Watched) -> tuple[bool, int]:
    """Markets in which somebody holds something first, then those that have waited longest."""
    return each.look.since_ms is None, each.asked_ms
