"""Every indicator on every candle, the first ones too, against a slow literal implementation, for both smoothings.

Any candles may come: flat stretches, jumps, gaps in time, no volume, one candle alone. Prices lie on a coarse grid, so
that their differences are exact and nothing hides behind a tolerance. Both implementations share the strategy page only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_trading.domain.apex.features import features
from nija_trading.domain.apex.parameters import Parameters, Smoothing
from nija_trading.domain.market.candles import Candles

MINUTE = 60_000
TICK = 0.25

Row = tuple[int, float, float, float, float, float]
Average = Callable[[Sequence[float]], list[float]]


@st.composite
def markets(draw: st.DrawFn, longest: int = 140) -> list[Row]:
    """Candles of any shape on a grid; a good part of them flat, without volume, or behind a gap."""
    size = draw(st.one_of(st.integers(1, 6), st.integers(7, longest)))
    moves = st.one_of(st.just(0), st.just(0), st.integers(-6, 6), st.integers(-60, 60))
    wicks = st.one_of(st.just(0), st.integers(0, 8))
    rows: list[Row] = []
    at, last = 0, draw(st.integers(100, 2_000))
    for _ in range(size):
        opened = max(70, last + draw(st.one_of(st.just(0), moves)))
        close = max(70, opened + draw(moves))
        high, low = max(opened, close) + draw(wicks), min(opened, close) - draw(wicks)
        volume = float(draw(st.one_of(st.just(0), st.integers(1, 50), st.integers(1, 10_000))))
        rows.append((at, opened * TICK, high * TICK, low * TICK, close * TICK, volume))
        at += MINUTE * draw(st.sampled_from((1, 1, 1, 2, 500)))
        last = close
    return rows


# -- the literal implementation ------------------------------------------------------------------------------


def simple(length: int) -> Average:
    """The mean of the last values, of fewer where there are not so many yet."""

    def average(values: Sequence[float]) -> list[float]:
        windows = [values[max(0, i + 1 - length) : i + 1] for i in range(len(values))]
        return [sum(window) / len(window) for window in windows]

    return average


def wilder(length: int) -> Average:
    """Wilder's: the mean while there are not so many, then (n - 1) parts of the average before and one of the new."""

    def average(values: Sequence[float]) -> list[float]:
        out: list[float] = []
        for i, value in enumerate(values):
            out.append(sum(values[: i + 1]) / (i + 1) if i < length else (out[-1] * (length - 1) + value) / length)
        return out

    return average


def ema(values: Sequence[float], length: int) -> list[float]:
    out = [values[0]]
    for value in values[1:]:
        out.append(out[-1] + 2 / (length + 1) * (value - out[-1]))
    return out


def over(value: float, under: float) -> float:
    return value / under if under else 0.0


def literal(rows: Sequence[Row], average: Average) -> dict[str, list[float]]:
    """All indicators of a feed, by the names of the features."""
    high, low, close, volume = ([row[k] for row in rows] for k in (2, 3, 4, 5))
    count = range(len(rows))
    change = [close[i] - close[i - 1] if i else 0.0 for i in count]
    gain = average([max(c, 0.0) for c in change])
    loss = average([max(-c, 0.0) for c in change])
    span = [
        max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1])) if i else high[i] - low[i]
        for i in count
    ]
    ups = [high[i] - high[i - 1] if i else 0.0 for i in count]
    downs = [low[i - 1] - low[i] if i else 0.0 for i in count]
    plus = average([up if up > 0 and up >= down else 0.0 for up, down in zip(ups, downs, strict=True)])
    minus = average([down if down > 0 and down > up else 0.0 for up, down in zip(ups, downs, strict=True)])
    atr = average(span)
    dx = []
    for i in count:
        up, down = 100 * over(plus[i], atr[i]), 100 * over(minus[i], atr[i])
        dx.append(100 * over(abs(up - down), up + down))
    macd = [fast - slow for fast, slow in zip(ema(close, 12), ema(close, 26), strict=True)]
    return {
        "ema_fast": ema(close, 9),
        "ema_medium": ema(close, 21),
        "ema_slow": ema(close, 50),
        "rsi": [rsi(up, down) for up, down in zip(gain, loss, strict=True)],
        "atr": atr,
        "adx": average(dx),
        "histogram": [m - s for m, s in zip(macd, ema(macd, 9), strict=True)],
        "vwap": [vwap(rows[max(0, i - 99) : i + 1]) for i in count],
        "volume_short": [over(volume[i], mean(volume[max(0, i - 4) : i + 1])) for i in count],
        "volume_long": [over(volume[i], mean(volume[max(0, i - 19) : i + 1])) for i in count],
        "volume_before": [over(volume[i], mean(volume[max(0, i - 2) : i])) for i in count],
    }


def rsi(gain: float, loss: float) -> float:
    if loss == 0:
        return 50.0 if gain == 0 else 100.0
    return 100 - 100 / (1 + gain / loss)


def vwap(window: Sequence[Row]) -> float:
    weight = sum(row[5] for row in window)
    return sum((row[2] + row[3] + row[4]) / 3 * row[5] for row in window) / weight if weight else window[-1][4]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


# -- the tests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("smoothing", "average"), [(Smoothing.SIMPLE, simple(14)), (Smoothing.WILDER, wilder(14))])
@given(rows=markets())
@settings(max_examples=35, deadline=None)
def test_every_candle_of_any_market_has_the_literal_indicators(
    smoothing: Smoothing, average: Average, rows: list[Row]
) -> None:
    found = features(Candles.of(MINUTE, rows), Parameters(smoothing=smoothing))
    for name, expected in literal(rows, average).items():
        assert getattr(found, name) == pytest.approx(np.array(expected), rel=1e-9, abs=1e-9), name


@given(rows=markets(60), scale=st.sampled_from((2.0**-20, 2.0**20)))
@settings(max_examples=15, deadline=None)
def test_prices_and_volumes_in_another_unit_change_no_ratio(rows: list[Row], scale: float) -> None:
    scaled = [(row[0], *(value * scale for value in row[1:])) for row in rows]
    one, other = (features(Candles.of(MINUTE, each), Parameters()) for each in (rows, scaled))
    for name in ("rsi", "adx", "volume_before", "volume_short", "volume_long"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
    for name in ("ema_fast", "atr", "vwap", "histogram"):
        assert (getattr(one, name) * scale).tolist() == getattr(other, name).tolist(), name


@pytest.mark.parametrize("smoothing", list(Smoothing))
@given(rows=markets(60))
@settings(max_examples=15, deadline=None)
def test_indicators_stay_within_their_bounds(smoothing: Smoothing, rows: list[Row]) -> None:
    found = features(Candles.of(MINUTE, rows), Parameters(smoothing=smoothing))
    noise = 1e-9
    low, high = min(row[3] for row in rows), max(row[2] for row in rows)
    bounds: dict[str, tuple[float, float]] = {
        "rsi": (0, 100),
        "adx": (0, 100),
        "atr": (0, high - low),
        "vwap": (low, high),
        "ema_slow": (low, high),
        "volume_short": (0, 5),
        "volume_long": (0, 20),
    }
    for name, (least, most) in bounds.items():
        column: Any = getattr(found, name)
        assert column.min() >= least - noise, name
        assert column.max() <= most * (1 + noise) + noise, name


@given(size=st.integers(1, 130), level=st.integers(1, 10_000), volume=st.sampled_from((0.0, 5.0)))
@settings(max_examples=15, deadline=None)
def test_a_market_that_never_moves_has_no_range_no_trend_and_no_side(size: int, level: int, volume: float) -> None:
    price = level * TICK
    rows = [(i * MINUTE, price, price, price, price, volume) for i in range(size)]
    found = features(Candles.of(MINUTE, rows), Parameters())
    assert set(found.rsi.tolist()) == {50.0}
    assert set(found.adx.tolist()) == set(found.atr.tolist()) == set(found.histogram.tolist()) == {0.0}
    assert found.vwap == pytest.approx(np.full(size, price), rel=1e-12)
    assert found.volume_short == pytest.approx(np.full(size, 1.0 if volume else 0.0))
