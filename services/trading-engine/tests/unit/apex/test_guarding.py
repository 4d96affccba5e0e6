"""Trailing, the exits that a close decides, and their priority."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nija_trading.domain.apex.guarding import bracket_for, exit_at_close, followed, stop_reason
from nija_trading.domain.apex.parameters import Parameters
from nija_trading.domain.market.candles import HOUR_MS, Candle
from nija_trading.domain.matching.orders import Reason
from nija_trading.domain.matching.position import PositionState
from nija_trading.domain.matching.terms import MarketRules

PARAMS = Parameters()
RULES = MarketRules()


def after(position: PositionState, high: float, close: float, atr: float = 1.0, time_ms: int = 0) -> PositionState:
    return followed(position, Candle(time_ms, 100.0, high, 99.0, close, 1.0), atr, PARAMS, RULES)


def test_the_bracket_has_the_stop_and_the_four_levels_with_ids_of_their_own() -> None:
    bracket = bracket_for("e1", 2.0, PARAMS)
    assert (bracket.stop_order_id, bracket.atr, bracket.multiple) == ("e1-stop", 2.0, 1.5)
    assert [(level.order_id, level.gain, level.share) for level in bracket.levels] == [
        ("e1-tp1", 0.005, 0.10),
        ("e1-tp2", 0.01, 0.15),
        ("e1-tp3", 0.02, 0.25),
        ("e1-tp4", 0.03, 0.50),
    ]


@pytest.mark.parametrize(("high", "armed"), [(101.0, True), (100.99, False)])
def test_a_high_of_one_per_cent_arms(high: float, armed: bool, made: Any) -> None:
    position = after(made.position(), high, 100.0)
    assert position.armed is armed
    assert position.stop == (100.0 if armed else 98.0)
    assert stop_reason(position) is (Reason.TRAILING_STOP if armed else Reason.STOP_LOSS)


def test_the_stop_is_the_tightest_of_old_stop_entry_and_best_close_less_the_range(made: Any) -> None:
    position = after(made.position(), 106.0, 105.0, atr=1.0)
    assert (position.stop, position.best_close) == (103.5, 105.0)
    position = after(position, 104.0, 104.0, atr=0.5)
    assert position.stop == 104.25, "the best close stays, the range is that of now"
    position = after(position, 104.0, 103.0, atr=3.0)
    assert position.stop == 104.25, "it only tightens"
    assert after(made.position(), 102.0, 101.0, atr=5.0).stop == 100.0, "the entry at least"


def test_a_stop_may_come_to_lie_above_the_close(made: Any) -> None:
    position = after(made.position(), 110.0, 109.0, atr=1.0)
    position = after(position, 103.0, 100.0, atr=1.0)
    assert position.stop == 107.5


def test_the_entry_candles_own_close_counts_as_best(made: Any) -> None:
    position = after(made.position(entry_candle_ms=None), 100.5, 100.4)
    assert (position.best_close, position.entry_candle_ms) == (100.4, 0)


def test_a_stop_that_trails_is_rounded_down_to_the_tick(made: Any) -> None:
    candle = Candle(0, 100.0, 106.0, 99.0, 105.1, 1.0)
    assert followed(made.position(), candle, 1.0, PARAMS, MarketRules(tick=0.5)).stop == 103.5


def test_a_candle_that_opened_before_the_entry_changes_nothing(made: Any) -> None:
    position = made.position(opened_ms=90_000, entry_candle_ms=None)
    assert after(position, 120.0, 120.0, time_ms=60_000) == position
    candle = Candle(60_000, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert exit_at_close(position, candle, made.row(opposite=True), PARAMS) is None


def leave(made: Any, hours: float = 0, signal_exits: bool = True, **row: Any) -> Reason | None:
    candle = Candle(int(hours * HOUR_MS), 1.0, 1.0, 1.0, 1.0, 1.0)
    return exit_at_close(made.position(), candle, made.row(**row), PARAMS, signal_exits=signal_exits)


@pytest.mark.parametrize(("hours", "reason"), [(48, Reason.MAX_HOLD), (47.99, None), (60, Reason.MAX_HOLD)])
def test_after_48_hours_from_opening_to_opening_the_position_is_closed(
    hours: float, reason: Reason | None, made: Any
) -> None:
    assert leave(made, hours) is reason


def test_opposite_before_trend_break_before_time(made: Any) -> None:
    assert leave(made, 48, opposite=True, trend_break=True) is Reason.OPPOSITE_SIGNAL
    assert leave(made, 48, trend_break=True) is Reason.TREND_BREAK
    assert leave(made, 48) is Reason.MAX_HOLD


def test_a_stopped_or_alerts_only_bot_keeps_the_time_exit_alone(made: Any) -> None:
    assert leave(made, 0, signal_exits=False, opposite=True, trend_break=True) is None
    assert leave(made, 48, signal_exits=False, opposite=True) is Reason.MAX_HOLD


def test_a_position_without_a_stop_is_followed_without_one(made: Any) -> None:
    bare = replace(made.position(), stop=None)
    assert after(bare, 110.0, 109.0).stop is None


@pytest.mark.parametrize("gains", [(0.02, 0.01, 0.03, 0.04), (-0.01, 0.01, 0.02, 0.03), (0.01, 0.02)])
def test_levels_that_do_not_rise_or_have_no_share_are_refused(gains: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="level_gains must rise"):
        Parameters(level_gains=gains)
