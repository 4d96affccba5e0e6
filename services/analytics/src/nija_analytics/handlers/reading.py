"""What statistics are read from: a ledger with its days or with what they broke down into, all of one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Ledger, Mode
from nija_analytics.domain.results import (
    EVERY,
    Breakdown,
    ResultMonth,
    day_number,
    first_day_of,
    merged,
    month_number,
)
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


def first_day(period: Period, today: int) -> int | None:
    """A period is whole UTC days, today included: `7d` is today and the six days before. None: from the beginning."""
    length = DAYS[period]
    return None if length is None else today - length + 1


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
    return await _beside(deps, await deps.results.ledger(name), read)


async def _beside(
    deps: Deps, ledger: Ledger | None, read: Callable[[Ledger], Awaitable[T]]
) -> tuple[Ledger, T] | tuple[None, None]:
    for _ in range(TRIES):
        if ledger is None:
            return None, None
        found = await read(ledger)
        again = await deps.results.ledger(ledger.id)
        if again == ledger:
            return ledger, found
        ledger = again
    raise unavailable("Your results are changing right now. Try again.")


async def told(
    deps: Deps, name: str, question: Hashable, tell: Callable[[Ledger | None, int], Awaitable[bytes]]
) -> bytes:
    """The answer to a question about a ledger, kept or told now by `tell(ledger, today)`.

    The answer may rest on the ledger, its days and months, the UTC day and what is in `question`: on nothing else.
    The ledger is read in any case, so what is told is never older than what the store says. Raises SERVICE_UNAVAILABLE.
    """
    day = today(deps)

    async def read(ledger: Ledger) -> bytes:
        return await tell(ledger, day)

    ledger = await deps.results.ledger(name)
    kept = None if ledger is None else deps.answers.find(ledger, day, question)
    if kept is not None:
        return kept
    ledger, data = await _beside(deps, ledger, read)
    if ledger is None or data is None:
        return await tell(None, day)
    deps.answers.keep(ledger, day, question, data)
    return data


async def days_of(deps: Deps, ledger: Ledger, first: int | None) -> Days:
    """The ledger's days from `first` on, or from its beginning."""
    begin = ledger.first_day if first is None else max(first, ledger.first_day)
    results = _days_from(await deps.results.months(ledger.id, EVERY, month_number(begin)), begin)
    return with_equity(ledger, begin, results)


def with_equity(ledger: Ledger, begin: int, results: tuple[DayResult, ...]) -> Days:
    """The ledger's days from `begin` to its end, with the equity before them."""
    after = sum(result.net + result.deposits for result in results)
    return Days(begin, ledger.equity - after, results)


async def broken_down(
    deps: Deps, ledger: Ledger, symbol: str, first: int | None
) -> tuple[tuple[DayResult, ...], Breakdown]:
    """The days of a symbol, or of `EVERY`, from `first` on, and what they broke down into: of the month in which they
    begin by its days, then by whole months."""
    begin = ledger.first_day if first is None else max(first, ledger.first_day)
    months = await deps.results.months(ledger.id, symbol, month_number(begin))
    following = first_day_of(month_number(begin) + 1)
    cut = first_day_of(month_number(begin)) < begin and begin > ledger.first_day
    parts = [day.breakdown for day in await deps.results.days(ledger.id, symbol, begin, following)] if cut else []
    parts += [month.breakdown for month in months if not cut or month.month > month_number(begin)]
    return _days_from(months, begin), merged(parts)


def _days_from(months: Sequence[ResultMonth], begin: int) -> tuple[DayResult, ...]:
    results = [result for month in months for result in month.days.values() if result.day >= begin]
    return tuple(sorted(results, key=lambda result: result.day))
