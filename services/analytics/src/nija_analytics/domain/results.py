"""Results by day and month, of a ledger as a whole and of each symbol in it: what answers are made from.

A month holds one small result for each of its days, so that years are read in few documents; what a day broke down
into (hours, symbols, best and worst trade) is kept twice, by day and by month, and a period reads whole months where
it can. `EVERY` in place of a symbol means all of them together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from nija_analytics.domain.statistics import DayResult, with_trade
from nija_analytics.domain.trades import TradeRecord
from nija_common.values.document import Collection, Document, Index
from nija_common.values.money import Units
from nija_common.values.times import DAY_MS

EVERY = "*"
HOUR_MS = 3_600_000
_EPOCH = date(1970, 1, 1).toordinal()

Tally = tuple[int, Units]
"""How many trades, and their net profit."""


class OneTrade(BaseModel):
    """A single trade that stands out; `pnl_pct` is of its entry value."""

    model_config = ConfigDict(frozen=True)
    trade_id: str
    symbol: str
    pnl: Units
    pnl_pct: float


class Breakdown(BaseModel):
    """Trades of a stretch of time by the UTC hour of their last exit and by symbol, the best and the worst of them.

    `by_symbol` is only kept where all symbols are together. Of equal trades the earlier one stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    by_hour: dict[str, Tally] = Field(default_factory=dict)
    by_symbol: dict[str, Tally] = Field(default_factory=dict)
    best: OneTrade | None = None
    worst: OneTrade | None = None


class ResultDay(Document):
    """What one UTC day of one ledger and symbol broke down into."""

    collection: ClassVar[Collection] = Collection(
        "result_days",
        (Index("by_symbol", ("ledger", "symbol", "day")), Index("by_day", ("symbol", "day", "ledger"))),
    )
    ledger: str
    symbol: str
    day: int
    breakdown: Breakdown = Breakdown()


class ResultMonth(Document):
    """One month of one ledger and symbol: its days (by day number, as text), and what all of it broke down into."""

    collection: ClassVar[Collection] = Collection("result_months", (Index("by_symbol", ("ledger", "symbol", "month")),))
    ledger: str
    symbol: str
    month: int
    days: dict[str, DayResult] = Field(default_factory=dict)
    breakdown: Breakdown = Breakdown()

    def day(self, day: int) -> DayResult:
        """The day's result, empty if there is none."""
        return self.days.get(str(day)) or DayResult(day)


def day_number(at_ms: int) -> int:
    """The UTC day of a moment, counted from 1970-01-01."""
    return at_ms // DAY_MS


def date_of(day: int) -> date:
    """The date of a day number."""
    return date.fromordinal(_EPOCH + day)


def number_of(day: date) -> int:
    """The day number of a date."""
    return day.toordinal() - _EPOCH


def month_number(day: int) -> int:
    """The month a day lies in: 12 x year + month - 1."""
    when = date_of(day)
    return 12 * when.year + when.month - 1


def first_day_of(month: int) -> int:
    """The first day of a month."""
    return number_of(date(month // 12, month % 12 + 1, 1))


def month_text(month: int) -> str:
    """`2026-01`."""
    return f"{month // 12:04}-{month % 12 + 1:02}"


def period_id(ledger: str, symbol: str, number: int) -> str:
    """The id of a ledger's and symbol's day or month."""
    return f"{ledger}/{symbol}/{number}"


def month_with_trade(month: ResultMonth, trade: TradeRecord) -> ResultMonth:
    """The month with one more closed trade."""
    day = day_number(trade.ended_ms)
    result = with_trade(
        month.day(day),
        pnl=trade.realized_pnl,
        fees=trade.fees,
        duration_ms=max(0, trade.ended_ms - trade.opened_at_ms),
    )
    return month.model_copy(
        update={
            "days": {**month.days, str(day): result},
            "breakdown": merged((month.breakdown, _of_trade(trade, month.symbol))),
        }
    )


def day_with_trade(day: ResultDay, trade: TradeRecord) -> ResultDay:
    """The day with one more closed trade."""
    return day.model_copy(update={"breakdown": merged((day.breakdown, _of_trade(trade, day.symbol)))})


def month_with_deposit(month: ResultMonth, day: int, amount: Units) -> ResultMonth:
    """The month with money that an account began with on one of its days."""
    result = month.day(day)
    return month.model_copy(
        update={"days": {**month.days, str(day): replace(result, deposits=result.deposits + amount)}}
    )


def merged(stretches: Iterable[Breakdown]) -> Breakdown:
    """All stretches together; they come in their order in time."""
    by_hour: dict[str, Tally] = {}
    by_symbol: dict[str, Tally] = {}
    best: OneTrade | None = None
    worst: OneTrade | None = None
    for stretch in stretches:
        _add(by_hour, stretch.by_hour)
        _add(by_symbol, stretch.by_symbol)
        best, worst = _better(best, stretch.best), _worse(worst, stretch.worst)
    return Breakdown(by_hour=by_hour, by_symbol=by_symbol, best=best, worst=worst)


def _of_trade(trade: TradeRecord, symbol: str) -> Breakdown:
    tally = (1, trade.realized_pnl)
    one = OneTrade(
        trade_id=trade.id, symbol=trade.symbol, pnl=trade.realized_pnl, pnl_pct=trade.realized_pnl_pct or 0.0
    )
    return Breakdown(
        by_hour={str(trade.ended_ms % DAY_MS // HOUR_MS): tally},
        by_symbol={trade.symbol: tally} if symbol == EVERY else {},
        best=one,
        worst=one,
    )


def _add(sums: dict[str, Tally], more: dict[str, Tally]) -> None:
    for key, (trades, net) in more.items():
        before = sums.get(key, (0, 0))
        sums[key] = (before[0] + trades, before[1] + net)


def _better(earlier: OneTrade | None, later: OneTrade | None) -> OneTrade | None:
    if earlier is None or later is None:
        return earlier or later
    return later if later.pnl > earlier.pnl else earlier


def _worse(earlier: OneTrade | None, later: OneTrade | None) -> OneTrade | None:
    if earlier is None or later is None:
        return earlier or later
    return later if later.pnl < earlier.pnl else earlier
