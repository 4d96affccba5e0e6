"""The running aggregates against the whole history computed anew, with pandas, on arbitrary streams of trades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nija_analytics.domain.aggregates import Ledger, streak_after, with_closed, with_initial
from nija_analytics.domain.figures import best_month, grouped, leverage, stretch, top_symbol, trades_of_period
from nija_analytics.domain.results import (
    EVERY,
    ResultDay,
    ResultMonth,
    date_of,
    day_number,
    day_with_trade,
    first_day_of,
    merged,
    month_number,
    month_text,
    month_with_deposit,
    month_with_trade,
    number_of,
)
from nija_analytics.domain.statistics import DayResult, with_trade
from nija_analytics.domain.trades import TradeRecord
from nija_common.values.money import SCALE
from nija_common.values.times import DAY_MS

FIRST_DAY = number_of(pd.Timestamp("2025-11-20").date())
START = 10_000 * SCALE
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")


@dataclass(frozen=True)
class Told:
    """A trade as it happens in these tests."""

    at_ms: int
    pnl: int
    symbol: str
    fees: int
    held_ms: int


streams = st.lists(
    st.builds(
        Told,
        at_ms=st.integers(FIRST_DAY * DAY_MS, (FIRST_DAY + 80) * DAY_MS),
        pnl=st.one_of(st.just(0), st.integers(-300 * SCALE, 300 * SCALE)),
        symbol=st.sampled_from(SYMBOLS),
        fees=st.integers(0, 5 * SCALE),
        held_ms=st.integers(0, 10**9),
    ),
    min_size=1,
    max_size=60,
).map(lambda stream: sorted(stream, key=lambda told: told.at_ms))


def record(number: int, told: Told) -> TradeRecord:
    return TradeRecord(
        id=f"trd_{number}",
        ledger="usr_a/paper",
        status="closed",
        symbol=told.symbol,
        side="long",
        broker="coinbase",
        source="strategy",
        entry_price=100.0,
        quantity=SCALE,
        size_usd=500 * SCALE,
        realized_pnl=told.pnl,
        realized_pnl_pct=told.pnl / (5 * SCALE),
        fees=told.fees,
        opened_at_ms=told.at_ms - told.held_ms,
        closed_at_ms=told.at_ms,
    )


class Counted:
    """What the consumer would have stored, folded trade by trade."""

    def __init__(self, stream: list[Told]) -> None:
        ledger = Ledger(id="usr_a/paper", user_id="usr_a", paper=True, first_day=FIRST_DAY, initial={})
        self.ledger = with_initial(ledger, FIRST_DAY, "coinbase", START)
        self.months: dict[tuple[str, int], ResultMonth] = {}
        self.days: dict[tuple[str, int], ResultDay] = {}
        self._month(EVERY, FIRST_DAY, lambda month: month_with_deposit(month, FIRST_DAY, START))
        for number, told in enumerate(stream):
            self._count(record(number, told))

    def _count(self, trade: TradeRecord) -> None:
        day = day_number(trade.ended_ms)
        self.ledger = with_closed(self.ledger, day, trade)
        for symbol in (EVERY, trade.symbol):
            self._month(symbol, day, lambda month: month_with_trade(month, trade))
            empty = ResultDay(id="d", ledger="l", symbol=symbol, day=day)
            self.days[symbol, day] = day_with_trade(self.days.get((symbol, day), empty), trade)

    def _month(self, symbol: str, day: int, change: Any) -> None:
        number = month_number(day)
        empty = ResultMonth(id="m", ledger="l", symbol=symbol, month=number)
        self.months[symbol, number] = change(self.months.get((symbol, number), empty))

    def results(self, symbol: str) -> list[DayResult]:
        found = [r for (name, _), month in self.months.items() if name == symbol for r in month.days.values()]
        return sorted(found, key=lambda result: result.day)


def frame_of(stream: list[Told]) -> pd.DataFrame:
    frame = pd.DataFrame([vars(told) for told in stream])
    frame["at"] = pd.to_datetime(frame.at_ms, unit="ms")
    frame["month"] = frame["at"].dt.strftime("%Y-%m")
    return frame


@settings(max_examples=40, deadline=None)
@given(streams)
def test_totals_high_and_low_are_those_of_the_whole_history(stream: list[Told]) -> None:
    ledger, frame = Counted(stream).ledger, frame_of(stream)
    equity = [START, *(START + frame.pnl.cumsum())]
    assert (ledger.trades, ledger.net, ledger.fees) == (len(frame), frame.pnl.sum(), frame.fees.sum())
    assert ledger.volume == 500 * SCALE * len(frame)
    assert (ledger.highest, ledger.lowest, ledger.equity) == (max(equity), min(equity), equity[-1])


@settings(max_examples=40, deadline=None)
@given(streams)
def test_the_streak_is_the_run_of_equal_signs_at_the_end(stream: list[Told]) -> None:
    streak = Counted(stream).ledger.streak
    frame = frame_of(stream)
    decided = frame[frame.pnl != 0].reset_index(drop=True)
    if decided.empty:
        assert streak is None
        return
    won = decided.pnl > 0
    run = decided[(won != won.shift()).cumsum() == (won != won.shift()).cumsum().iloc[-1]]
    assert streak is not None
    assert (streak.type, streak.count, streak.started_ms) == (
        "winning" if won.iloc[-1] else "losing",
        len(run),
        run.at_ms.iloc[0],
    )


@settings(max_examples=40, deadline=None)
@given(streams)
def test_the_best_month_is_that_of_the_whole_history(stream: list[Told]) -> None:
    found = best_month(Counted(stream).ledger.months)
    monthly = frame_of(stream).groupby("month").pnl.sum()
    before = START + monthly.cumsum() - monthly
    assert found is not None
    assert (found.month, found.pnl) == (monthly.idxmax(), monthly.max())
    base = before[found.month]
    assert found.pct == pytest.approx(100 * monthly.max() / base if base > 0 else 0.0)


@settings(max_examples=40, deadline=None)
@given(streams, st.sampled_from((EVERY, *SYMBOLS)), st.sampled_from(("day", "week", "month")))
def test_a_breakdown_of_everything_is_that_of_the_whole_history(stream: list[Told], symbol: str, group: Any) -> None:
    counted = Counted(stream)
    whole = merged(m.breakdown for (name, _), m in sorted(counted.months.items()) if name == symbol)
    by_days = merged(d.breakdown for (name, _), d in sorted(counted.days.items()) if name == symbol)
    assert whole == by_days
    figures = trades_of_period(symbol, counted.results(symbol), whole, group)
    frame = frame_of(stream)
    frame = frame if symbol == EVERY else frame[frame.symbol == symbol]
    assert (figures.trades, figures.wins, figures.losses) == (
        len(frame),
        (frame.pnl > 0).sum(),
        (frame.pnl < 0).sum(),
    )
    if frame.empty:
        assert (figures.best, figures.avg_hold_minutes, figures.by_symbol, figures.by_hour) == (None, None, (), ())
        return
    by_symbol = frame.groupby("symbol").pnl.agg(["count", "sum"])
    assert {(r.symbol, r.trades, r.pnl) for r in figures.by_symbol} == set(by_symbol.itertuples(name=None))
    assert [r.pnl for r in figures.by_symbol] == sorted((r.pnl for r in figures.by_symbol), reverse=True)
    by_hour = frame.groupby(frame["at"].dt.hour).pnl.agg(["count", "mean"])
    assert [(int(r.label), r.trades) for r in figures.by_hour] == list(by_hour["count"].items())
    assert [r.avg_pnl for r in figures.by_hour] == pytest.approx(list(by_hour["mean"]))
    form = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[group]
    by_group = frame.groupby(frame["at"].dt.strftime(form)).pnl.agg(["count", "mean"])
    assert figures.groups is not None
    assert [(r.label, r.trades) for r in figures.groups] == list(by_group["count"].items())
    assert [r.avg_pnl for r in figures.groups] == pytest.approx(list(by_group["mean"]))
    assert figures.best is not None
    assert figures.worst is not None
    assert (figures.best.trade_id, figures.best.pnl) == (f"trd_{frame.pnl.idxmax()}", frame.pnl.max())
    assert (figures.worst.trade_id, figures.worst.pnl) == (f"trd_{frame.pnl.idxmin()}", frame.pnl.min())
    assert figures.avg_hold_minutes == pytest.approx(frame.held_ms.mean() / 60_000)


def day(number: int, *pnls: float, deposits: float = 0) -> DayResult:
    result = DayResult(number, deposits=round(deposits * SCALE))
    for pnl in pnls:
        result = with_trade(result, pnl=round(pnl * SCALE), fees=0, duration_ms=0)
    return result


def test_a_stretch_is_in_per_cent_of_the_equity_it_began_with() -> None:
    figures = stretch(10_000 * SCALE, [day(1, 100, -50), day(2, 150)])
    assert (figures.pnl, figures.pnl_pct) == (200 * SCALE, 2.0)
    assert (figures.trades, figures.wins, figures.losses, figures.win_rate) == (3, 2, 1, 2 / 3)
    assert stretch(0, [day(1, 50, deposits=1_000)]).pnl_pct == 5.0
    nothing = stretch(0, [])
    assert (nothing.pnl, nothing.pnl_pct, nothing.win_rate) == (0, 0.0, None)


def test_the_best_month_worked_by_hand() -> None:
    """10,000 in January: +100; February: +250 of 10,100; March: -10."""
    sums = {"2026-02": (2, 250 * SCALE, 0), "2026-01": (1, 100 * SCALE, 10_000 * SCALE), "2026-03": (1, -10 * SCALE, 0)}
    found = best_month(sums)
    assert found is not None
    assert (found.month, found.pnl) == ("2026-02", 250 * SCALE)
    assert found.pct == pytest.approx(100 * 250 / 10_100)
    assert best_month({"2026-01": (0, 0, 10_000 * SCALE)}) is None


def test_a_week_is_an_iso_week_also_around_new_year() -> None:
    """2026-01-01 is a Thursday: Monday to Sunday around it are week 1 of 2026."""
    days = [day(number_of(pd.Timestamp(text).date()), 10) for text in ("2025-12-28", "2025-12-29", "2026-01-04")]
    assert [(row.label, row.trades) for row in grouped(days, "week")] == [("2025-W52", 1), ("2026-W01", 2)]


def test_a_zero_neither_ends_nor_lengthens_a_streak() -> None:
    streak = streak_after(None, 0, 1)
    assert streak is None
    streak = streak_after(streak_after(streak_after(None, 5, 1), 0, 2), 7, 3)
    assert streak is not None
    assert (streak.type, streak.count, streak.started_ms) == ("winning", 2, 1)


def test_leverage_is_what_is_held_over_what_there_is() -> None:
    assert leverage(2_500 * SCALE, 10_000 * SCALE) == 0.25
    assert leverage(0, 10_000 * SCALE) == 0.0
    assert leverage(1, 0) == 0.0


def test_the_top_symbol_has_the_highest_profit_and_may_be_a_loss() -> None:
    empty = ResultMonth(id="m", ledger="l", symbol=EVERY, month=1)
    at_ms = FIRST_DAY * DAY_MS
    month = empty
    for number, (symbol, pnl) in enumerate((("ETH-USD", -5), ("BTC-USD", -20), ("ETH-USD", 1))):
        month = month_with_trade(month, record(number, Told(at_ms, pnl, symbol, 0, 0)))
    top = top_symbol(month.breakdown)
    assert top is not None
    assert (top.symbol, top.trades, top.pnl) == ("ETH-USD", 2, -4)
    assert top_symbol(empty.breakdown) is None


@given(st.integers(0, 40_000))
def test_days_and_months_are_numbered_as_the_calendar_has_them(number: int) -> None:
    month = month_number(number)
    assert month_text(month) == date_of(number).isoformat()[:7]
    assert first_day_of(month) <= number < first_day_of(month + 1)
    assert number_of(date_of(number)) == number
