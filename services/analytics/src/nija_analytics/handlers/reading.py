"""What statistics are read from: a ledger with its days or with what they broke down into, all of one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Ledger, Mode
from nija_analytics.domain.results import EVERY, Breakdown, day_number, first_day_of, merged, month_number
from nija_analytics.domain.statistics import DayResult
from nija_analytics.domain.trades import ledger_id
from nija_common.errors import unavailable

Period = Literal["7d", "30d", "90d", "1y", "all"]
DAYS: dict[Period, int | None] = {"7d": 7, "30d": 30, "90d": 90, "1y": 365, "all": None}
TRIES = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a ledger there is anything of, in order, from `first` on, and the equity before `first`."""

    first: int
    equity_before: int
    results: tuple[DayResult, ...]

    def since(self, first: int) -> Days:
        """The same from a later day on."""
        left = tuple(result for result in self.results if result.day >= first)
        passed = self.results[: len(self.results) - len(left)]
        return Days(first, self.equity_before + sum(r.net + r.deposits for r in passed), left)


def today(deps: Deps) -> int:
    """The UTC day."""
    return day_number(deps.clock.now_ms())


def first_day(deps: Deps, period: Period) -> int | None:
    """A period is whole UTC days, today included: `7d` is today and the six days before. None: from the beginning."""
    length = DAYS[period]
    return None if length is None else today(deps) - length + 1


async def ledger_name(deps: Deps, user_id: str, mode: Mode | None) -> str:
    """The ledger that is asked for, else the one the bot last ran on; paper before the first start."""
    if mode is not None:
        return ledger_id(user_id, mode == "paper")
    last = await deps.results.last_run(user_id)
    return ledger_id(user_id, last is None or last.paper)


async def at_one_moment(
    deps: Deps, name: str, read: Callable[[Ledger], Awaitable[T]]
) -> tuple[Ledger, T] | tuple[None, None]:
    """The ledger and what `read` finds beside it: a trade that is counted meanwhile makes it be read again.

    (None, None) where there is no such ledger. Raises SERVICE_UNAVAILABLE.
    """
    ledger = await deps.results.ledger(name)
    for _ in range(TRIES):
        if ledger is None:
            return None, None
        found = await read(ledger)
        again = await deps.results.ledger(name)
        if again == ledger:
            return ledger, found
        ledger = again
    raise unavailable("Your results are changing right now. Try again.")


async def days_of(deps: Deps, ledger: Ledger, first: int | None) -> Days:
    """The ledger's days from `first` on, or from its beginning."""
    begin = ledger.first_day if first is None else max(first, ledger.first_day)
    results = await _results(deps, ledger, EVERY, begin)
    after = sum(result.net + result.deposits for result in results)
    return Days(begin, ledger.equity - after, results)


async def symbol_days_of(deps: Deps, ledger: Ledger, symbol: str, first: int | None) -> tuple[DayResult, ...]:
    """The days of one symbol in the ledger, or of `EVERY`."""
    return await _results(deps, ledger, symbol, ledger.first_day if first is None else first)


async def breakdown_of(deps: Deps, ledger: Ledger, symbol: str, first: int | None) -> Breakdown:
    """What the days from `first` on broke down into: days of a month that has begun before, then whole months."""
    begin = ledger.first_day if first is None else max(first, ledger.first_day)
    whole = month_number(begin)
    if first_day_of(whole) < begin and begin > ledger.first_day:
        whole += 1
    days = await deps.results.days(ledger.id, symbol, begin, first_day_of(whole)) if first_day_of(whole) > begin else []
    months = await deps.results.months(ledger.id, symbol, whole)
    return merged([*(day.breakdown for day in days), *(month.breakdown for month in months)])


async def _results(deps: Deps, ledger: Ledger, symbol: str, begin: int) -> tuple[DayResult, ...]:
    months = await deps.results.months(ledger.id, symbol, month_number(begin))
    results = [result for month in months for result in month.days.values() if result.day >= begin]
    return tuple(sorted(results, key=lambda result: result.day))
