"""The tier in force for a user: kept from billing's snapshots, and read for settings."""

from __future__ import annotations

from dataclasses import dataclass

from nija_accounts.deps import Deps
from nija_accounts.domain.allowance import Allowance
from nija_common.errors import unavailable
from nija_common.events.base import Received
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import SUBSCRIPTIONS
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.tiers import (
    DEFAULTS_HOLD_MS,
    EffectiveTier,
    effective_at,
    for_administrators,
    registration_defaults,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whose tier is asked for, as the access token says."""

    user_id: str
    registered_at_ms: int
    administrator: bool


async def remember(deps: Deps, received: Received[SubscriptionSnapshot], uow: UnitOfWork) -> None:
    """Keeps the newest snapshot."""
    event = received.event
    stored = await deps.settings.allowance(event.user_id)
    if stored is not None and received.revision <= stored.revision:
        return
    uow.save(
        Allowance(
            id=event.user_id,
            version=0 if stored is None else stored.version,
            revision=received.revision,
            effective=event.effective,
        )
    )


async def tier_now(deps: Deps, person: Person) -> EffectiveTier:
    """The tier in force now, as far as it is known here; what every new account has for one just registered.

    Raises SERVICE_UNAVAILABLE for an unknown account that is not new: never a guess.
    """
    now_ms = deps.clock.now_ms()
    allowance = await deps.settings.allowance(person.user_id)
    if allowance is not None:
        own = effective_at(allowance.effective, now_ms)
    elif now_ms - person.registered_at_ms < DEFAULTS_HOLD_MS:
        own = effective_at(registration_defaults(person.registered_at_ms), now_ms)
    else:
        raise unavailable("Your subscription cannot be read right now. Try again.")
    return for_administrators(own) if person.administrator else own


async def catch_up(deps: Deps, user_id: str) -> None:
    """Waits until what billing had said of the user by now is applied: nobody who has just paid is refused.

    Raises SERVICE_UNAVAILABLE if that takes longer than 2 s.
    """
    if not await deps.freshness.caught_up(SUBSCRIPTIONS, user_id):
        raise unavailable("Your subscription cannot be read right now. Try again.")
