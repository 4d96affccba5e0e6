"""Signals: what the features of a candle mean under a risk profile.

Smart filter, market filter, entry score, trend break and opposite signal, as columns for a backtest or as one
row for a live step. Everything here depends on the market alone; accounts come in with `step.py`. A short
signal opens nothing on a spot market: it can only close a long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nija_trading.domain.apex.features import Features, Flags
from nija_trading.domain.apex.parameters import Parameters, RiskProfile
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.market.candles import Floats, Ints

Codes = NDArray[np.int8]

LONG, NONE, SHORT = 1, 0, -1

MAXIMUM_SCORE = 5
"""Conditions of the entry score."""


class SignalRow(NamedTuple):
    """The signals of one closed candle.

    `denial` is the first of smart filter, market filter and score that refuses a long entry; None wants one.
    `opposite` and `trend_break` are exits of a long; no filter but the market filter touches them.
    """

    time_ms: int
    decides: bool
    """Whether the feed has its 100 candles."""
    direction: int
    score_long: int
    score_short: int
    opposite: bool
    trend_break: bool
    denial: Denial | None
    atr: float

    @property
    def wants_entry(self) -> bool:
        """Whether the market asks for a long entry."""
        return self.denial is None


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Columns of `SignalRow`, one value a candle.

    `wants_entry` says where nothing refuses a long, `refusal` why something does; `trending`, `active` and `thin` are
    what the filters found.
    """

    time_ms: Ints
    decides: Flags
    direction: Codes
    score_long: Codes
    score_short: Codes
    opposite: Flags
    trend_break: Flags
    wants_entry: Flags
    trending: Flags
    active: Flags
    thin: Flags
    atr: Floats

    def __len__(self) -> int:
        return len(self.time_ms)

    def row(self, index: int) -> SignalRow:
        """The signals of one candle."""
        return SignalRow(
            int(self.time_ms[index]),
            bool(self.decides[index]),
            int(self.direction[index]),
            int(self.score_long[index]),
            int(self.score_short[index]),
            bool(self.opposite[index]),
            bool(self.trend_break[index]),
            self.refusal(index),
            float(self.atr[index]),
        )

    def refusal(self, index: int) -> Denial | None:
        """The first that refuses a long at one candle, in the order of the rules; None where nothing does."""
        if self.wants_entry[index]:
            return None
        if not self.decides[index]:
            return Denial.WARMING_UP
        if self.thin[index]:
            return Denial.VOLUME_THIN
        if not self.trending[index]:
            return Denial.TREND_WEAK
        if not self.active[index]:
            return Denial.VOLUME_LOW
        if self.direction[index] == NONE:
            return Denial.NO_DIRECTION
        return Denial.SHORT_ON_SPOT if self.direction[index] == SHORT else Denial.SCORE_LOW


def signals(found: Features, params: Parameters, profile: RiskProfile) -> Signals:
    """Signals of every candle for one profile."""
    price = params.tie_price * found.close
    trending = found.adx >= profile.minimum_adx - params.tie_oscillator
    active = found.volume_short >= params.market_volume - params.tie_ratio
    direction = np.where(trending & active, _direction(found, params, price), NONE).astype(np.int8)
    score_long, score_short = _scores(found, params, price)
    decides = found.number >= params.warm_up
    thin = found.volume_long < params.smart_volume - params.tie_ratio
    short = direction == SHORT
    short &= score_short >= profile.minimum_score
    short &= decides
    # A direction is there only where the market is trending and active.
    long = direction == LONG
    long &= score_long >= profile.minimum_score
    long &= decides
    long &= ~thin
    return Signals(
        time_ms=found.time_ms,
        decides=decides,
        direction=direction,
        score_long=score_long,
        score_short=score_short,
        opposite=short,
        trend_break=decides & _trend_break(found, params),
        wants_entry=long,
        trending=trending,
        active=active,
        thin=thin,
        atr=found.atr,
    )


def _direction(found: Features, params: Parameters, price: Floats) -> Codes:
    """The side with the strictly higher count of the market filter's conditions, and with enough of them."""
    both = (found.adx > params.trend_adx + params.tie_oscillator).astype(np.int8)
    both += found.volume_short >= params.market_volume - params.tie_ratio
    up = found.close - found.vwap
    fast = found.ema_fast - found.ema_medium
    slow = found.ema_medium - found.ema_slow
    long = both + (up > price) + ((fast > price) & (slow > price)) + (found.histogram > price)
    short = both + (up < -price) + ((fast < -price) & (slow < -price)) + (found.histogram < -price)
    enough = params.market_count
    chosen = np.where((long > short) & (long >= enough), LONG, NONE)
    return np.where((short > long) & (short >= enough), SHORT, chosen).astype(np.int8)


def _scores(found: Features, params: Parameters, price: Floats) -> tuple[Codes, Codes]:
    """(long, short) entry scores, 0 to 5."""
    near = np.zeros(len(found), dtype=np.bool_)
    for reference in (found.ema_medium, found.vwap):
        near |= np.abs(found.close - reference) <= params.near * reference + price
    both = near.astype(np.int8)
    both += found.volume_before >= params.entry_volume - params.tie_ratio
    tie = params.tie_oscillator
    rising = found.rsi > found.rsi_before + tie
    falling = found.rsi < found.rsi_before - tie
    low = _within(found.rsi, params.rsi_long_low, params.rsi_long_high, tie)
    high = _within(found.rsi, params.rsi_short_low, params.rsi_short_high, tie)
    momentum = found.histogram - found.histogram_before
    long = both + (low & rising) + found.bullish + (momentum > price)
    short = both + (high & falling) + found.bearish + (momentum < -price)
    return long.astype(np.int8), short.astype(np.int8)


def _within(values: Floats, low: float, high: float, tie: float) -> Flags:
    return (values >= low - tie) & (values <= high + tie)


def _trend_break(found: Features, params: Parameters) -> Flags:
    """The fast EMA was at or above the medium one a candle ago, and is below it now."""
    gap_before = found.ema_fast_before - found.ema_medium_before
    gap = found.ema_fast - found.ema_medium
    at_or_above = gap_before >= -params.tie_price * found.close_before
    return at_or_above & (gap < -params.tie_price * found.close) & (found.number > 1)
