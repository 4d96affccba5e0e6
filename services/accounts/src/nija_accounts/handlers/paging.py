"""One page of a history and how many trades there are in all, at the cost of the page and of a few counts."""

from __future__ import annotations

from dataclasses import replace

from nija_accounts.deps import Deps
from nija_accounts.domain.calendar import Stretch, first_day_of, landing, ledger_of, matching, total
from nija_accounts.domain.trades import Trade
from nija_accounts.store import TradeFilter
from nija_common.values.times import DAY_MS


async def page(deps: Deps, wanted: TradeFilter, *, skip: int, limit: int) -> tuple[list[Trade], int]:
    """Trades from the one after `skip` newer ones on, newest first, and the number of all."""
    stretches = await _months(deps, wanted)
    found = landing(stretches, skip)
    if found is not None and found[0].end - found[0].first > 1:
        found = landing(await _days(deps, wanted, found[0].first, found[0].end), found[1])
    if found is None:
        return [], total(stretches)
    day, left = found
    end_ms = day.end * DAY_MS if wanted.to_ms is None else min(wanted.to_ms, day.end * DAY_MS)
    trades = await deps.trades.page(replace(wanted, to_ms=end_ms), skip=left, limit=limit)
    return trades, total(stretches)


async def _months(deps: Deps, wanted: TradeFilter) -> list[Stretch]:
    """Months within the span, newest first; one that lies only partly in it by its days."""
    found: list[Stretch] = []
    for month in await deps.calendar.months(ledger_of(wanted.user_id, wanted.paper)):
        first, end = first_day_of(month.month), first_day_of(month.month + 1)
        if _whole(wanted, first, end):
            found.append(Stretch(first, end, matching(month.counts, wanted.symbol, wanted.status)))
        elif _touched(wanted, first, end):
            found += await _days(deps, wanted, first, end)
    return found


async def _days(deps: Deps, wanted: TradeFilter, first: int, end: int) -> list[Stretch]:
    """Days within the span, newest first; what lies in it of a day that begins or ends outside is counted."""
    found: list[Stretch] = []
    for day in await deps.calendar.days(ledger_of(wanted.user_id, wanted.paper), first, end):
        if _whole(wanted, day.day, day.day + 1):
            found.append(Stretch(day.day, day.day + 1, matching(day.counts, wanted.symbol, wanted.status)))
        elif _touched(wanted, day.day, day.day + 1):
            found.append(Stretch(day.day, day.day + 1, await deps.trades.count(_within(wanted, day.day))))
    return found


def _within(wanted: TradeFilter, day: int) -> TradeFilter:
    begin_ms, end_ms = day * DAY_MS, (day + 1) * DAY_MS
    return replace(
        wanted,
        from_ms=begin_ms if wanted.from_ms is None else max(begin_ms, wanted.from_ms),
        to_ms=end_ms if wanted.to_ms is None else min(end_ms, wanted.to_ms),
    )


def _whole(wanted: TradeFilter, first: int, end: int) -> bool:
    begun = wanted.from_ms is None or wanted.from_ms <= first * DAY_MS
    return begun and (wanted.to_ms is None or wanted.to_ms >= end * DAY_MS)


def _touched(wanted: TradeFilter, first: int, end: int) -> bool:
    begins_before = wanted.from_ms is None or wanted.from_ms < end * DAY_MS
    return begins_before and (wanted.to_ms is None or wanted.to_ms > first * DAY_MS)
