"""The running totals of a ledger: what is told of a user's whole time without reading it.

A ledger is a user's paper or live account, all brokers together. Its equity is realised: what its accounts began
with plus the net profit of closed trades. `results.py` has the days and months beside it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from nija_analytics.domain.results import month_number, month_text
from nija_analytics.domain.trades import TradeRecord
from nija_common.values.document import Collection, Document
from nija_common.values.money import Units

Mode = Literal["paper", "live"]


MonthSum = tuple[int, Units, Units]
"""How many trades a month had, their net profit, and the money put in during it."""


class LastRun(Document):
    """The ledger a user's bot last ran on. Id: the user's."""

    collection: ClassVar[Collection] = Collection("last_runs")
    paper: bool


class Streak(BaseModel):
    """The trades since the last one that ended the other way, in the order they were closed.

    `started_ms`: when the first of them was closed. A trade at exactly zero neither ends nor lengthens it.
    """

    model_config = ConfigDict(frozen=True)
    type: Literal["winning", "losing"]
    count: int
    started_ms: int


class Ledger(Document):
    """Running totals of one ledger. `initial`: what each broker's account began with; `net`: profit of all trades;
    `volume`: entry value of all trades. `first_day`: the earliest day there is anything of; `months`: each (`2026-01`) in short.

    `highest` and `lowest`: the equity after each closed trade and each beginning of an account, at its height and at
    its depth.
    """

    collection: ClassVar[Collection] = Collection("ledgers")
    user_id: str
    paper: bool
    first_day: int
    initial: dict[str, Units]
    trades: int = 0
    net: Units = 0
    fees: Units = 0
    volume: Units = 0
    months: dict[str, MonthSum] = Field(default_factory=dict)
    highest: Units | None = None
    lowest: Units | None = None
    streak: Streak | None = None

    @property
    def deposits(self) -> Units:
        """Money put in."""
        return sum(self.initial.values())

    @property
    def equity(self) -> Units:
        """Money put in plus the net profit of all closed trades."""
        return self.deposits + self.net


class Cash(Document):
    """The cash of one broker in one ledger, as last known."""

    collection: ClassVar[Collection] = Collection("cash")
    ledger: str
    broker: str
    amount: Units
    at_ms: int


def with_closed(ledger: Ledger, day: int, trade: TradeRecord) -> Ledger:
    """The totals with one more closed trade."""
    return _marked(
        ledger.model_copy(
            update={
                "trades": ledger.trades + 1,
                "net": ledger.net + trade.realized_pnl,
                "fees": ledger.fees + trade.fees,
                "volume": ledger.volume + trade.size_usd,
                "first_day": min(ledger.first_day, day),
                "months": _with_sum(ledger, day, (1, trade.realized_pnl, 0)),
                "streak": streak_after(ledger.streak, trade.realized_pnl, trade.ended_ms),
            }
        )
    )


def with_initial(ledger: Ledger, day: int, broker: str, amount: Units) -> Ledger:
    """The totals with the money a broker's account began with."""
    return _marked(
        ledger.model_copy(
            update={
                "initial": {**ledger.initial, broker: amount},
                "first_day": min(ledger.first_day, day),
                "months": _with_sum(ledger, day, (0, 0, amount)),
            }
        )
    )


def streak_after(streak: Streak | None, pnl: Units, at_ms: int) -> Streak | None:
    """The streak after one more trade, closed at `at_ms` with that net profit."""
    if pnl == 0:
        return streak
    kind: Literal["winning", "losing"] = "winning" if pnl > 0 else "losing"
    if streak is None or streak.type != kind:
        return Streak(type=kind, count=1, started_ms=at_ms)
    return streak.model_copy(update={"count": streak.count + 1})


def _with_sum(ledger: Ledger, day: int, more: MonthSum) -> dict[str, MonthSum]:
    month = month_text(month_number(day))
    trades, net, deposits = ledger.months.get(month, (0, 0, 0))
    return {**ledger.months, month: (trades + more[0], net + more[1], deposits + more[2])}


def _marked(ledger: Ledger) -> Ledger:
    equity = ledger.equity
    return ledger.model_copy(
        update={
            "highest": equity if ledger.highest is None else max(ledger.highest, equity),
            "lowest": equity if ledger.lowest is None else min(ledger.lowest, equity),
        }
    )
