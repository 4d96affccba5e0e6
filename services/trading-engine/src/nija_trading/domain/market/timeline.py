"""The steps of a market: the sorted union of the closing times of all its feeds.

A step is one closing time. All candles that close then belong to it; a symbol without one takes no part. The
timeline says where a replay begins (`first_step`) and which candle of a symbol closes at a step. It knows no
clock: when a step is due is the caller's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nija_trading.domain.market.candles import Candles, Ints, distinct


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Steps of several feeds of one timeframe. `closes_ms[j]` is the closing time of step j."""

    timeframe_ms: int
    closes_ms: Ints
    first_step: int
    """Step at which the first symbol has its 100th candle (j0); the number of steps if none ever has."""
    _index: Mapping[str, Ints]

    @classmethod
    def of(cls, feeds: Mapping[str, Candles], warm_up: int = 100) -> Timeline:
        """Timeline of `{symbol: candles}`; ValueError without candles or with mixed timeframes."""
        frames = {candles.timeframe_ms for candles in feeds.values()}
        if len(frames) != 1:
            raise ValueError("a timeline needs feeds of exactly one timeframe")
        closes = distinct([candles.closes_ms for candles in feeds.values()])
        index: dict[str, Ints] = {}
        first = len(closes)
        for symbol, candles in feeds.items():
            positions = np.searchsorted(closes, candles.closes_ms)
            row = np.full(len(closes), -1, dtype=np.int64)
            row[positions] = np.arange(len(candles))
            index[symbol] = row
            if len(candles) >= warm_up:
                first = min(first, int(positions[warm_up - 1]))
        return cls(frames.pop(), closes, first, index)

    def __len__(self) -> int:
        return len(self.closes_ms)

    def candle_at(self, symbol: str, step: int) -> int | None:
        """Index, in the symbol's feed, of the candle that closes at this step; None where there is none."""
        row = self._index.get(symbol)
        if row is None or row[step] < 0:
            return None
        return int(row[step])

    def symbols_at(self, step: int) -> tuple[str, ...]:
        """Symbols with a candle that closes at this step, in the order in which the feeds were given."""
        return tuple(symbol for symbol, row in self._index.items() if row[step] >= 0)

    def step_at(self, time_ms: int) -> int:
        """The last step whose close is at or before a market time; -1 before the first."""
        return int(np.searchsorted(self.closes_ms, time_ms, side="right")) - 1
