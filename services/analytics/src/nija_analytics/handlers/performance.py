"""The performance of a ledger over a period, from its days."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Ledger
from nija_analytics.domain.statistics import Performance, every_day, performance
from nija_analytics.handlers import reading
from nija_analytics.handlers.reading import Period


async def of_period(deps: Deps, ledger: Ledger | None, period: Period, today: int) -> Performance:
    """The figures of whole UTC days, today included: `7d` is today and the six days before.

    Before the ledger's first day there is nothing: the period begins there at the earliest.
    """
    if ledger is None:
        return performance(0, [])
    days = await reading.days_of(deps, ledger, reading.first_day(period, today))
    # Days ahead of our clock (another machine wrote them) count as well.
    last = max(today, days.results[-1].day) if days.results else today
    return performance(days.equity_before, every_day(days.results, days.first, last))
