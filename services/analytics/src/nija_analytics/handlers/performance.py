"""The performance of a ledger over a period, from its days."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Ledger, Mode
from nija_analytics.domain.statistics import Performance, every_day, performance
from nija_analytics.handlers import reading
from nija_analytics.handlers.reading import Days, Period


async def of_period(deps: Deps, user_id: str, mode: Mode | None, period: Period) -> Performance:
    """The figures of whole UTC days, today included: `7d` is today and the six days before.

    Before the ledger's first day there is nothing: the period begins there at the earliest.
    """

    async def read(ledger: Ledger) -> Days:
        return await reading.days_of(deps, ledger, reading.first_day(deps, period))

    _, days = await reading.at_one_moment(deps, await reading.ledger_name(deps, user_id, mode), read)
    if days is None:
        return performance(0, [])
    # Days ahead of our clock (another machine wrote them) count as well.
    last = max([reading.today(deps), *(result.day for result in days.results)])
    return performance(days.equity_before, every_day(days.results, days.first, last))
