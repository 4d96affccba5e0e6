"""The mailed summaries: of each period that is over, for whoever traded in it and wants to read it, once.

The cost is that of the users who traded: they are found by the day. Each page of them is one unit of work that asks
for the mails, notes each of them and how far it has come, so a crash or a second replica repeats nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import Ledger
from nija_analytics.domain.digests import DigestMail, Period, Template, last_period, mail
from nija_analytics.domain.figures import stretch, top_symbol
from nija_analytics.domain.people import UserCard
from nija_analytics.domain.results import EVERY, merged
from nija_analytics.domain.statistics import DayResult
from nija_analytics.domain.trades import ledger_id
from nija_analytics.handlers import reading
from nija_common.events.deliveries import MailRequested
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.times import DAY_MS

AT_ONCE = 50
TEMPLATES: tuple[Template, ...] = ("daily_summary", "weekly_report")


@dataclass(frozen=True, slots=True)
class _Results:
    """A ledger's days of a period, and the equity before and after them."""

    days: tuple[DayResult, ...]
    before: int
    after: int


async def send(deps: Deps) -> None:
    """Sends the summaries of the last day and the last week, if that has not been done."""
    for template in TEMPLATES:
        period = last_period(template, deps.clock.now_ms())
        while not await deps.work.run(_page, deps, period):
            pass


async def _page(deps: Deps, period: Period, uow: UnitOfWork) -> bool:
    """The next of those who traded; whether they were the last."""
    run = await deps.digests.run(period.name)
    if run.done:
        return True
    page = await deps.results.traders(period.first, period.end, limit=AT_ONCE, after=run.after)
    for ledger in dict.fromkeys(day.ledger for day in page.items):
        await _one(deps, period, ledger, uow)
    uow.save(run.model_copy(update={"after": page.after, "done": page.after is None}))
    return page.after is None


async def _one(deps: Deps, period: Period, ledger: str, uow: UnitOfWork) -> None:
    user_id = ledger.rsplit("/", 1)[0]
    mail_id = period.mail_id(user_id)
    user = await deps.people.user(user_id)
    if user is None or user.status == "disabled" or await deps.digests.sent(mail_id):
        return
    if not period.wanted(await deps.people.preferences(user_id)):
        return
    asked = await _mail(deps, period, user)
    if asked is not None:
        uow.save(DigestMail(id=mail_id, user_id=user_id, keep_until_ms=period.expires_at_ms + 30 * DAY_MS))
        uow.emit(asked)


async def _mail(deps: Deps, period: Period, user: UserCard) -> MailRequested | None:
    """Of the ledger the bot last ran on if it traded in the period, else of the other one."""
    last = await deps.results.last_run(user.id)
    paper = last is None or last.paper
    for name in (ledger_id(user.id, paper), ledger_id(user.id, not paper)):

        async def read(ledger: Ledger) -> _Results:
            return await _results(deps, ledger, period)

        _, found = await reading.at_one_moment(deps, name, read)
        if found is not None and any(day.trades for day in found.days):
            days = await deps.results.days(name, EVERY, period.first, period.end)
            best = top_symbol(merged(day.breakdown for day in days))
            return mail(period, user, stretch(found.before, found.days), found.after, best)
    return None


async def _results(deps: Deps, ledger: Ledger, period: Period) -> _Results:
    since = await reading.days_of(deps, ledger, period.first)
    inside = tuple(day for day in since.results if day.day < period.end)
    after = since.equity_before + sum(day.net + day.deposits for day in inside)
    return _Results(inside, since.equity_before, after)
