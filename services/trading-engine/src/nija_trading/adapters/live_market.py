"""Market data from the exchanges, as they trade: the port `Market` over a `LiveVenue` for each broker.

Steps are the closing times of the 5-minute grid. A step over some markets waits until each candle is there or known to
be missing, at most 10 s; while an exchange says nothing at all its steps wait, and follow when it is back.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from nija_common.values.clock import Clock
from nija_trading.adapters.live_venue import LiveVenue, Watched
from nija_trading.domain.apex.parameters import RiskProfile
from nija_trading.domain.apex.step import SymbolClose
from nija_trading.domain.controls import MarketClock
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.market.feed import Feed
from nija_trading.domain.market.grid import LATEST_MS, LOOK_MS, STEP_MS, Quote, step_after, step_at
from nija_trading.domain.matching.terms import VENUES, Venue
from nija_trading.domain.stepping import Opening
from nija_trading.domain.trading import Mark
from nija_trading.ports import Look

STALE_MS = PARAMETERS.stale_candles * STEP_MS


class LiveMarket:
    """All exchanges that bots of this worker look at. None is asked before a bot looks at it."""

    def __init__(self, venues: Sequence[LiveVenue], clock: Clock) -> None:
        self.venues = {venue.name: venue for venue in venues}
        self._clock = clock

    @property
    def paced(self) -> bool:
        return False

    @property
    def look_ms(self) -> int | None:
        return LOOK_MS

    @property
    def first_ms(self) -> int:
        return step_after(self._clock.now_ms())

    @property
    def last_ms(self) -> int | None:
        return None

    def due(self, clock: MarketClock | None, now_ms: int) -> int:
        step_ms = step_at(now_ms)
        come = now_ms - step_ms >= LATEST_MS or all(venue.complete(step_ms) for venue in self.venues.values())
        return step_ms if come else step_ms - STEP_MS

    def comes_at(self, clock: MarketClock | None, step_ms: int) -> int:
        return step_ms

    def after(self, step_ms: int) -> int | None:
        """The next on the grid; where no feed reaches back so far, the first of which anything is known."""
        begun = [int(feed.candles.time_ms[0]) for feed in self._feeds() if len(feed.candles)]
        return max(step_after(step_ms), min(begun, default=0) + STEP_MS)

    def closes(
        self, broker: str, symbols: Iterable[str], step_ms: int, profile: RiskProfile
    ) -> tuple[SymbolClose, ...]:
        venue, now_ms = self.venues[broker], self._clock.now_ms()
        stale = now_ms - step_ms > STALE_MS
        found = []
        for symbol in symbols:
            each = venue.markets.get(symbol)
            if each is None or each.feed is None:
                continue
            index = each.feed.index_at(step_ms)
            if index is not None:
                row = each.signals(each.feed, profile).row(index)
                quote = self._quote(venue, symbol, now_ms)
                spread = None if quote is None else quote.spread
                found.append(SymbolClose(symbol, each.feed.candles[index], row, spread, stale))
        return tuple(found)

    def openings(self, broker: str, symbols: Iterable[str], step_ms: int) -> tuple[Opening, ...]:
        found = []
        for symbol in symbols:
            feed = self._feed(broker, symbol)
            price = None if feed is None else feed.opening(step_ms)
            if price is not None:
                found.append(Opening(symbol, step_ms, price))
        return tuple(found)

    def known(self, broker: str, symbol: str, step_ms: int) -> bool:
        each = self._watched(broker, symbol)
        return each is not None and each.settled(step_ms)

    def waits(self, broker: str, symbols: Iterable[str], step_ms: int) -> bool:
        venue, names = self.venues[broker], tuple(symbols)
        markets = [venue.markets.get(symbol) for symbol in names]
        if all(each is not None and each.settled(step_ms) for each in markets):
            return False
        if self._clock.now_ms() - step_ms < LATEST_MS or any(venue.overdue(symbol, step_ms) for symbol in names):
            return True
        return not any(each and each.feed and each.feed.heard_ms >= step_ms for each in markets)

    def loaded(self, broker: str, symbols: Iterable[str]) -> bool:
        markets = [self._watched(broker, symbol) for symbol in symbols]
        return all(each is not None and (each.feed is not None or each.absent_ms is not None) for each in markets)

    def mark(self, broker: str, symbol: str, step_ms: int) -> Mark | None:
        feed = self._feed(broker, symbol)
        index = None if feed is None else feed.last_at(step_ms)
        if feed is None or index is None:
            return None
        closed_ms = int(feed.candles.time_ms[index]) + STEP_MS
        atr, stale = float(feed.features.atr[index]), self._clock.now_ms() - closed_ms > STALE_MS
        return Mark(symbol, float(feed.candles.close[index]), closed_ms, atr, stale)

    def price(self, broker: str, symbol: str, step_ms: int) -> Mark | None:
        now_ms = self._clock.now_ms()
        closed = self.mark(broker, symbol, now_ms)
        quote = self._quote(self.venues[broker], symbol, now_ms)
        if closed is None or quote is None or quote.price is None:
            return closed
        return replace(closed, price=quote.price, time_ms=quote.at_ms, stale=False)

    def last_open(self, broker: str, symbols: Iterable[str], step_ms: int) -> int | None:
        opens = []
        for symbol in symbols:
            feed = self._feed(broker, symbol)
            index = None if feed is None else feed.last_at(step_ms)
            if feed is not None and index is not None:
                opens.append(int(feed.candles.time_ms[index]))
        return max(opens, default=None)

    def venue(self, broker: str) -> Venue:
        return replace(VENUES[broker], markets=self.venues[broker].exchange.rules)

    def notes(self) -> Mapping[str, str]:
        now_ms = self._clock.now_ms()
        found: dict[str, str] = {}
        for name, venue in self.venues.items():
            if venue.away_since_ms is not None:
                since = _at(venue.away_since_ms)
                found[name] = f"{name} cannot be reached since {since}; nothing is opened until it is back."
                continue
            for symbol, each in venue.markets.items():
                newest = None if each.feed is None else each.feed.newest_ms
                if each.absent_ms is not None:
                    found[f"{name}/{symbol}"] = f"{symbol} is not traded at {name}; nothing is opened there."
                elif newest is not None and now_ms - newest > STALE_MS:
                    found[f"{name}/{symbol}"] = f"{symbol} has no candle since {_at(newest)}; nothing is opened there."
        return found

    def watch(self, looks: Iterable[Look]) -> None:
        by_venue: dict[str, dict[str, Look]] = defaultdict(dict)
        for look in looks:
            known = by_venue[look.broker].get(look.symbol)
            by_venue[look.broker][look.symbol] = look if known is None else _both(known, look)
        for name, venue in self.venues.items():
            venue.watch(by_venue[name].values())

    async def ask(self, broker: str, symbols: Iterable[str]) -> None:
        await self.venues[broker].ask(symbols)

    async def run(self, moved: Callable[[], object]) -> None:
        async with asyncio.TaskGroup() as group:
            for venue in self.venues.values():
                group.create_task(venue.run(moved), name=f"market data of {venue.name}")

    async def close(self) -> None:
        for venue in self.venues.values():
            await venue.exchange.close()

    def _watched(self, broker: str, symbol: str) -> Watched | None:
        return self.venues[broker].markets.get(symbol)

    def _feed(self, broker: str, symbol: str) -> Feed | None:
        each = self._watched(broker, symbol)
        return None if each is None else each.feed

    def _feeds(self) -> Iterable[Feed]:
        markets = (each for venue in self.venues.values() for each in venue.markets.values())
        return [each.feed for each in markets if each.feed is not None]

    def _quote(self, venue: LiveVenue, symbol: str, now_ms: int) -> Quote | None:
        quote = venue.quotes.get(symbol)
        return quote if quote is not None and quote.fresh(now_ms) else None


def _both(one: Look, other: Look) -> Look:
    """What two bots look at in the same market."""
    since = [look.since_ms for look in (one, other) if look.since_ms is not None]
    return replace(one, since_ms=min(since, default=None), opening=one.opening or other.opening)


def _at(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
