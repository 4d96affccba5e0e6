"""Candles as contiguous columns, and the timeframes that they come in.

A feed is one (symbol, timeframe): its candles in order of their opening, with gaps where the market had no
trade. This module holds and cuts them; it reads no file and computes no indicator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}


def timeframe_ms(timeframe: str) -> int:
    """Length of a timeframe such as `1m`, `5m`, `1h`, `1d` in milliseconds; ValueError for anything else."""
    number, unit = timeframe[:-1], timeframe[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdigit()) or int(number) == 0:
        raise ValueError(f"{timeframe!r} is not a timeframe; write a number and m, h, d or w, such as 5m")
    return int(number) * _UNITS[unit]


class Candle(NamedTuple):
    """One closed candle: its opening (UTC milliseconds), prices in the quote currency, volume in the base."""

    time_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Closed candles of one feed, oldest first, as six columns of equal length.

    `time_ms` (int64) is each candle's opening in UTC milliseconds, strictly ascending; the others are float64.
    The columns are shared by slices and must not be written to.
    """

    timeframe_ms: int
    time_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @classmethod
    def of(cls, timeframe_ms: int, rows: Iterable[Candle | tuple[float, ...]]) -> Candles:
        """Candles from rows `(time_ms, open, high, low, close, volume)`, oldest first."""
        columns = list(zip(*rows, strict=True)) or [()] * 6
        prices = [np.array(column, dtype=np.float64) for column in columns[1:]]
        return cls(timeframe_ms, np.array(columns[0], dtype=np.int64), *prices)

    def __len__(self) -> int:
        return len(self.time_ms)

    def __getitem__(self, index: int) -> Candle:
        return Candle(
            int(self.time_ms[index]),
            float(self.open[index]),
            float(self.high[index]),
            float(self.low[index]),
            float(self.close[index]),
            float(self.volume[index]),
        )

    def __iter__(self) -> Iterator[Candle]:
        return (self[index] for index in range(len(self)))

    @property
    def closes_ms(self) -> Ints:
        """Closing times, UTC milliseconds: opening plus timeframe."""
        return self.time_ms + self.timeframe_ms

    def slice(self, start: int, stop: int) -> Candles:
        """Candles `start` to `stop` (exclusive), sharing memory with these."""
        return Candles(
            self.timeframe_ms,
            self.time_ms[start:stop],
            self.open[start:stop],
            self.high[start:stop],
            self.low[start:stop],
            self.close[start:stop],
            self.volume[start:stop],
        )

    def append(self, later: Candles) -> Candles:
        """These candles and `later` ones behind them; ValueError where time would not go forward."""
        if self.timeframe_ms != later.timeframe_ms:
            raise ValueError("candles of two timeframes do not make one feed")
        if len(self) and len(later) and later.time_ms[0] <= self.time_ms[-1]:
            raise ValueError(f"candle {later.time_ms[0]} does not come after {self.time_ms[-1]}")
        return Candles(
            self.timeframe_ms,
            np.concatenate((self.time_ms, later.time_ms)),
            np.concatenate((self.open, later.open)),
            np.concatenate((self.high, later.high)),
            np.concatenate((self.low, later.low)),
            np.concatenate((self.close, later.close)),
            np.concatenate((self.volume, later.volume)),
        )


def distinct(times_ms: Sequence[Ints]) -> Ints:
    """The times of all columns, each once, in their order (`np.unique` would import masked arrays for it)."""
    if len(times_ms) == 1:
        return times_ms[0]
    every = np.sort(np.concatenate([*times_ms, np.empty(0, dtype=np.int64)]))
    first = np.ones(len(every), dtype=np.bool_)
    np.not_equal(every[1:], every[:-1], out=first[1:])
    return every[first]
