"""Points of a report's drawings: curves thinned to what a screen can show, axes with round numbers.

Everything is in the drawing's own units: x from 0 to WIDTH, y from 0 (top) to HEIGHT. The template makes SVG of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from nija_trading.domain.market.candles import Floats, Ints

WIDTH, HEIGHT = 1000.0, 260.0
MOST_POINTS = 2_000
BARS = 40

Tick = tuple[float, str]
"""Where on the axis, and what is written there."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From values between `low` and `high` to the drawing's units; `high` is at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def many(self, values: NDArray[np.float64] | Ints) -> Floats:
        """All of them at once."""
        part = (values.astype(np.float64) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def time_scale(times_ms: Sequence[int] | Ints) -> Scale:
    """From times to x."""
    low, high = float(times_ms[0]), float(times_ms[-1])
    return Scale(low, high if high > low else low + 1, 0.0, WIDTH)


def value_scale(values: Floats) -> Scale:
    """From values to y, with a little room above and below."""
    low, high = float(values.min()), float(values.max())
    room = (high - low) * 0.04 or abs(high) * 0.01 or 1.0
    return Scale(low - room, high + room, HEIGHT, 0.0)


def thinned(values: Floats, most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Indices of at most `most` values, first and last among them, that keep the lowest and the highest of each stretch."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, (most - 2) // 2 + 1).astype(np.int64)
    kept = {0, count - 1}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        piece = values[start:stop]
        kept.add(start + int(piece.argmin()))
        kept.add(start + int(piece.argmax()))
    return np.array(sorted(kept), dtype=np.int64)


def polyline(x: Scale, y: Scale, times_ms: Ints, values: Floats) -> str:
    """The points of a curve, thinned, as SVG writes them."""
    kept = thinned(values)
    xs, ys = x.many(times_ms[kept]).tolist(), y.many(values[kept]).tolist()
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(xs, ys, strict=True))


def value_ticks(scale: Scale, wanted: int = 4) -> list[Tick]:
    """Round values along an axis."""
    span = scale.high - scale.low
    rough = span / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    places = max(0, 1 - math.floor(math.log10(step))) if step < 1 else (1 if step % 1 else 0)
    return [(scale(number * step), f"{number * step:,.{places}f}") for number in range(first, last + 1)]


def time_ticks(scale: Scale, wanted: int = 6) -> list[Tick]:
    """Days along the axis: of years, months or single days, as the span asks for; never more than wanted."""
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (scale.low, scale.high))
    days = max(1, (end - start).days)
    if days > 365 * 3:
        step = math.ceil(days / 365 / wanted)
        marks = [datetime(year, 1, 1, tzinfo=UTC) for year in range(start.year, end.year + 1, step)]
        form = "%Y"
    elif days > 60:
        step = math.ceil(days / 30 / wanted)
        months = range(start.year * 12 + start.month - 1, end.year * 12 + end.month, step)
        marks = [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in months]
        form = "%Y-%m"
    else:
        step = math.ceil(days / wanted)
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
        marks = [midnight + timedelta(days=n) for n in range(0, days + 2, step)]
        form = "%m-%d"
    return [(scale(mark.timestamp() * 1000), mark.strftime(form)) for mark in marks if start <= mark <= end]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a distribution: x, y, width, height, how many, and from where to where."""

    x: float
    y: float
    width: float
    height: float
    count: int
    low: float
    high: float


def distribution(values: Floats) -> tuple[list[Bar], Scale]:
    """How many values lie where: bars of equal width with an edge at 0; what lies far out is in the outermost bars."""
    low, high = (float(np.quantile(values, q)) for q in (0.005, 0.995))
    low, high = min(low, 0.0), max(high, 0.0)
    width = (high - low) / BARS or 1.0
    first, last = math.floor(low / width), max(math.ceil(high / width), math.floor(low / width) + 1)
    scale = Scale(first * width, last * width, 0.0, WIDTH)
    places = np.clip(np.floor(values / width).astype(np.int64), first, last - 1)
    counts = np.bincount(places - first, minlength=last - first)
    most = int(counts.max())
    bars = []
    for number, count in enumerate(counts.tolist()):
        left, right = (first + number) * width, (first + number + 1) * width
        height = round(HEIGHT * count / most, 1)
        bars.append(Bar(scale(left), HEIGHT - height, scale(right) - scale(left), height, count, left, right))
    return bars, scale
