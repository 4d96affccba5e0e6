"""Market data from candle files, at a chosen speed: the port `Market` over a `Timeline`.

Everything is in memory: the features of each feed are computed when it is first asked for, its signals once a risk
profile, and every bot reads rows of the same columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from nija_trading.adapters.candle_files import load_folder
from nija_trading.domain.apex.features import Features, features
from nija_trading.domain.apex.parameters import RiskProfile
from nija_trading.domain.apex.signals import Signals, signals
from nija_trading.domain.apex.step import SymbolClose
from nija_trading.domain.controls import MarketClock
from nija_trading.domain.gates import PARAMETERS
from nija_trading.domain.market.candles import Candles
from nija_trading.domain.market.timeline import Timeline
from nija_trading.domain.matching.terms import VENUES, Venue
from nija_trading.domain.stepping import Opening
from nija_trading.domain.trading import Mark
from nija_trading.ports import Look

LOOKS_KEPT = 4096
"""So many candles, marks and steps are kept as bots see them: a few steps of some hundred markets."""


class ReplayMarket:
    """The feeds of one folder. Step j comes `(j - anchor) x timeframe / speed` after the clock's anchor."""

    def __init__(self, feeds: Mapping[str, Candles], speed: float) -> None:
        self._feeds = dict(feeds)
        self._timeline = Timeline.of(self._feeds, PARAMETERS.warm_up)
        self._interval_ms = self._timeline.timeframe_ms / speed
        self._features: dict[str, Features] = {}
        self._signals: dict[tuple[str, RiskProfile], Signals] = {}
        # Of the steps that bots are at now: many of them ask for the same.
        self._close = lru_cache(maxsize=LOOKS_KEPT)(self._close_at)
        self._mark = lru_cache(maxsize=LOOKS_KEPT)(self._mark_at)
        self._step_at = lru_cache(maxsize=LOOKS_KEPT)(self._timeline.step_at)

    @classmethod
    def of_folder(cls, folder: Path, speed: float) -> ReplayMarket:
        """The market of a folder's files. Raises CandleFileError."""
        return cls(load_folder(folder), speed)

    @property
    def paced(self) -> bool:
        return True

    @property
    def look_ms(self) -> int | None:
        return None

    @property
    def first_ms(self) -> int:
        first = min(self._timeline.first_step, len(self._timeline) - 1)
        return int(self._timeline.closes_ms[first])

    @property
    def last_ms(self) -> int | None:
        return int(self._timeline.closes_ms[-1])

    def due(self, clock: MarketClock | None, now_ms: int) -> int:
        assert clock is not None
        gone = int(max(0, now_ms - clock.anchor_wall_ms) // self._interval_ms)
        step = min(self._index(clock.anchor_step_ms) + gone, len(self._timeline) - 1)
        return int(self._timeline.closes_ms[step])

    def comes_at(self, clock: MarketClock | None, step_ms: int) -> int:
        assert clock is not None
        steps = self._index(step_ms) - self._index(clock.anchor_step_ms)
        return clock.anchor_wall_ms + round(steps * self._interval_ms)

    def after(self, step_ms: int) -> int | None:
        index = self._step_at(step_ms) + 1
        return int(self._timeline.closes_ms[index]) if index < len(self._timeline) else None

    def closes(
        self, broker: str, symbols: Iterable[str], step_ms: int, profile: RiskProfile
    ) -> tuple[SymbolClose, ...]:
        step = self._step_at(step_ms)
        if step < 0 or int(self._timeline.closes_ms[step]) != step_ms:
            return ()
        found = (self._close(symbol, step, profile) for symbol in symbols)
        return tuple(close for close in found if close is not None)

    def openings(self, broker: str, symbols: Iterable[str], step_ms: int) -> tuple[Opening, ...]:
        step = self._step_at(step_ms) + 1
        if step >= len(self._timeline):
            return ()
        found = []
        for symbol in symbols:
            index = self._timeline.candle_at(symbol, step)
            if index is not None:
                feed = self._feeds[symbol]
                if int(feed.time_ms[index]) <= step_ms:
                    found.append(Opening(symbol, int(feed.time_ms[index]), float(feed.open[index])))
        return tuple(found)

    def mark(self, broker: str, symbol: str, step_ms: int) -> Mark | None:
        return self._mark(symbol, step_ms)

    def last_open(self, broker: str, symbols: Iterable[str], step_ms: int) -> int | None:
        opens = []
        for symbol in symbols:
            index = self._last(symbol, step_ms)
            if index is not None:
                opens.append(int(self._feeds[symbol].time_ms[index]))
        return max(opens, default=None)

    def price(self, broker: str, symbol: str, step_ms: int) -> Mark | None:
        return self.mark(broker, symbol, step_ms)

    def known(self, broker: str, symbol: str, step_ms: int) -> bool:
        return True

    def waits(self, broker: str, symbols: Iterable[str], step_ms: int) -> bool:
        return False

    def loaded(self, broker: str, symbols: Iterable[str]) -> bool:
        return True

    def venue(self, broker: str) -> Venue:
        return VENUES[broker]

    def notes(self) -> Mapping[str, str]:
        return {}

    def watch(self, looks: Iterable[Look]) -> None:
        """Everything is in memory already."""

    async def ask(self, broker: str, symbols: Iterable[str]) -> None:
        """There are no quotes: the last close is the price."""

    async def run(self, moved: Callable[[], object]) -> None:
        """There is nothing to read."""

    async def close(self) -> None:
        """There is nothing to close."""

    def _mark_at(self, symbol: str, step_ms: int) -> Mark | None:
        index = self._last(symbol, step_ms)
        if index is None:
            return None
        feed = self._feeds[symbol]
        atr = float(self._features_of(symbol).atr[index])
        closed_ms = int(feed.time_ms[index]) + feed.timeframe_ms
        stale = step_ms - closed_ms > PARAMETERS.stale_candles * feed.timeframe_ms
        return Mark(symbol, float(feed.close[index]), closed_ms, atr, stale)

    def _close_at(self, symbol: str, step: int, profile: RiskProfile) -> SymbolClose | None:
        index = self._timeline.candle_at(symbol, step)
        if index is None:
            return None
        return SymbolClose(symbol, self._feeds[symbol][index], self._signals_of(symbol, profile).row(index))

    def _last(self, symbol: str, step_ms: int) -> int | None:
        feed = self._feeds.get(symbol)
        if feed is None:
            return None
        index = int(np.searchsorted(feed.time_ms, step_ms - feed.timeframe_ms, side="right")) - 1
        return index if index >= 0 else None

    def _features_of(self, symbol: str) -> Features:
        if symbol not in self._features:
            self._features[symbol] = features(self._feeds[symbol], PARAMETERS)
        return self._features[symbol]

    def _signals_of(self, symbol: str, profile: RiskProfile) -> Signals:
        key = (symbol, profile)
        if key not in self._signals:
            self._signals[key] = signals(self._features_of(symbol), PARAMETERS, profile)
        return self._signals[key]

    def _index(self, step_ms: int) -> int:
        return max(0, self._step_at(step_ms))
