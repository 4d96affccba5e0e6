"""The gateway's reports of calls: traffic, uptime, and when each account was last seen."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain import platform_totals
from nija_analytics.domain.cards import Activity
from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Received
from nija_common.events.deliveries import AuditRecorded
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.times import DAY_MS

GLOBAL = "global"
"""The key of what belongs to no account."""


async def calls_counted(deps: Deps, received: Received[ApiUsageCounted], uow: UnitOfWork) -> None:
    """Counts a report. That of calls without an account comes every minute: it says that the gateway was up."""
    event = received.event
    now_ms = deps.clock.now_ms()
    totals = await deps.totals.traffic(event.user_id)
    counted = platform_totals.with_traffic(totals, event, now_ms)
    if counted is not totals:
        uow.save(counted)
    if event.user_id == GLOBAL:
        await _reported(deps, event, now_ms, uow)
    elif event.calls:
        await _seen(deps, event.user_id, event.to_ms, now_ms, uow)


async def signed_in(deps: Deps, received: Received[AuditRecorded], uow: UnitOfWork) -> None:
    """A login is activity as well, whether a call follows or not."""
    event = received.event
    if event.event_type == "user_login" and event.metadata.get("success") is True and event.user_id != GLOBAL:
        await _seen(deps, event.user_id, event.at_ms, deps.clock.now_ms(), uow)


async def _seen(deps: Deps, user_id: str, at_ms: int, now_ms: int, uow: UnitOfWork) -> None:
    """Keeps the newest moment; an account counts for a day once, by the first that is newer than the day before."""
    stored = await deps.cards.activity(user_id)
    if stored is not None and at_ms <= stored.last_ms:
        return
    after = Activity(id=user_id, version=0 if stored is None else stored.version, last_ms=at_ms)
    uow.save(after)
    if stored is None or stored.day != after.day:
        totals = await deps.totals.activity(user_id)
        uow.save(platform_totals.with_active(totals, after.day, now_ms))


async def _reported(deps: Deps, event: ApiUsageCounted, now_ms: int, uow: UnitOfWork) -> None:
    today = now_ms // DAY_MS
    first = max(event.from_ms // DAY_MS, today - platform_totals.DAYS_KEPT)
    for day in range(first, min(event.to_ms // DAY_MS, today + 1) + 1):
        bits = platform_totals.reported_bits(event, day)
        known = await deps.totals.uptime_day(day)
        after = platform_totals.with_reported(known, bits)
        if after is not known:
            uow.save(after)
