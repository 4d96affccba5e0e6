"""Users, subscriptions and settings as they arrive: snapshots, what they are listed by, totals they are counted in."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain import platform_totals
from nija_analytics.domain.cards import AccountCard, with_subscription, with_user
from nija_analytics.domain.people import SubscriptionCard, UserCard
from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.storage.unit_of_work import UnitOfWork


async def user_changed(deps: Deps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """Keeps auth's newest snapshot, and counts an account once."""
    event = received.event
    stored = await deps.people.user(event.user_id)
    if stored is not None and received.revision <= stored.revision:
        return
    user = UserCard(
        id=event.user_id,
        version=0 if stored is None else stored.version,
        revision=received.revision,
        email=event.email,
        full_name=event.full_name,
        role=event.role,
        status=event.status,
        registered_at_ms=event.registered_at_ms,
    )
    uow.save(user)
    if stored is None:
        totals = await deps.totals.users(event.user_id)
        uow.save(totals.model_copy(update={"users": totals.users + 1}))
    before = await deps.cards.account(event.user_id)
    await _listed(deps, before, with_user(before, user), uow)


async def subscription_changed(deps: Deps, received: Received[SubscriptionSnapshot], uow: UnitOfWork) -> None:
    """Keeps billing's newest snapshot, and counts tiers and revenue."""
    event = received.event
    stored = await deps.people.subscription(event.user_id)
    if stored is not None and received.revision <= stored.revision:
        return
    ended = [] if stored is None else [stored.last_ended_ms]
    known = [at for at in (*ended, event.ended_at_ms) if at is not None]
    subscription = SubscriptionCard(
        id=event.user_id,
        version=0 if stored is None else stored.version,
        revision=received.revision,
        tier=event.tier,
        status=event.status,
        effective=event.effective,
        interval=event.interval,
        period_start_ms=event.period_start_ms,
        period_end_ms=event.period_end_ms,
        cancel_at_period_end=event.cancel_at_period_end,
        amount_cents=event.amount_cents,
        ended_at_ms=event.ended_at_ms,
        last_ended_ms=max(known, default=None),
    )
    uow.save(subscription)
    totals = await deps.totals.subscriptions(event.user_id)
    uow.save(platform_totals.with_subscription(totals, stored, subscription, deps.clock.now_ms()))
    before = await deps.cards.account(event.user_id)
    await _listed(deps, before, with_subscription(before, subscription), uow)


async def settings_changed(deps: Deps, received: Received[SettingsSnapshot], uow: UnitOfWork) -> None:
    """Keeps accounts' newest snapshot."""
    event = received.event
    stored = await deps.people.preferences(event.user_id)
    if received.revision <= stored.revision:
        return
    uow.save(
        stored.model_copy(
            update={
                "revision": received.revision,
                "trading": event.trading,
                "notifications": event.notifications,
            }
        )
    )


async def _listed(deps: Deps, before: AccountCard, after: AccountCard, uow: UnitOfWork) -> None:
    """Saves the card and its search rows where they differ. Both topics write the same card, so neither can miss what
    the other one said: one of two commits at once is run again."""
    if after == before and before.version:
        return
    uow.save(after)
    rows = await deps.cards.words(before)
    for row in after.search_rows():
        known = rows.pop(row.id, None)
        row = row.model_copy(update={"version": 0 if known is None else known.version})
        if row != known:
            uow.save(row)
    uow.delete(*rows.values())
