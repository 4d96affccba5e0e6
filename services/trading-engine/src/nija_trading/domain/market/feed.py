"""A live feed: the closed candles of one market as an exchange tells them, and their features, computed once.

A frozen value. It takes an exchange's answers, in whatever order they overlap, and says which steps are settled: the
candle is there, or it is known that there is none. A closed candle counts as it was first told. It asks nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from nija_trading.domain.apex.features import Features, FeedState, advance, start_feed
from nija_trading.domain.apex.parameters import Parameters
from nija_trading.domain.market.candles import Candle, Candles
from nija_trading.domain.market.grid import LATEST_MS, MOST_CANDLES, STEP_MS

KEPT = 2 * MOST_CANDLES


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """`features` has a row for each of `candles`. `opened`: the candle that is being made, its opening and its first
    price, once there was a trade. `heard_ms`: when the last answer was asked for. `from_ms`: since when it was asked."""

    candles: Candles
    features: Features
    state: FeedState
    opened: tuple[int, float] | None
    heard_ms: int
    from_ms: int

    @classmethod
    def begun(cls, told: Sequence[Candle], *, asked_ms: int, from_ms: int, params: Parameters) -> Feed:
        """A feed of an exchange's first answer, oldest first."""
        closed = Candles.of(STEP_MS, [candle for candle in told if candle.time_ms + STEP_MS <= asked_ms])
        state, rows = start_feed(closed, params)
        return cls(closed, rows, state, _opened(told, asked_ms), asked_ms, from_ms)

    def told(self, told: Sequence[Candle], *, asked_ms: int, params: Parameters) -> Feed:
        """The feed after another answer: candles that are behind its newest one are added."""
        newest = self.newest_ms
        rows = [c for c in told if c.time_ms + STEP_MS <= asked_ms and (newest is None or c.time_ms + STEP_MS > newest)]
        opened = _opened(told, asked_ms)
        if not rows:
            return replace(self, opened=opened, heard_ms=asked_ms)
        new = Candles.of(STEP_MS, rows)
        state, found = advance(self.state, new, params)
        candles = self.candles.append(new)
        start = len(candles) - KEPT if len(candles) > 2 * KEPT else 0
        return replace(
            self,
            candles=candles.slice(start, len(candles)),
            features=_joined(self.features, found, start),
            state=state,
            opened=opened,
            heard_ms=asked_ms,
            from_ms=max(self.from_ms, int(candles.time_ms[start])) if start else self.from_ms,
        )

    @property
    def newest_ms(self) -> int | None:
        """The close of its newest candle."""
        return int(self.candles.time_ms[-1]) + STEP_MS if len(self.candles) else None

    def index_at(self, step_ms: int) -> int | None:
        """The candle that closed at a step."""
        index = self.last_at(step_ms)
        return index if index is not None and int(self.candles.time_ms[index]) + STEP_MS == step_ms else None

    def last_at(self, step_ms: int) -> int | None:
        """The newest candle that had closed by a step."""
        index = int(np.searchsorted(self.candles.time_ms, step_ms - STEP_MS, side="right")) - 1
        return index if index >= 0 else None

    def settled(self, step_ms: int) -> bool:
        """Whether the step's candle is there, or can come no more: the exchange has told of a later one, and, where that
        one is still being made, has had time to tell of this."""
        newest = self.newest_ms
        if newest is not None and newest >= step_ms:
            return True
        return self.opened is not None and self.opened[0] >= step_ms and self.heard_ms >= step_ms + LATEST_MS

    def opening(self, step_ms: int) -> float | None:
        """The first price of the candle that opens at a step, once it is known."""
        index = self.index_at(step_ms + STEP_MS)
        if index is not None:
            return float(self.candles.open[index])
        return self.opened[1] if self.opened is not None and self.opened[0] == step_ms else None


def believable(candle: Candle) -> bool:
    """Whether an exchange's candle can be one: prices above zero in their order, on the grid, no negative volume."""
    time_ms, opened, high, low, close, volume = candle
    inside = 0 < low <= opened <= high and low <= close <= high < math.inf  # false for what is no number
    return inside and 0 <= volume < math.inf and time_ms % STEP_MS == 0


def _opened(told: Sequence[Candle], asked_ms: int) -> tuple[int, float] | None:
    """The candle that is being made, if a trade has given it its first price."""
    last = told[-1] if told else None
    if last is None or last.time_ms + STEP_MS <= asked_ms or last.volume <= 0:
        return None
    return last.time_ms, last.open


def _joined(first: Features, then: Features, start: int) -> Features:
    columns = {
        field.name: np.concatenate((getattr(first, field.name), getattr(then, field.name)))[start:]
        for field in fields(Features)
    }
    return Features(**columns)
