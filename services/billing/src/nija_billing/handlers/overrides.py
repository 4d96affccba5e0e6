"""Tiers that administrators give: auth says so, billing keeps them in force until they run out or are lifted."""

from __future__ import annotations

from nija_billing.deps import Deps
from nija_billing.domain import changes
from nija_billing.domain.attempts import By
from nija_billing.domain.subscription import at_time
from nija_billing.handlers import accounts
from nija_billing.handlers.audit import audited
from nija_billing.store import EarlyOverride
from nija_common.events.administration import TierOverrideRequested
from nija_common.events.base import Received
from nija_common.storage.unit_of_work import UnitOfWork


async def set_tier(deps: Deps, received: Received[TierOverrideRequested], uow: UnitOfWork) -> None:
    """Puts an override in force, replaces it, or lifts it. One that has run out on the way lifts what was there.

    Accounts and overrides come on different topics: one for an account not heard of yet waits for it.
    """
    event, now_ms = received.event, deps.clock.now_ms()
    tier = event.tier if event.expires_at_ms is None or event.expires_at_ms > now_ms else None
    stored = await deps.subscriptions.of(event.user_id)
    if stored is None:
        await _keep(deps, event, uow)
        return
    current = at_time(stored, now_ms)
    if tier is None and current.override is None:
        await accounts.leave(deps, stored, current, By(user_id=event.by), uow)
        return
    if tier is None:
        after = changes.lifted(current, now_ms)
    else:
        after = changes.overridden(current, tier, event.expires_at_ms, event.by, now_ms)
    told = {"tier": None if tier is None else tier.value, "expires_at_ms": event.expires_at_ms}
    event_type = "tier_override_lifted" if tier is None else "tier_override_set"
    uow.emit(audited(event.user_id, event_type, By(user_id=event.by), now_ms, **told))
    await accounts.leave(deps, stored, after, By(user_id=event.by), uow)


async def _keep(deps: Deps, event: TierOverrideRequested, uow: UnitOfWork) -> None:
    waiting = await deps.subscriptions.early_override(event.user_id)
    if event.tier is None:
        if waiting is not None:
            uow.delete(waiting)
        return
    version = 0 if waiting is None else waiting.version
    uow.save(
        EarlyOverride(
            id=event.user_id, version=version, tier=event.tier, expires_at_ms=event.expires_at_ms, by=event.by
        )
    )
