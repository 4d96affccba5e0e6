"""What is kept of each user and ledger so that statistics never read the whole history.

A ledger is a user's paper or live account, all brokers together. Its totals and its days together say what
the equity was on any day.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import ClassVar, Literal

from nija_analytics.domain.statistics import DayResult, with_trade
from nija_common.events.trading import TradeClosed
from nija_common.values.document import Collection, Document, Index
from nija_common.values.money import Units, units
from nija_common.values.times import DAY_MS

Mode = Literal["paper", "live"]


class LastRun(Document):
    """The ledger a user's bot last ran on. Id: the user's."""

    collection: ClassVar[Collection] = Collection("last_runs")
    paper: bool


class Ledger(Document):
    """Running totals of one ledger. `initial`: what each broker's account began with; `net`: profit of all trades.

    `first_day`: the earliest day there is anything of.
    """

    collection: ClassVar[Collection] = Collection("ledgers")
    user_id: str
    paper: bool
    first_day: int
    initial: dict[str, Units]
    trades: int = 0
    net: Units = 0

    @property
    def equity(self) -> Units:
        """Money put in plus the profit of all closed trades."""
        return sum(self.initial.values()) + self.net


class Day(Document):
    """One day of one ledger; see `DayResult` for the fields."""

    collection: ClassVar[Collection] = Collection("days", (Index("by_ledger", ("ledger", "day")),))
    ledger: str
    day: int
    trades: int = 0
    wins: int = 0
    losses: int = 0
    gross_win: Units = 0
    gross_loss: Units = 0
    largest_win: Units | None = None
    largest_loss: Units | None = None
    fees: Units = 0
    duration_ms: int = 0
    deposits: Units = 0

    def result(self) -> DayResult:
        """The day as the formulas take it."""
        return DayResult(**self.model_dump(exclude={"id", "version", "ledger"}))


class ClosedTrade(Document):
    """A closed trade, as far as statistics ask about single ones. Its presence says that it has been counted."""

    collection: ClassVar[Collection] = Collection("trades")
    user_id: str
    ledger: str
    symbol: str
    side: Literal["long", "short"]
    broker: str
    size_usd: Units
    realized_pnl: Units
    realized_pnl_pct: float
    fees: Units
    opened_at_ms: int
    closed_at_ms: int
    exit_reason: str


class Cash(Document):
    """The cash of one broker in one ledger, as last known."""

    collection: ClassVar[Collection] = Collection("cash")
    ledger: str
    broker: str
    amount: Units
    at_ms: int


def ledger_id(user_id: str, paper: bool) -> str:
    """The id of a ledger."""
    return f"{user_id}/{'paper' if paper else 'live'}"


def day_id(ledger: str, day: int) -> str:
    """The id of a ledger's day."""
    return f"{ledger}/{day}"


def day_number(at_ms: int) -> int:
    """The UTC day of a moment, counted from 1970-01-01."""
    return at_ms // DAY_MS


def closed_trade(event: TradeClosed) -> ClosedTrade:
    """What is kept of a closed trade."""
    return ClosedTrade(
        id=event.trade_id,
        user_id=event.user_id,
        ledger=ledger_id(event.user_id, event.paper),
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        size_usd=units(event.size_usd),
        realized_pnl=units(event.realized_pnl),
        realized_pnl_pct=event.realized_pnl_pct,
        fees=units(event.fees),
        opened_at_ms=event.opened_at_ms,
        closed_at_ms=event.closed_at_ms,
        exit_reason=event.exit_reason,
    )


def with_closed(ledger: Ledger, day: Day, trade: ClosedTrade) -> tuple[Ledger, Day]:
    """The totals and the day with one more closed trade."""
    result = with_trade(
        day.result(),
        pnl=trade.realized_pnl,
        fees=trade.fees,
        duration_ms=max(0, trade.closed_at_ms - trade.opened_at_ms),
    )
    after = ledger.model_copy(
        update={
            "trades": ledger.trades + 1,
            "net": ledger.net + trade.realized_pnl,
            "first_day": min(ledger.first_day, day.day),
        }
    )
    return after, day.model_copy(update=asdict(result))


def with_initial(ledger: Ledger, day: Day, broker: str, amount: Units) -> tuple[Ledger, Day]:
    """The totals and the day with the money a broker's account began with; each broker counts once."""
    if broker in ledger.initial:
        return ledger, day
    after = ledger.model_copy(
        update={"initial": {**ledger.initial, broker: amount}, "first_day": min(ledger.first_day, day.day)}
    )
    return after, day.model_copy(update={"deposits": day.deposits + amount})
