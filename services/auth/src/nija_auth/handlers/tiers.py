"""What billing says an account has paid for, kept for the answers of login and registration."""

from __future__ import annotations

from nija_auth.deps import Deps
from nija_auth.domain.documents import PaidTier
from nija_common.events.base import Received
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.tiers import Tier


async def remember(deps: Deps, received: Received[SubscriptionSnapshot], uow: UnitOfWork) -> None:
    """Keeps the newest snapshot."""
    known = await deps.people.paid_tier(received.event.user_id)
    if known is not None and known.revision >= received.revision:
        return
    version = 0 if known is None else known.version
    uow.save(PaidTier(id=received.event.user_id, version=version, revision=received.revision, tier=received.event.tier))


async def stored_tier(deps: Deps, user_id: str) -> Tier:
    """Free until billing says otherwise."""
    known = await deps.people.paid_tier(user_id)
    return Tier.FREE if known is None else known.tier
