"""What a fast run reads: candles as arrays for plain Python, and what the strategy's signals say of them.

A `Tape` is one symbol's prices, the same whatever the parameters; `Cues` are the signals of one rulebook over
it. Both are only other shapes of `Candles` and of what `features` and `signals` compute for the live worker.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from nija_trading.domain.apex.features import Features
from nija_trading.domain.apex.guarding import maximum_hold_ms
from nija_trading.domain.apex.signals import signals
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.market.candles import DAY_MS, Candles, Floats, Ints, distinct


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The steps of a run: their closing times, and the first at which anything is decided."""

    timeframe_ms: int
    closes_ms: Ints
    opens_ms: Sequence[int]
    """Openings of the candles that close at each step."""
    first: int
    day_begins: Sequence[int]
    """The first step of each step's day, by the openings of candles."""

    @classmethod
    def of(cls, feeds: Mapping[str, Candles], pairs: Sequence[str], warm_up: int) -> Steps:
        """Steps at which a symbol of `pairs` has a candle; decisions begin with the first feed's candle `warm_up`.

        ValueError without candles or with feeds of several timeframes.
        """
        if len({candles.timeframe_ms for candles in feeds.values()}) != 1:
            raise ValueError("a timeline needs feeds of exactly one timeframe")
        frame = next(iter(feeds.values())).timeframe_ms
        traded = [feeds[symbol].time_ms for symbol in pairs if symbol in feeds]
        opens = distinct(traded)
        ready = [candles.time_ms[warm_up - 1] for candles in feeds.values() if len(candles) >= warm_up]
        first = int(np.searchsorted(opens, min(ready))) if ready else len(opens)
        days = opens // DAY_MS
        begins = np.zeros(len(days), dtype=np.int64)
        begins[1:] = np.where(days[1:] != days[:-1], np.arange(1, len(days)), 0)
        return cls(frame, opens + frame, integers(opens), first, integers(np.maximum.accumulate(begins)))

    def __len__(self) -> int:
        return len(self.closes_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """One symbol's candles; `step_of[i]` is the step at which candle i closes."""

    symbol: str
    time_ms: Sequence[int]
    open: Sequence[float]
    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]
    step_of: Sequence[int]
    candles: Candles

    @classmethod
    def of(cls, symbol: str, candles: Candles, steps: Steps) -> Tape:
        """The tape of a feed."""
        whole = len(steps) == len(candles)
        opens_ms = candles.time_ms
        places = range(len(candles)) if whole else integers(np.searchsorted(np.asarray(steps.opens_ms), opens_ms))
        return cls(
            symbol,
            steps.opens_ms if whole else integers(opens_ms),
            floats(candles.open),
            floats(candles.high),
            floats(candles.low),
            floats(candles.close),
            places,
            candles,
        )

    def __len__(self) -> int:
        return len(self.candles)

    def last_at(self, step: int) -> int:
        """The last candle that has closed at a step; -1 before the first."""
        return step if isinstance(self.step_of, range) else bisect_right(self.step_of, step) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Cues:
    """Where a rulebook's signals ask for something.

    `entries`: candles that want a long (no denial, as `SignalRow.wants_entry`), `score[i]` the long score of any
    candle i. `leaves`: candles whose signals end a long, `opposite[i]` being 1 where by the opposite signal, else
    by a trend break. `ends[n]`: the candle at whose close a long ends at the latest, by signal or by time, that
    `entries[n]` wants; the number of candles where none does.
    """

    entries: Sequence[int]
    ends: Sequence[int]
    score: bytes
    leaves: Sequence[int]
    opposite: bytes
    atr: Sequence[float]

    @classmethod
    def of(cls, tape: Tape, blocks: Iterable[Features], rules: Rulebook) -> Cues:
        """The cues of a tape's features, which may come in blocks."""
        found = [signals(block, rules.params, rules.profile) for block in blocks]
        opposite = _joined([part.opposite for part in found])
        leaves = np.flatnonzero(opposite | _joined([part.trend_break for part in found]))
        entries = np.flatnonzero(_joined([part.wants_entry for part in found]))
        return cls(
            entries.tolist(),
            _ends(tape.candles.time_ms, entries, leaves, ceil(maximum_hold_ms(rules.params))).tolist(),
            _joined([part.score_long for part in found]).tobytes(),
            leaves.tolist(),
            opposite.tobytes(),
            floats(_joined([part.atr for part in found])),
        )

    def slice(self, start: int, stop: int) -> Cues:
        """The cues of candles `start` to `stop` (exclusive), counted from `start`."""
        first, last = (bisect_left(self.entries, place) for place in (start, stop))
        return Cues(
            [entry - start for entry in self.entries[first:last]],
            [min(end, stop) - start for end in self.ends[first:last]],
            self.score[start:stop],
            [leave - start for leave in self.leaves[bisect_left(self.leaves, start) : bisect_left(self.leaves, stop)]],
            self.opposite[start:stop],
            self.atr[start:stop],
        )


def _ends(time_ms: Ints, entries: Ints, leaves: Ints, hold_ms: int) -> Ints:
    """The first candle from each entry's fill on whose close ends it. An entry is filled a candle after its signal."""
    filled = np.minimum(entries + 1, len(time_ms) - 1)
    by_time = np.searchsorted(time_ms, time_ms[filled] + hold_ms)
    by_signal = np.append(leaves, len(time_ms))[np.searchsorted(leaves, entries + 1)]
    ends: Ints = np.minimum(by_time, by_signal)
    return ends


def floats(column: Floats) -> array[float]:
    """A column as an array that plain Python reads fast."""
    copied = array("d")
    copied.frombytes(np.ascontiguousarray(column, dtype=np.float64).data.cast("B"))
    return copied


def integers(column: Ints) -> array[int]:
    """A column of times or places, likewise."""
    copied = array("q")
    copied.frombytes(np.ascontiguousarray(column, dtype=np.int64).data.cast("B"))
    return copied


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
