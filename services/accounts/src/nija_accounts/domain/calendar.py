"""How many trades a ledger has by month and by day of their opening: what pages of the history are counted with.

Counting and skipping rows of an index costs as much as it has rows. These counts make a page cost its rows, a
document a month and a document a day of one month, wherever the page lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from nija_accounts.domain.trades import Status, Trade
from nija_common.values.document import Collection, Document, Index
from nija_common.values.times import DAY_MS

_EPOCH = date(1970, 1, 1).toordinal()

Counts = Mapping[str, int]
"""By symbol and status, `BTC-USD closed`."""


class MonthOfTrades(Document):
    """Trades of one ledger that were opened in one month (12 x year + month - 1)."""

    collection: ClassVar[Collection] = Collection("trade_months", (Index("by_ledger", ("ledger", "month")),))
    ledger: str
    month: int
    counts: dict[str, int]


class DayOfTrades(Document):
    """Trades of one ledger that were opened on one UTC day (counted from 1970-01-01)."""

    collection: ClassVar[Collection] = Collection("trade_days", (Index("by_ledger", ("ledger", "day")),))
    ledger: str
    day: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive days with a number of trades: `first` to before `end`."""

    first: int
    end: int
    trades: int


def ledger_of(user_id: str, paper: bool) -> str:
    """The name of a ledger in these counts."""
    return f"{user_id}/{'paper' if paper else 'live'}"


def period_id(ledger: str, number: int) -> str:
    """The id of a ledger's day or month."""
    return f"{ledger}/{number}"


def day_of(at_ms: int) -> int:
    """The UTC day of a moment."""
    return at_ms // DAY_MS


def month_of(day: int) -> int:
    """The month a day lies in."""
    when = date.fromordinal(_EPOCH + day)
    return 12 * when.year + when.month - 1


def first_day_of(month: int) -> int:
    """The first day of a month."""
    return date(month // 12, month % 12 + 1, 1).toordinal() - _EPOCH


def kind_of(trade: Trade) -> str:
    """What a trade is counted under."""
    return f"{trade.symbol} {trade.status}"


def moved(counts: Counts, kind: str, by: int) -> dict[str, int]:
    """The counts with so many more of a kind; kinds that nothing is left of are dropped."""
    after = {**counts, kind: counts.get(kind, 0) + by}
    return {name: number for name, number in after.items() if number}


def matching(counts: Counts, symbol: str | None, status: Status | None) -> int:
    """How many are of that symbol and status; None: of any."""
    found = 0
    for kind, number in counts.items():
        of_symbol, of_status = kind.rsplit(" ", 1)
        if symbol in (None, of_symbol) and status in (None, of_status):
            found += number
    return found


def total(stretches: Iterable[Stretch]) -> int:
    """How many trades there are in all."""
    return sum(stretch.trades for stretch in stretches)


def landing(newest_first: Iterable[Stretch], skip: int) -> tuple[Stretch, int] | None:
    """The stretch in which the trade after `skip` newer ones lies, and how many of it are to be skipped.

    None if there are not that many.
    """
    for stretch in newest_first:
        if skip < stretch.trades:
            return stretch, skip
        skip -= stretch.trades
    return None
