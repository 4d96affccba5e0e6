"""The formulas against hand-worked cases, and against pandas on arbitrary trades."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_analytics.domain.statistics import (
    ClosedTrade,
    DayResult,
    daily_returns,
    drawdown,
    equity_curve,
    every_day,
    performance,
    results_by_day,
    sharpe_ratio,
    with_trade,
)
from nija_common.values.money import SCALE

START = 10_000 * SCALE


@dataclass(frozen=True)
class Trade:
    day: int
    pnl: int
    fees: int
    duration_ms: int


trades_lists = st.lists(
    st.builds(
        Trade,
        day=st.integers(0, 20),
        pnl=st.integers(-200 * SCALE, 200 * SCALE),
        fees=st.integers(0, 5 * SCALE),
        duration_ms=st.integers(0, 10**9),
    ),
    min_size=1,
    max_size=40,
)


def folded(trades: list[Trade], first: int = 0, last: int = 20) -> list[DayResult]:
    days: dict[int, DayResult] = {}
    for t in trades:
        day = days.get(t.day, DayResult(t.day))
        days[t.day] = with_trade(day, pnl=t.pnl, fees=t.fees, duration_ms=t.duration_ms)
    return every_day(list(days.values()), first, last)


@given(trades_lists)
def test_a_list_of_trades_makes_the_days_that_its_trades_make_one_by_one(trades: list[Trade]) -> None:
    day_ms = 86_400_000
    closed = [ClosedTrade(t.day * day_ms + 5, t.pnl, t.fees, t.duration_ms) for t in trades]
    assert every_day(results_by_day(closed), 0, 20) == folded(trades)


def net(day: int, usd: float, deposits: float = 0) -> DayResult:
    units = round(usd * SCALE)
    result = DayResult(day, deposits=round(deposits * SCALE))
    return result if units == 0 else with_trade(result, pnl=units, fees=0, duration_ms=0)


def test_a_week_worked_by_hand() -> None:
    """10,000 -> 10,100 -> 10,100 -> 9,898 -> 9,948 -> 10,098 -> 10,148: one fall of 202 from 10,100."""
    days = [net(0, 100), net(1, 0), net(2, -202), net(3, 50), net(4, 150), net(5, 50)]
    figures = performance(START, days)
    assert [p.equity / SCALE for p in figures.curve] == [10_100, 10_100, 9_898, 9_948, 10_098, 10_148]
    assert (figures.total_trades, figures.winning_trades, figures.losing_trades) == (5, 4, 1)
    assert figures.win_rate == 0.8
    assert figures.net_pnl == 148 * SCALE
    assert figures.total_pnl_pct == pytest.approx(1.48)
    assert (figures.avg_win, figures.avg_loss) == (350 * SCALE / 4, -202 * SCALE)
    assert figures.profit_factor == pytest.approx(350 / 202)
    assert figures.drawdown.usd == -202 * SCALE
    assert figures.drawdown.pct == pytest.approx(-2.0)
    assert figures.drawdown.recovery_days == 3


def test_total_pnl_is_before_fees_and_net_pnl_after() -> None:
    day = with_trade(DayResult(0), pnl=46 * SCALE, fees=4 * SCALE, duration_ms=60_000)
    figures = performance(START, [day])
    assert (figures.total_pnl, figures.total_fees, figures.net_pnl) == (50 * SCALE, 4 * SCALE, 46 * SCALE)
    assert figures.avg_duration_minutes == 1.0


def test_without_trades_counts_are_zero_and_ratios_null() -> None:
    figures = performance(START, every_day([], 0, 6))
    ratios = (
        figures.win_rate,
        figures.avg_win,
        figures.avg_loss,
        figures.largest_win,
        figures.largest_loss,
        figures.profit_factor,
        figures.sharpe_ratio,
        figures.drawdown.recovery_days,
        figures.avg_duration_minutes,
    )
    assert ratios == (None,) * 9
    assert (figures.total_trades, figures.total_pnl, figures.total_pnl_pct) == (0, 0, 0.0)
    assert [p.equity for p in figures.curve] == [START] * 7


def test_a_trade_at_exactly_zero_is_neither_won_nor_lost() -> None:
    figures = performance(START, [with_trade(DayResult(0), pnl=0, fees=SCALE, duration_ms=0)])
    assert (figures.total_trades, figures.winning_trades, figures.losing_trades) == (1, 0, 0)
    assert (figures.win_rate, figures.profit_factor) == (0.0, None)


def test_a_fall_that_lasts_has_no_recovery_time() -> None:
    assert drawdown(START, [net(0, -500), net(1, 499)]).recovery_days is None
    assert drawdown(START, [net(0, -500), net(1, 499), net(2, 1)]).recovery_days == 2


def test_recovery_belongs_to_the_deepest_fall() -> None:
    days = [net(0, -100), net(1, 100), net(2, 50), net(3, -300), net(4, 299)]
    found = drawdown(START, days)
    assert (found.usd, found.recovery_days) == (-300 * SCALE, None)


def test_money_put_in_is_no_profit_and_no_recovery() -> None:
    days = [net(0, -1_000), net(1, 0, deposits=20_000)]
    found = drawdown(START, days)
    assert (found.usd, found.recovery_days) == (-1_000 * SCALE, None)
    assert found.pct == pytest.approx(-10.0)
    assert daily_returns(START, days) == [pytest.approx(-0.1), 0.0]
    assert performance(0, [net(0, 100, deposits=10_000)]).total_pnl_pct == pytest.approx(1.0)


def test_sharpe_of_known_returns() -> None:
    """Mean 0.01, sample deviation 0.01: 1 x sqrt(365)."""
    assert sharpe_ratio([0.0, 0.01, 0.02]) == pytest.approx(math.sqrt(365))
    assert sharpe_ratio([0.01]) is None
    assert sharpe_ratio([0.01, 0.01, 0.01]) is None


@settings(deadline=None)
@given(trades_lists)
def test_every_figure_agrees_with_pandas(trades: list[Trade]) -> None:
    figures = performance(START, folded(trades))
    frame = pd.DataFrame([vars(t) for t in trades])
    won, lost = frame[frame.pnl > 0].pnl, frame[frame.pnl < 0].pnl
    assert (figures.total_trades, figures.winning_trades, figures.losing_trades) == (len(frame), len(won), len(lost))
    assert figures.win_rate == pytest.approx((frame.pnl > 0).mean())
    assert figures.net_pnl == frame.pnl.sum()
    assert figures.total_pnl == frame.pnl.sum() + frame.fees.sum()
    assert figures.total_fees == frame.fees.sum()
    assert figures.largest_win == (None if won.empty else won.max())
    assert figures.largest_loss == (None if lost.empty else lost.min())
    assert figures.avg_win == (None if won.empty else pytest.approx(won.mean()))
    assert figures.avg_loss == (None if lost.empty else pytest.approx(lost.mean()))
    assert figures.profit_factor == (None if lost.empty else pytest.approx(won.sum() / -lost.sum()))
    assert figures.avg_duration_minutes == pytest.approx(frame.duration_ms.mean() / 60_000)


@settings(deadline=None)
@given(trades_lists)
def test_every_series_agrees_with_pandas(trades: list[Trade]) -> None:
    figures = performance(START, folded(trades))
    sharpe, deepest, deepest_pct = figures.sharpe_ratio, figures.drawdown.usd, figures.drawdown.pct
    frame = pd.DataFrame([vars(t) for t in trades])
    daily = frame.groupby("day").pnl.sum().reindex(range(21), fill_value=0)
    equity = START + daily.cumsum()
    assert [p.equity for p in equity_curve(START, folded(trades))] == list(equity)
    with_start = pd.concat([pd.Series([START], index=[-1]), equity])
    peaks = with_start.cummax()
    assert deepest == (with_start - peaks).min()
    assert deepest_pct == pytest.approx((100 * (with_start / peaks - 1)).min(), abs=1e-9)
    returns = daily / with_start.shift().iloc[1:]
    if (daily == 0).all():
        assert sharpe is None
    else:
        assert sharpe == pytest.approx(returns.mean() / returns.std() * math.sqrt(365), rel=1e-6, abs=1e-9)


@given(trades_lists, st.randoms())
def test_the_order_of_trades_within_days_does_not_matter(trades: list[Trade], random: object) -> None:
    shuffled = list(trades)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert performance(START, folded(shuffled)) == performance(START, folded(trades))


@given(trades_lists, st.integers(0, 20))
def test_two_periods_that_meet_add_up(trades: list[Trade], cut: int) -> None:
    days = folded(trades)
    first, second = days[:cut], days[cut:]
    middle = START + sum(d.net for d in first)
    left, right, whole = performance(START, first), performance(middle, second), performance(START, days)
    assert (left.net_pnl + right.net_pnl, left.total_trades + right.total_trades) == (whole.net_pnl, whole.total_trades)
    assert left.curve + right.curve == whole.curve
