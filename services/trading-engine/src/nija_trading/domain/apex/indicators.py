"""Indicators as pure functions of float64 columns, one value a candle.

A windowed value depends on its window alone: sums are made of sums of 1, 2, 4, ... values, never by running
totals, so that a tail of a feed gives bit for bit the values of the whole. Running averages (EMA, Wilder)
carry a state instead, and continue from it exactly. Early candles, with fewer values than a window's length,
use those there are.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from nija_trading.domain.market.candles import Floats


class Running(NamedTuple):
    """State of a running average: its last value, and how many values it has seen.

    The other three are an EMA's (see `ema`): its value before the stretch it is in, the stretch's first value,
    and what the stretch has added up.
    """

    value: float = 0.0
    seen: int = 0
    entered: float = 0.0
    anchor: float = 0.0
    scaled: float = 0.0


START = Running()

STRETCH = 256
"""An EMA is summed up anew after so many values; 3 ** 256 still is a float, for the shortest of lengths."""


def ema(values: Floats, length: int, state: Running = START) -> tuple[Floats, Running]:
    """Exponential average, alpha 2 / (length + 1), seeded with the first value it ever sees.

    `e[i] = e[i-1] + alpha (v[i] - e[i-1])` in closed form, over stretches of `STRETCH` values that are counted
    from the feed's first: with d = 1 - alpha, anchor a (the stretch's first value) and e before the stretch,
    `e[k] = a + d^k (d (e - a) + sum over j <= k of alpha (v[j] - a) d^-j)`. The sum is made value by value, so a
    state in the middle of a stretch continues it bit for bit, and equal values give exactly themselves.
    """
    if len(values) == 0:
        return np.empty(0), state
    if length == 1:
        return values.copy(), Running(float(values[-1]), state.seen + len(values))
    powers = _powers(length)
    if state.seen == 0:
        state = Running(float(values[0]))
    out = np.empty(len(values))
    place = state.seen % STRETCH
    head = min(-place % STRETCH, len(values))
    whole = head + (len(values) - head) // STRETCH * STRETCH
    if head:
        state = _part(values[:head], out[:head], powers, state)
    if whole > head:
        rows = (whole - head) // STRETCH
        state = _stretches(
            values[head:whole].reshape(rows, STRETCH), out[head:whole].reshape(rows, STRETCH), powers, state
        )
    if whole < len(values):
        state = _part(values[whole:], out[whole:], powers, state)
    return out, state


class _Powers(NamedTuple):
    """Of one length: d; d^k; alpha d^-k, for the places k of a stretch."""

    decay: float
    falling: Floats
    rising: Floats


@cache
def _powers(length: int) -> _Powers:
    alpha = 2.0 / (length + 1)
    decay = 1.0 - alpha
    falling = np.full(STRETCH, decay)
    falling[0] = 1.0
    falling = np.multiply.accumulate(falling)
    return _Powers(decay, falling, alpha / falling)


def _stretches(values: Floats, out: Floats, powers: _Powers, state: Running) -> Running:
    """Whole stretches, one a row, into `out`."""
    anchors = values[:, 0].copy()
    summed = out
    np.subtract(values, anchors[:, None], out=summed)
    summed *= powers.rising
    np.add.accumulate(summed, axis=1, out=summed)
    last_sums = summed[:, -1].tolist()
    starts = np.empty(len(anchors))
    entered = value = state.value
    last_power = float(powers.falling[-1])
    for row, anchor in enumerate(anchors.tolist()):
        entered = value
        start = powers.decay * (entered - anchor)
        starts[row] = start
        value = (last_sums[row] + start) * last_power + anchor
    summed += starts[:, None]
    summed *= powers.falling
    summed += anchors[:, None]
    return Running(value, state.seen + values.size, entered, float(anchors[-1]), last_sums[-1])


def _part(values: Floats, out: Floats, powers: _Powers, state: Running) -> Running:
    """Values that lie within one stretch, into `out`; the stretch may have begun before."""
    place = state.seen % STRETCH
    entered, anchor = state.entered, state.anchor
    if place == 0:
        entered, anchor = state.value, float(values[0])
    steps = slice(place, place + len(values))
    terms = (values - anchor) * powers.rising[steps]
    if place:
        terms[0] += state.scaled
    np.add.accumulate(terms, out=terms)
    out[:] = (terms + powers.decay * (entered - anchor)) * powers.falling[steps] + anchor
    return Running(float(out[-1]), state.seen + len(values), entered, anchor, float(terms[-1]))


def wilder(values: Floats, length: int, state: Running = START) -> tuple[Floats, Running]:
    """Wilder's average: the mean of what there is up to `length` values, then 1 / length of each new one."""
    out = np.empty(len(values))
    last, seen = state.value, state.seen
    for index, value in enumerate(values.tolist()):
        seen += 1
        last = (value - last) / min(seen, length) + last
        out[index] = last
    return out, Running(last, seen)


class Windows:
    """Sums and means over the last so many values of one column, the current included; of fewer at the start.

    A sum is put together from sums of 1, 2, 4, ... values, the newest last; windows of several lengths share those.
    """

    def __init__(self, values: Floats) -> None:
        self._powers = [values]

    def sum(self, length: int) -> Floats:
        """Sums over `length` values."""
        total: Floats | None = None
        covered = size = 0
        for number in range(length.bit_length()):
            size = 1 << number
            if not length & size:
                continue
            power = self._power(number)
            if total is None:
                total = power.copy()
            else:
                # What is covered already lies right behind; this power's values come before it.
                total[covered:] += power[: max(len(power) - covered, 0)]
            covered += size
        return np.zeros(len(self._powers[0])) if total is None else total

    def mean(self, length: int) -> Floats:
        """Means over `length` values."""
        mean = self.sum(length)
        few = min(length - 1, len(mean))
        first = mean[:few] / np.arange(1.0, few + 1.0)
        mean /= float(length)
        mean[:few] = first
        return mean

    def _power(self, number: int) -> Floats:
        """Sums of 2 ** `number` values."""
        while len(self._powers) <= number:
            half, back = self._powers[-1], 1 << (len(self._powers) - 1)
            summed = np.empty(len(half))
            summed[:back] = half[:back]
            np.add(half[back:], half[:-back], out=summed[back:])
            self._powers.append(summed)
        return self._powers[number]


def window_sum(values: Floats, length: int) -> Floats:
    """Sum of the last `length` values, the current included; of fewer at the start."""
    return Windows(values).sum(length)


def window_mean(values: Floats, length: int) -> Floats:
    """Mean of the last `length` values, the current included; of fewer at the start."""
    return Windows(values).mean(length)


def ratio(over: Floats, under: Floats, otherwise: Floats | float = 0.0) -> Floats:
    """`over / under`, and `otherwise` where `under` is zero."""
    divisible = under != 0
    if divisible.all():
        whole: Floats = over / under
        return whole
    result = np.full(len(over), otherwise)
    np.divide(over, under, out=result, where=divisible)
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


def vwap(high: Floats, low: Floats, close: Floats, volume: Floats, sums: Windows, length: int) -> Floats:
    """Volume-weighted mean of the typical price over the last candles; the close where none has volume.

    `sums` are the windows of `volume`.
    """
    traded = high + low
    traded += close
    traded /= 3.0
    traded *= volume
    return ratio(window_sum(traded, length), sums.sum(length), close)


def volume_ratio(volume: Floats, sums: Windows, length: int) -> Floats:
    """Volume over the mean of the last `length`, the current included; 0 where that mean is 0."""
    return ratio(volume, sums.mean(length))


def volume_ratio_before(volume: Floats, sums: Windows, length: int) -> Floats:
    """Volume over the mean of the `length` candles before it; 0 where that mean is 0 or nothing was before."""
    previous = before(sums.mean(length))
    previous[:1] = 0.0
    return ratio(volume, previous)
