"""Indicators as pure functions of float64 columns, one value a candle.

A windowed value depends on its window alone: sums are made by shifted adds, oldest first, never by running
totals, so that a tail of a feed gives bit for bit the values of the whole. Running averages (EMA, Wilder)
carry a state instead, and continue from it exactly. Early candles, with fewer values than a window's length,
use those there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nija_trading.domain.market.candles import Floats


class Running(NamedTuple):
    """State of a running average: its last value, and how many values it has seen."""

    value: float = 0.0
    seen: int = 0


START = Running()


def ema(values: Floats, length: int, state: Running = START) -> tuple[Floats, Running]:
    """Exponential average, alpha 2 / (length + 1), seeded with the first value it ever sees."""
    alpha = 2.0 / (length + 1)
    out = np.empty(len(values))
    last, seen = state
    for index, value in enumerate(values.tolist()):
        last = value if seen == 0 else (value - last) * alpha + last
        seen += 1
        out[index] = last
    return out, Running(last, seen)


def wilder(values: Floats, length: int, state: Running = START) -> tuple[Floats, Running]:
    """Wilder's average: the mean of what there is up to `length` values, then 1 / length of each new one."""
    out = np.empty(len(values))
    last, seen = state
    for index, value in enumerate(values.tolist()):
        seen += 1
        last = (value - last) / min(seen, length) + last
        out[index] = last
    return out, Running(last, seen)


def window_sum(values: Floats, length: int) -> Floats:
    """Sum of the last `length` values, the current included, added oldest first."""
    total = np.zeros(len(values))
    for back in range(min(length, len(values)) - 1, 0, -1):
        total[back:] += values[:-back]
    if len(values):
        total += values
    return total


def window_mean(values: Floats, length: int) -> Floats:
    """Mean of the last `length` values, the current included; of fewer at the start."""
    mean: Floats = window_sum(values, length) / window_count(len(values), length)
    return mean


def window_count(size: int, length: int) -> Floats:
    """How many values each window has: 1, 2, ... up to `length`."""
    counted: Floats = np.minimum(np.arange(1.0, size + 1.0), float(length))
    return counted


def ratio(over: Floats, under: Floats, otherwise: Floats | float = 0.0) -> Floats:
    """`over / under`, and `otherwise` where `under` is zero."""
    result = np.array(np.broadcast_to(otherwise, over.shape), dtype=np.float64)
    np.divide(over, under, out=result, where=under != 0)
    return result


def before(values: Floats) -> Floats:
    """Each candle's value of the candle before; the first has its own."""
    return np.concatenate((values[:1], values[:-1]))


def rsi(gain: Floats, loss: Floats) -> Floats:
    """Relative strength index of mean gains and losses: 100 without a loss, 50 without any movement."""
    strength = 100.0 - 100.0 / (1.0 + ratio(gain, loss))
    return np.where(loss == 0, np.where(gain == 0, 50.0, 100.0), strength)


def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """Greatest of high - low and the distances of both from the previous close; high - low at the first."""
    previous = before(close)
    previous[:1] = low[:1]
    widest: Floats = np.maximum(high, previous) - np.minimum(low, previous)
    return widest


def directional_movement(high: Floats, low: Floats) -> tuple[Floats, Floats]:
    """(+DM, -DM): the up-move where it is positive and not smaller, the down-move where it is larger."""
    up = high - before(high)
    down = before(low) - low
    plus = np.where((up > 0) & (up >= down), up, 0.0)
    minus = np.where((down > 0) & (down > up), down, 0.0)
    return plus, minus


def directional_index(plus: Floats, minus: Floats, average_range: Floats) -> Floats:
    """DX of averaged directional movements and true range, 0 where nothing moved."""
    plus_di = 100.0 * ratio(plus, average_range)
    minus_di = 100.0 * ratio(minus, average_range)
    return 100.0 * ratio(np.abs(plus_di - minus_di), plus_di + minus_di)


def vwap(high: Floats, low: Floats, close: Floats, volume: Floats, length: int) -> Floats:
    """Volume-weighted mean of the typical price over the last candles; the close where none has volume."""
    typical = (high + low + close) / 3.0
    return ratio(window_sum(typical * volume, length), window_sum(volume, length), close)


def volume_ratio(volume: Floats, length: int) -> Floats:
    """Volume over the mean of the last `length`, the current included; 0 where that mean is 0."""
    return ratio(volume, window_mean(volume, length))


def volume_ratio_before(volume: Floats, length: int) -> Floats:
    """Volume over the mean of the `length` candles before it; 0 where that mean is 0 or nothing was before."""
    mean = window_mean(volume, length)
    previous = before(mean)
    previous[:1] = 0.0
    return ratio(volume, previous)
