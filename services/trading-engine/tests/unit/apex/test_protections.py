"""Protections: bases, latches and counts, each rule by its words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nija_trading.domain.apex.parameters import PROFILES, Limits, Parameters, RiskLevel
from nija_trading.domain.apex.protections import (
    Protections,
    at_close,
    day_of,
    entries_paused,
    entry_filled,
    restarted,
    size_factor,
    trade_closed,
    week_of,
)
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.market.candles import DAY_MS, HOUR_MS
from nija_trading.domain.matching.money import units

MONDAY = 4 * DAY_MS
"""5 January 1970."""
PARAMS = Parameters()


def closes(
    state: Protections, *pairs: tuple[int, str], level: RiskLevel = RiskLevel.MEDIUM, limits: Limits | None = None
) -> Protections:
    """The state after closes of (opening, equity)."""
    for open_ms, equity in pairs:
        state = at_close(state, units(equity), open_ms, PARAMS, PROFILES[level], limits or Limits())
    return state


def paused(state: Protections, time_ms: int) -> Denial | None:
    return entries_paused(state, day_of(time_ms), week_of(time_ms))


START = Protections.start(units(1000))


def test_a_week_begins_on_monday() -> None:
    assert week_of(MONDAY) == week_of(MONDAY + 7 * DAY_MS - 1)
    assert week_of(MONDAY - 1) == week_of(MONDAY) - 1


@pytest.mark.parametrize(("level", "equity"), [("low", "980"), ("medium", "970"), ("high", "950")])
def test_a_daily_loss_of_the_profiles_percentage_pauses_entries_for_the_day(level: str, equity: str) -> None:
    chosen = RiskLevel(level)
    above = str(float(equity) + 0.01)
    assert paused(closes(START, (MONDAY, above), level=chosen), MONDAY) is None
    state = closes(START, (MONDAY, equity), level=chosen)
    assert paused(state, MONDAY) is Denial.DAILY_LOSS
    assert paused(closes(state, (MONDAY + HOUR_MS, "1000"), level=chosen), MONDAY) is Denial.DAILY_LOSS


def test_a_daily_loss_in_money_pauses_first_where_it_is_lower() -> None:
    limits = Limits(daily_loss=units(10))
    assert paused(closes(START, (MONDAY, "990.01"), limits=limits), MONDAY) is None
    assert paused(closes(START, (MONDAY, "990"), limits=limits), MONDAY) is Denial.DAILY_LOSS


def test_the_pause_ends_at_midnight_and_the_next_base_is_the_last_close_before() -> None:
    state = closes(START, (MONDAY, "970"), (MONDAY + DAY_MS - HOUR_MS, "960"))
    assert paused(state, MONDAY + DAY_MS - 1) is Denial.DAILY_LOSS, "the day's last candle is still paused"
    state = closes(state, (MONDAY + DAY_MS, "940"))
    assert state.day_base == units(960)
    assert paused(state, MONDAY + DAY_MS) is None
    assert paused(closes(state, (MONDAY + DAY_MS + HOUR_MS, "931.2")), MONDAY + DAY_MS) is Denial.DAILY_LOSS


def test_the_first_base_is_the_starting_cash() -> None:
    state = closes(START, (MONDAY + 5 * HOUR_MS, "999"))
    assert (state.day_base, state.week_base, state.peak) == (units(1000),) * 3
    assert state.day_result == -units(1)
    assert START.day_result == 0


def test_while_the_week_stands_at_minus_eight_the_fraction_is_halved() -> None:
    state = closes(START, (MONDAY, "990"), (MONDAY + DAY_MS, "970"), (MONDAY + 2 * DAY_MS, "920"))
    assert size_factor(state, PARAMS) == 0.5
    assert size_factor(closes(state, (MONDAY + 3 * DAY_MS, "920.01")), PARAMS) == 1.0
    assert size_factor(closes(state, (MONDAY + 7 * DAY_MS, "920")), PARAMS) == 1.0, "a new week, a new base"
    assert size_factor(START, PARAMS) == 1.0


def test_once_the_week_has_closed_at_minus_ten_there_is_no_entry_until_monday() -> None:
    state = closes(START, (MONDAY, "900"), level=RiskLevel.HIGH)
    later = closes(state, (MONDAY + DAY_MS, "990"), level=RiskLevel.HIGH)
    assert paused(later, MONDAY + DAY_MS) is Denial.WEEK_LOSS
    assert paused(later, MONDAY + 7 * DAY_MS - 1) is Denial.WEEK_LOSS
    assert paused(later, MONDAY + 7 * DAY_MS) is None
    nearly = closes(START, (MONDAY, "900.01"), (MONDAY + DAY_MS, "990"), level=RiskLevel.HIGH)
    assert paused(nearly, MONDAY + DAY_MS) is None


@pytest.mark.parametrize(("level", "equity"), [("low", "1080"), ("medium", "1020"), ("high", "960")])
def test_drawdown_from_the_highest_close_stops_for_good(level: str, equity: str) -> None:
    chosen = RiskLevel(level)
    state = closes(START, (MONDAY, "1200"), level=chosen)
    assert not closes(state, (MONDAY, str(float(equity) + 0.01)), level=chosen).drawdown_reached
    state = closes(state, (MONDAY, equity), (MONDAY + 30 * DAY_MS, "5000"), level=chosen)
    assert paused(state, MONDAY + 30 * DAY_MS) is Denial.DRAWDOWN


def test_a_later_start_takes_the_equity_of_its_first_close_as_the_new_peak() -> None:
    state = restarted(closes(START, (MONDAY, "1200"), (MONDAY, "1000")))
    assert not state.drawdown_reached
    state = closes(state, (MONDAY + 9 * DAY_MS, "1000"))
    assert state.peak == units(1000)
    assert paused(state, MONDAY + 9 * DAY_MS) is None


def lose(state: Protections, *profits: int, time_ms: int = MONDAY) -> Protections:
    for profit in profits:
        state = trade_closed(state, profit, time_ms, PARAMS)
    return state


def test_five_losing_trades_in_a_row_pause_the_rest_of_the_day() -> None:
    state = lose(START, -1, -1, -1, -1)
    assert paused(state, MONDAY) is None
    state = lose(state, -1, time_ms=MONDAY + DAY_MS)
    assert paused(state, MONDAY + DAY_MS) is Denial.LOSING_STREAK, "counted across days"
    assert paused(state, MONDAY) is None
    assert paused(state, MONDAY + 2 * DAY_MS) is None


def test_a_trade_that_is_not_lost_starts_the_count_anew() -> None:
    assert paused(lose(START, -1, -1, -1, -1, 0, -1), MONDAY) is None
    assert paused(lose(START, -1, -1, -1, 5, -1, -1, -1, -1), MONDAY) is None


def test_a_pause_starts_the_count_anew() -> None:
    state = lose(START, -1, -1, -1, -1, -1)
    assert paused(lose(state, -1, -1, -1, -1, time_ms=MONDAY + DAY_MS), MONDAY + DAY_MS) is None
    again = lose(state, -1, -1, -1, -1, -1, time_ms=MONDAY + DAY_MS)
    assert paused(again, MONDAY + DAY_MS) is Denial.LOSING_STREAK


def test_filled_entries_count_for_the_day_of_their_candle() -> None:
    state = entry_filled(entry_filled(START, MONDAY), MONDAY + DAY_MS - 1)
    assert (state.trades_on(day_of(MONDAY)), state.trades_on(day_of(MONDAY) + 1)) == (2, 0)
    state = entry_filled(state, MONDAY + DAY_MS)
    assert (state.trades_on(day_of(MONDAY)), state.trades_on(day_of(MONDAY) + 1)) == (0, 1)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 2000)), max_size=30))
def test_the_state_survives_json_and_latches_hold_within_their_day(hours: list[tuple[int, int]]) -> None:
    state = START
    for hour, equity in sorted(hours):
        before, open_ms = state, MONDAY + hour * HOUR_MS
        state = closes(state, (open_ms, str(equity)))
        assert Protections.from_dict(json.loads(json.dumps(state.to_dict()))) == state
        if before.day == state.day and before.loss_day == before.day:
            assert state.loss_day == state.day
        assert not (before.drawdown_reached and not state.drawdown_reached)
        assert state.peak is not None
        assert state.peak >= max(units(1000), state.equity)
