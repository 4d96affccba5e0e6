"""Features: all that APEX reads from a feed and that neither a profile nor a threshold changes.

Computed over whole columns for a backtest, or candle by candle for a live feed (`FeedState`, `advance`), with
bit-identical values: windows are short and self-contained, running averages carry their state. What the
features mean for a trade is decided in `signals.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nija_trading.domain.apex import indicators as ind
from nija_trading.domain.apex.indicators import Running
from nija_trading.domain.apex.parameters import Parameters, Smoothing
from nija_trading.domain.market.candles import Candles, Floats, Ints

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

BLOCK = 8_192
"""Candles of a long feed that are gone through at a time, so that columns in the making stay in the cache, and a process
that runs once asks for little memory."""

FEATURE_PARAMETERS = (
    "ema_fast",
    "ema_medium",
    "ema_slow",
    "rsi_length",
    "atr_length",
    "adx_length",
    "smoothing",
    "macd_fast",
    "macd_slow",
    "macd_signal",
    "vwap_length",
    "volume_short",
    "volume_long",
    "volume_before",
    "wick_to_body",
    "wick_to_range",
)
"""The parameters that change a feature; no other does."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Columns of one value a candle. `number` counts candles of the feed from 1.

    `*_before` is the value of the candle before. `bullish` and `bearish` say that the candle ends an engulfing
    or is a hammer, or a shooting star.
    """

    number: Ints
    time_ms: Ints
    close: Floats
    close_before: Floats
    ema_fast: Floats
    ema_medium: Floats
    ema_slow: Floats
    ema_fast_before: Floats
    ema_medium_before: Floats
    histogram: Floats
    histogram_before: Floats
    rsi: Floats
    rsi_before: Floats
    atr: Floats
    adx: Floats
    vwap: Floats
    volume_before: Floats
    """v2"""
    volume_short: Floats
    """v5"""
    volume_long: Floats
    """v20"""
    bullish: Flags
    bearish: Flags

    def __len__(self) -> int:
        return len(self.time_ms)


@dataclass(frozen=True, slots=True, eq=False)
class FeedState:
    """What a live feed keeps between candles, whatever its length.

    `tail`: candles enough for every window. `averages`: states of the running averages, in the order in which
    a pass asks for them. `last`: the newest values of the features that have a `*_before`.
    """

    tail: Candles
    count: int = 0
    averages: tuple[Running, ...] = ()
    last: tuple[float, ...] | None = None


def lookback(params: Parameters) -> int:
    """Candles before the current one that its windowed features look at, at most."""
    windows = (
        params.vwap_length,
        params.volume_short,
        params.volume_long,
        params.volume_before + 1,
        params.rsi_length + 1,
        params.atr_length + 1,
        2 * params.adx_length + 1,
    )
    return max(windows) + 1


def features(candles: Candles, params: Parameters) -> Features:
    """Features of a whole feed, one row a candle."""
    return start_feed(candles, params)[1]


def feature_blocks(candles: Candles, params: Parameters, size: int = BLOCK) -> Iterator[Features]:
    """Features of a whole feed, `size` candles at a time; one block, without a row, of a feed without candles."""
    state = FeedState(candles.slice(0, 0))
    for start in range(0, max(len(candles), 1), size):
        state, rows = advance(state, candles.slice(start, start + size), params)
        yield rows


def start_feed(candles: Candles, params: Parameters) -> tuple[FeedState, Features]:
    """Features of a feed's first candles, and the state from which `advance` goes on."""
    return advance(FeedState(candles.slice(0, 0)), candles, params)


def advance(state: FeedState, new: Candles, params: Parameters) -> tuple[FeedState, Features]:
    """Features of the next candles of a feed, bit for bit those of the whole feed, at the cost of a tail.

    ValueError where the new candles do not come after those that the state has seen.
    """
    known = state.tail.append(new)
    work = _Pass(len(new), state.averages, params)
    close = new.close
    fast = work.ema(close, params.ema_fast)
    medium = work.ema(close, params.ema_medium)
    slow = work.ema(close, params.ema_slow)
    macd = work.ema(close, params.macd_fast) - work.ema(close, params.macd_slow)
    histogram = macd - work.ema(macd, params.macd_signal)

    change = known.close - ind.before(known.close)
    gain = work.average(np.maximum(change, 0.0), params.rsi_length)
    loss = work.average(np.maximum(-change, 0.0), params.rsi_length)
    rsi = work.new(ind.rsi(gain, loss))
    true_range = ind.true_range(known.high, known.low, known.close)
    atr = work.average(true_range, params.atr_length)
    plus, minus = ind.directional_movement(known.high, known.low)
    dx = ind.directional_index(
        work.average(plus, params.adx_length),
        work.average(minus, params.adx_length),
        atr if params.adx_length == params.atr_length else work.average(true_range, params.adx_length),
    )
    adx = work.new(work.average(dx, params.adx_length))
    volume, sums = known.volume, ind.Windows(known.volume)
    vwap = ind.vwap(known.high, known.low, known.close, volume, sums, params.vwap_length)
    bullish, bearish = patterns(known, params)

    last = state.last or (None,) * 4
    rows = Features(
        number=np.arange(state.count + 1, state.count + len(new) + 1, dtype=np.int64),
        time_ms=new.time_ms,
        close=close,
        close_before=work.new(ind.before(known.close)),
        ema_fast=fast,
        ema_medium=medium,
        ema_slow=slow,
        ema_fast_before=_before(fast, last[0]),
        ema_medium_before=_before(medium, last[1]),
        histogram=histogram,
        histogram_before=_before(histogram, last[2]),
        rsi=rsi,
        rsi_before=_before(rsi, last[3]),
        atr=work.new(atr),
        adx=adx,
        vwap=work.new(vwap),
        volume_before=work.new(ind.volume_ratio_before(volume, sums, params.volume_before)),
        volume_short=work.new(ind.volume_ratio(volume, sums, params.volume_short)),
        volume_long=work.new(ind.volume_ratio(volume, sums, params.volume_long)),
        bullish=bullish[len(known) - len(new) :],
        bearish=bearish[len(known) - len(new) :],
    )
    if len(new) == 0:
        return state, rows
    newest = (float(fast[-1]), float(medium[-1]), float(histogram[-1]), float(rsi[-1]))
    tail = known.slice(max(0, len(known) - lookback(params)), len(known))
    return FeedState(tail, state.count + len(new), tuple(work.after), newest), rows


def patterns(candles: Candles, params: Parameters) -> tuple[Flags, Flags]:
    """(bullish, bearish): engulfing or hammer; engulfing or shooting star. Prices are compared exactly."""
    opened, close = candles.open, candles.close
    open_before, close_before = ind.before(opened), ind.before(close)
    engulfs_up = (close_before < open_before) & (opened < close_before) & (close > open_before)
    engulfs_down = (close_before > open_before) & (opened > close_before) & (close < open_before)
    body = np.abs(close - opened)
    span = candles.high - candles.low
    lower = opened - candles.low
    upper = candles.high - opened
    hammer = (close > opened) & (lower > params.wick_to_body * body) & (lower > params.wick_to_range * span)
    star = (close < opened) & (upper > params.wick_to_body * body) & (upper > params.wick_to_range * span)
    return engulfs_up | hammer, engulfs_down | star


class _Pass:
    """One pass over the newest candles: running averages go on from their states, windows see the tail too."""

    def __init__(self, fresh: int, states: tuple[Running, ...], params: Parameters) -> None:
        self._fresh = fresh
        self._states = iter(states)
        self._wilder = params.smoothing is Smoothing.WILDER
        self.after: list[Running] = []

    def new(self, values: Floats) -> Floats:
        """The newest candles' part of a column."""
        return values[len(values) - self._fresh :]

    def ema(self, values: Floats, length: int) -> Floats:
        column, state = ind.ema(values, length, next(self._states, ind.START))
        self.after.append(state)
        return column

    def average(self, values: Floats, length: int) -> Floats:
        """RSI's, ATR's and ADX's mean: simple over the window, or Wilder's (of the newest candles only)."""
        if not self._wilder:
            return ind.window_mean(values, length)
        column, state = ind.wilder(self.new(values), length, next(self._states, ind.START))
        self.after.append(state)
        return column


def _before(values: Floats, last: float | None) -> Floats:
    """Values of the candle before, `last` being the one before the first; without it the first has its own."""
    first = values[:1] if last is None else np.array([last])
    return np.concatenate((first, values[:-1]))[: len(values)]
