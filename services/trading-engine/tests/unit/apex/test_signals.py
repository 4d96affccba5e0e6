"""Smart filters, market filter, entry score, trend break, opposite signal: each rule by its words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nija_trading.domain.apex.features import Features, patterns
from nija_trading.domain.apex.parameters import PROFILES, Parameters, RiskLevel
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.signals import LONG, NONE, SHORT, SignalRow, signals
from nija_trading.domain.market.candles import Candles

PARAMS = Parameters()
BULL: dict[str, Any] = {
    "number": 100,
    "time_ms": 0,
    "close": 100.0,
    "close_before": 100.0,
    "ema_fast": 103.0,
    "ema_medium": 102.0,
    "ema_slow": 101.0,
    "ema_fast_before": 103.0,
    "ema_medium_before": 102.0,
    "histogram": 1.0,
    "histogram_before": 0.5,
    "rsi": 30.0,
    "rsi_before": 29.0,
    "atr": 1.0,
    "adx": 30.0,
    "vwap": 99.0,
    "volume_before": 1.0,
    "volume_short": 1.0,
    "volume_long": 1.0,
    "bullish": False,
    "bearish": False,
}
BEAR = {
    **BULL,
    "ema_fast": 97.0,
    "ema_medium": 98.0,
    "ema_slow": 99.0,
    "ema_fast_before": 97.0,
    "ema_medium_before": 98.0,
    "histogram": -1.0,
    "histogram_before": -0.5,
    "rsi": 70.0,
    "rsi_before": 71.0,
    "vwap": 101.0,
}


def row(base: dict[str, Any] = BULL, level: RiskLevel = RiskLevel.MEDIUM, **changes: Any) -> SignalRow:
    """The signals of one candle with these features."""
    columns = {name: np.array([value]) for name, value in {**base, **changes}.items()}
    return signals(Features(**columns), PARAMS, PROFILES[level]).row(0)


# -- market filter -------------------------------------------------------------------------------------------


def test_the_side_with_the_higher_count_is_the_direction() -> None:
    assert row().direction == LONG
    assert row(BEAR).direction == SHORT


@pytest.mark.parametrize(("adx", "passes"), [(20.0, True), (20 - 1e-8, True), (19.99, False)])
def test_adx_below_the_profiles_minimum_is_no_trade(adx: float, passes: bool) -> None:
    found = row(adx=adx)
    assert (found.direction == LONG) is passes
    assert (found.denial is Denial.TREND_WEAK) is not passes


def test_the_low_profile_asks_for_more_adx() -> None:
    assert row(level=RiskLevel.LOW, adx=24.9).denial is Denial.TREND_WEAK
    assert row(level=RiskLevel.LOW, adx=25.0).direction == LONG


@pytest.mark.parametrize(("v5", "passes"), [(0.5, True), (0.5 - 1e-10, True), (0.499, False)])
def test_v5_below_a_half_is_no_trade(v5: float, passes: bool) -> None:
    assert (row(volume_short=v5).direction == LONG) is passes


def test_a_tie_of_the_counts_is_no_trade() -> None:
    tied = row(vwap=100.0, ema_fast=100.0, histogram=0.0)
    assert (tied.direction, tied.denial) == (NONE, Denial.NO_DIRECTION)
    assert row(vwap=101.0, histogram=1.0, ema_fast=102.0).direction == NONE, "one condition each"


def test_a_direction_needs_three_conditions() -> None:
    only: dict[str, Any] = {"vwap": 100.0, "ema_fast": 100.0}
    assert row(**only).direction == LONG, "histogram, ADX above 20 and v5"
    assert row(**only, adx=20.0).direction == NONE, "an ADX of 20 passes the gate and does not count"


def test_the_count_asks_for_adx_above_twenty_whatever_the_profile() -> None:
    loose = replace(PROFILES[RiskLevel.MEDIUM], minimum_adx=15.0)
    columns = {name: np.array([value]) for name, value in {**BULL, "adx": 18.0, "vwap": 100.0}.items()}
    assert signals(Features(**columns), PARAMS, loose).row(0).direction == LONG
    columns["histogram"] = np.array([0.0])
    assert signals(Features(**columns), PARAMS, loose).row(0).direction == NONE


def test_differences_within_the_tie_count_as_equal() -> None:
    hair = 100.0 * 1e-9 / 2
    assert row(vwap=100.0 - hair, ema_fast=102.0 + hair, histogram=hair).direction == NONE
    assert row(vwap=100.0 - 10 * hair, ema_fast=100.0, histogram=0.0).direction == LONG


# -- entry score ---------------------------------------------------------------------------------------------

FAR = {"vwap": 90.0, "rsi": 10.0, "rsi_before": 10.0, "histogram_before": 1.0, "volume_before": 0.0}


def score(**changes: Any) -> tuple[int, int]:
    found = row(**{**FAR, **changes})
    return found.score_long, found.score_short


def test_a_candle_that_meets_nothing_scores_nothing() -> None:
    assert score() == (0, 0)


@pytest.mark.parametrize("name", ["ema_medium", "vwap"])
@pytest.mark.parametrize(
    ("reference", "near"), [(100 / 1.005, True), (100 / 0.995, True), (99.4, False), (100.6, False)]
)
def test_closeness_to_ema21_or_vwap_scores_for_both(name: str, reference: float, near: bool) -> None:
    far = {"ema_medium": 110.0, "vwap": 90.0}
    assert score(**{**far, name: reference}) == ((1, 1) if near else (0, 0))


@pytest.mark.parametrize(("rsi", "inside"), [(25.0, True), (45.0, True), (24.9, False), (45.1, False)])
def test_a_rising_rsi_in_its_band_scores_for_long(rsi: float, inside: bool) -> None:
    assert score(rsi=rsi, rsi_before=rsi - 1) == ((1, 0) if inside else (0, 0))
    assert score(rsi=rsi, rsi_before=rsi) == (0, 0)
    assert score(rsi=rsi, rsi_before=rsi + 1) == (0, 0)


@pytest.mark.parametrize(("rsi", "inside"), [(55.0, True), (75.0, True), (54.9, False), (75.1, False)])
def test_a_falling_rsi_in_its_band_scores_for_short(rsi: float, inside: bool) -> None:
    assert score(rsi=rsi, rsi_before=rsi + 1) == ((0, 1) if inside else (0, 0))
    assert score(rsi=rsi, rsi_before=rsi) == (0, 0)


def test_patterns_score_for_their_side() -> None:
    assert score(bullish=True) == (1, 0)
    assert score(bearish=True) == (0, 1)


def test_the_histogram_against_its_previous_value_scores() -> None:
    assert score(histogram_before=0.9) == (1, 0)
    assert score(histogram_before=1.1) == (0, 1)
    assert score(histogram_before=1.0 + 1e-8) == (0, 0)


@pytest.mark.parametrize(("v2", "enough"), [(0.6, True), (0.6 - 1e-10, True), (0.59, False)])
def test_v2_scores_for_both(v2: float, enough: bool) -> None:
    assert score(volume_before=v2) == ((1, 1) if enough else (0, 0))


def pattern(*candles: tuple[float, float, float, float]) -> tuple[bool, bool]:
    """(bullish, bearish) of the last of these candles `(open, high, low, close)`."""
    rows = [(n * 60_000, *prices, 1.0) for n, prices in enumerate(candles)]
    bullish, bearish = patterns(Candles.of(60_000, rows), PARAMS)
    return bool(bullish[-1]), bool(bearish[-1])


RED, GREEN = (102.0, 102.5, 99.5, 100.0), (100.0, 102.5, 99.5, 102.0)


def test_engulfing_is_strict_on_both_sides() -> None:
    assert pattern(RED, (99.0, 103.0, 98.9, 102.5)) == (True, False)
    assert pattern(RED, (100.0, 103.0, 98.9, 102.5)) == (False, False), "an open at the close before"
    assert pattern(RED, (99.0, 103.0, 98.9, 102.0)) == (False, False), "a close at the open before"
    assert pattern(GREEN, (99.0, 103.0, 98.9, 102.5)) == (False, False), "the same colour"
    assert pattern(GREEN, (103.0, 103.1, 99.0, 99.5)) == (False, True)
    assert pattern(GREEN, (102.0, 103.1, 99.0, 99.5)) == (False, False)


def test_a_hammer_has_a_long_lower_wick_and_closes_higher() -> None:
    before = (100.0, 100.0, 100.0, 100.0)
    assert pattern(before, (100.0, 101.0, 97.0, 101.0)) == (True, False)
    assert pattern(before, (100.0, 101.0, 98.0, 101.0)) == (False, False), "a wick of two bodies is not longer"
    assert pattern(before, (100.0, 105.0, 97.0, 101.0)) == (False, False), "not 60 % of the range"
    assert pattern(before, (101.0, 101.0, 97.0, 100.0)) == (False, False), "closes lower"
    assert pattern(before, (100.0, 100.0, 90.0, 100.0)) == (False, False), "has no body"


def test_a_shooting_star_mirrors_the_hammer() -> None:
    before = (100.0, 100.0, 100.0, 100.0)
    assert pattern(before, (100.0, 103.0, 99.0, 99.0)) == (False, True)
    assert pattern(before, (100.0, 102.0, 99.0, 99.0)) == (False, False)
    assert pattern(before, (100.0, 103.0, 95.0, 99.0)) == (False, False)


# -- entries and exits ---------------------------------------------------------------------------------------


def test_an_entry_needs_the_profiles_score() -> None:
    weak: dict[str, Any] = {"rsi": 10.0, "volume_before": 1.0, "vwap": 99.9}
    assert row(**weak).score_long == 3
    assert row(**weak).wants_entry
    assert row(level=RiskLevel.LOW, **weak).denial is Denial.SCORE_LOW
    assert row(**{**weak, "vwap": 90.0}).denial is Denial.SCORE_LOW


def test_the_hundredth_candle_is_the_first_to_decide() -> None:
    assert row(number=99, vwap=99.9).denial is Denial.WARMING_UP
    assert row(number=100, vwap=99.9).wants_entry
    crossed: dict[str, Any] = {"number": 99, "ema_fast": 101.0, "ema_medium": 102.0}
    assert not row(**crossed).trend_break
    assert not row(BEAR, number=99).opposite


@pytest.mark.parametrize(("v20", "passes"), [(0.25, True), (0.25 - 1e-10, True), (0.24, False)])
def test_a_thin_v20_refuses_entries_only(v20: float, passes: bool) -> None:
    assert row(volume_long=v20, vwap=99.9).denial is (None if passes else Denial.VOLUME_THIN)
    assert row(BEAR, volume_long=0.0, vwap=100.1).opposite


def test_a_short_signal_on_spot_opens_nothing() -> None:
    assert row(BEAR, vwap=100.1).denial is Denial.SHORT_ON_SPOT


def test_an_opposite_signal_needs_direction_and_score() -> None:
    assert row(BEAR, vwap=100.1).opposite
    assert row(BEAR, vwap=100.1).score_short == 4
    assert not row(BEAR, vwap=120.0, rsi=10.0, volume_before=0.0).opposite, "score 1"
    assert not row(BEAR, vwap=100.1, adx=10.0).opposite, "no direction below the ADX gate"


def test_a_trend_break_is_a_cross_of_the_fast_ema_below_the_medium() -> None:
    assert row(ema_fast_before=102.0, ema_medium_before=102.0, ema_fast=101.0).trend_break
    assert row(ema_fast_before=103.0, ema_medium_before=102.0, ema_fast=101.0).trend_break
    assert not row(ema_fast_before=101.9, ema_medium_before=102.0, ema_fast=101.0).trend_break
    assert not row(ema_fast_before=103.0, ema_medium_before=102.0, ema_fast=102.0).trend_break


def test_a_trend_break_within_the_tie_is_none() -> None:
    hair = 100.0 * 1e-9 / 2
    assert not row(ema_fast=102.0 - hair).trend_break
    assert row(ema_fast_before=102.0 - hair, ema_medium_before=102.0, ema_fast=101.0).trend_break
