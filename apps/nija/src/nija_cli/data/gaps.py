"""What is not in a feed: stretches without candles, and stretches in which nobody traded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nija_common.values.times import iso
from nija_trading.domain.market.candles import Candles


class Stretch(NamedTuple):
    """So many candles in a row, the first of which opens (or would) at `start_ms`."""

    start_ms: int
    candles: int

    def said(self, timeframe_ms: int) -> str:
        """From when to when, and how many candles."""
        end_ms = self.start_ms + self.candles * timeframe_ms
        return f"{iso(self.start_ms)} to {iso(end_ms)} ({self.candles:,} candles)"


def gaps(candles: Candles) -> list[Stretch]:
    """Where candles are missing between others."""
    length = candles.timeframe_ms
    step = np.diff(candles.time_ms)
    places = np.flatnonzero(step >= 2 * length)
    return [Stretch(int(candles.time_ms[at]) + length, int(step[at]) // length - 1) for at in places.tolist()]


def silences(candles: Candles, at_least: int) -> list[Stretch]:
    """At least so many candles in a row without volume."""
    silent = np.concatenate(([False], candles.volume == 0, [False])).astype(np.int8)
    turns = np.diff(silent)
    starts, ends = np.flatnonzero(turns == 1).tolist(), np.flatnonzero(turns == -1).tolist()
    return [
        Stretch(int(candles.time_ms[start]), end - start)
        for start, end in zip(starts, ends, strict=True)
        if end - start >= at_least
    ]


def missing(stretches: list[Stretch]) -> int:
    """Candles of all stretches together."""
    return sum(stretch.candles for stretch in stretches)
