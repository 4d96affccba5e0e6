"""The performance of a ledger over a period, from its days."""

from __future__ import annotations

from typing import Literal

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Day, Ledger, Mode, day_number, ledger_id
from nija_analytics.domain.statistics import Performance, every_day, performance
from nija_common.errors import unavailable

Period = Literal["7d", "30d", "90d", "1y", "all"]
DAYS: dict[Period, int | None] = {"7d": 7, "30d": 30, "90d": 90, "1y": 365, "all": None}
TRIES = 10
END_OF_TIME = 10**7
"""A day number no clock reaches: days ahead of our clock (another machine wrote them) are read as well."""


async def of_period(deps: Deps, user_id: str, mode: Mode | None, period: Period) -> Performance:
    """The figures of whole UTC days, today included: `7d` is today and the six days before.

    Before the ledger's first day there is nothing: the period begins there at the earliest.
    """
    today = day_number(deps.clock.now_ms())
    length = DAYS[period]
    first = None if length is None else today - length + 1
    ledger, days = await _consistent(deps, ledger_id(user_id, await _paper(deps, user_id, mode)), first)
    if ledger is None:
        return performance(0, [])
    results = [day.result() for day in days]
    before = ledger.equity - sum(r.net + r.deposits for r in results)
    begin = ledger.first_day if first is None else max(first, ledger.first_day)
    last = max([today, *(r.day for r in results)])
    return performance(before, every_day(results, begin, last))


async def _paper(deps: Deps, user_id: str, mode: Mode | None) -> bool:
    if mode is not None:
        return mode == "paper"
    last = await deps.results.last_run(user_id)
    return last is None or last.paper


async def _consistent(deps: Deps, name: str, first: int | None) -> tuple[Ledger | None, list[Day]]:
    """Totals and days of the same moment: a trade that is counted between the reads makes them be read again."""
    ledger = await deps.results.ledger(name)
    for _ in range(TRIES):
        if ledger is None:
            return None, []
        days = await deps.results.days(name, ledger.first_day if first is None else first, END_OF_TIME)
        again = await deps.results.ledger(name)
        if again == ledger:
            return ledger, days
        ledger = again
    raise unavailable("Your results are changing right now. Try again.")
