"""Figures of an account's standing, beside the performance of a period (`statistics.py`).

Amounts are integers of 1e-8 USD, profits net of fees, days and months as `results.py` numbers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from nija_analytics.domain.aggregates import MonthSum
from nija_analytics.domain.results import EVERY, Breakdown, OneTrade, date_of, month_text
from nija_analytics.domain.statistics import MINUTE_MS, DayResult, total
from nija_common.values.money import Units
from nija_common.values.times import date_text

Group = Literal["day", "week", "month"]

SPOT_LEVERAGE = 1.0
"""What is bought is paid for in full: at most the whole equity is ever held."""


@dataclass(frozen=True, slots=True)
class BestMonth:
    """The month with the highest net profit; `pct` is per cent of the equity it began with, money put in during it
    included."""

    month: str
    pnl: Units
    pct: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of days in short: its net profit, in per cent of the equity it began with as well."""

    pnl: Units
    pnl_pct: float
    trades: int
    wins: int
    losses: int

    @property
    def win_rate(self) -> float | None:
        """Trades won of all trades; None without a trade."""
        return self.wins / self.trades if self.trades else None


class Row(NamedTuple):
    """Trades of one hour, day, week or month, and their average net profit."""

    label: str
    trades: int
    avg_pnl: float


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """Trades of one symbol, and their net profit."""

    symbol: str
    trades: int
    pnl: Units


@dataclass(frozen=True, slots=True)
class TradesOfPeriod:
    """Everything `/analytics/trades` tells. `groups` is None where none was asked for."""

    trades: int
    wins: int
    losses: int
    by_symbol: tuple[SymbolRow, ...]
    by_hour: tuple[Row, ...]
    groups: tuple[Row, ...] | None
    avg_hold_minutes: float | None
    best: OneTrade | None
    worst: OneTrade | None


def percent_of(amount: Units, base: Units) -> float:
    """100 x amount / base; 0 where there is no base to compare with."""
    return 100 * amount / base if base > 0 else 0.0


def stretch(equity_before: Units, days: Sequence[DayResult]) -> Stretch:
    """The days in short; `equity_before` is that of the moment they begin."""
    net = total(days, "gross_win") + total(days, "gross_loss")
    return Stretch(
        pnl=net,
        pnl_pct=percent_of(net, equity_before + total(days, "deposits")),
        trades=total(days, "trades"),
        wins=total(days, "wins"),
        losses=total(days, "losses"),
    )


def best_month(months: Mapping[str, MonthSum]) -> BestMonth | None:
    """The best month of a ledger's whole time (`2026-01` -> its sum); of equal ones the earlier. None without a trade."""
    best: BestMonth | None = None
    equity = 0
    for month, (trades, net, deposits) in sorted(months.items()):
        if trades and (best is None or net > best.pnl):
            best = BestMonth(month, net, percent_of(net, equity + deposits))
        equity += net + deposits
    return best


def leverage(exposure: Units, equity: Units) -> float:
    """Entry value of what is held, as a multiple of the realised equity; 0 where nothing is held or nothing is there."""
    return exposure / equity if equity > 0 else 0.0


def grouped(days: Sequence[DayResult], group: Group) -> tuple[Row, ...]:
    """One row for each day, ISO week (`2026-W05`) or month with a trade, oldest first."""
    if group == "day":
        return tuple(Row(date_text(day.day), day.trades, day.net / day.trades) for day in days if day.trades)
    sums: dict[str, tuple[int, Units]] = {}
    for day in days:
        if day.trades:
            label = _label(day.day, group)
            trades, net = sums.get(label, (0, 0))
            sums[label] = (trades + day.trades, net + day.net)
    return tuple(Row(label, trades, net / trades) for label, (trades, net) in sums.items())


def trades_of_period(
    symbol: str, days: Sequence[DayResult], breakdown: Breakdown, group: Group | None
) -> TradesOfPeriod:
    """The figures of days in order, and of what they broke down into, all of one symbol or of `EVERY`.

    Average hold: from opening to last exit, over all trades. Best and worst: by net profit in USD.
    """
    whole = stretch(0, days)
    tallies = breakdown.by_symbol if symbol == EVERY else {symbol: (whole.trades, whole.pnl)}
    rows = [SymbolRow(name, trades, net) for name, (trades, net) in tallies.items() if trades]
    return TradesOfPeriod(
        trades=whole.trades,
        wins=whole.wins,
        losses=whole.losses,
        by_symbol=tuple(sorted(rows, key=lambda row: (-row.pnl, row.symbol))),
        by_hour=tuple(
            Row(hour, trades, net / trades)
            for hour, (trades, net) in sorted(breakdown.by_hour.items(), key=lambda item: int(item[0]))
        ),
        groups=None if group is None else grouped(days, group),
        avg_hold_minutes=total(days, "duration_ms") / whole.trades / MINUTE_MS if whole.trades else None,
        best=breakdown.best,
        worst=breakdown.worst,
    )


def top_symbol(breakdown: Breakdown) -> SymbolRow | None:
    """The symbol with the highest net profit; None without a trade."""
    rows = [SymbolRow(name, trades, net) for name, (trades, net) in breakdown.by_symbol.items()]
    return min(rows, key=lambda row: (-row.pnl, row.symbol), default=None)


@lru_cache(maxsize=8192)
def _label(day: int, group: Literal["week", "month"]) -> str:
    when = date_of(day)
    if group == "week":
        year, week, _ = when.isocalendar()
        return f"{year:04}-W{week:02}"
    return month_text(12 * when.year + when.month - 1)
