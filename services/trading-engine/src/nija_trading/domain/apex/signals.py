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

_DENIALS: tuple[Denial | None, ...] = (
    None,
    Denial.WARMING_UP,
    Denial.VOLUME_THIN,
    Denial.TREND_WEAK,
    Denial.VOLUME_LOW,
    Denial.NO_DIRECTION,
    Denial.SHORT_ON_SPOT,
    Denial.SCORE_LOW,
)
_CODE = {denial: code for code, denial in enumerate(_DENIALS)}


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
    """Columns of `SignalRow`, one value a candle; `denial` as a code of which `row` makes the reason."""

    time_ms: Ints
    decides: Flags
    direction: Codes
    score_long: Codes
    score_short: Codes
    opposite: Flags
    trend_break: Flags
    denial: Codes
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
            _DENIALS[self.denial[index]],
            float(self.atr[index]),
        )


def signals(found: Features, params: Parameters, profile: RiskProfile) -> Signals:
    """Signals of every candle for one profile."""
    price = params.tie_price * found.close
    trending = found.adx >= profile.minimum_adx - params.tie_oscillator
    active = found.volume_short >= params.market_volume - params.tie_ratio
    direction = np.where(trending & active, _direction(found, params, price), NONE).astype(np.int8)
    score_long, score_short = _scores(found, params, price)
    decides = found.number >= params.warm_up
    enough_short = score_short >= profile.minimum_score
    refusals = (
        (~decides, Denial.WARMING_UP),
        (found.volume_long < params.smart_volume - params.tie_ratio, Denial.VOLUME_THIN),
        (~trending, Denial.TREND_WEAK),
        (~active, Denial.VOLUME_LOW),
        (direction == NONE, Denial.NO_DIRECTION),
        (direction == SHORT, Denial.SHORT_ON_SPOT),
        (score_long < profile.minimum_score, Denial.SCORE_LOW),
    )
    denial = np.zeros(len(found), dtype=np.int8)
    for refused, reason in reversed(refusals):
        denial[refused] = _CODE[reason]
    return Signals(
        time_ms=found.time_ms,
        decides=decides,
        direction=direction,
        score_long=score_long,
        score_short=score_short,
        opposite=decides & (direction == SHORT) & enough_short,
        trend_break=decides & _trend_break(found, params),
        denial=denial,
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
