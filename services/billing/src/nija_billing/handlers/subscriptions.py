"""Subscriptions: begun when an account appears, moved on by time, and read."""

from __future__ import annotations

from dataclasses import dataclass

from nija_billing.deps import Deps
from nija_billing.domain.subscription import Subscription, at_time, new_subscription
from nija_common.errors import unavailable
from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.tiers import DEFAULTS_HOLD_MS


@dataclass(frozen=True, slots=True)
class Current:
    """A subscription as it is now, and whether its trial is running."""

    subscription: Subscription
    in_trial: bool


async def begin(deps: Deps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """Gives an account that is new here its subscription; a later snapshot of the same user changes nothing."""
    user = received.event
    if await deps.subscriptions.of(user.user_id) is not None:
        return
    subscription = new_subscription(user.user_id, user.registered_at_ms, deps.clock.now_ms())
    uow.save(subscription)
    uow.emit(subscription.snapshot())


async def move_on(deps: Deps, user_id: str, uow: UnitOfWork) -> None:
    """Tells everybody of a change that time alone has made, once."""
    subscription = await deps.subscriptions.of(user_id)
    now_ms = deps.clock.now_ms()
    if subscription is None or subscription.next_change_ms is None or subscription.next_change_ms > now_ms:
        return
    moved = at_time(subscription, now_ms)
    uow.save(moved)
    uow.emit(moved.snapshot())


async def current(deps: Deps, user_id: str, registered_at_ms: int) -> Current:
    """The account's subscription now. One that has not arrived here yet is what every new account has.

    Raises SERVICE_UNAVAILABLE for an unknown account that is not new: never a guess.
    """
    now_ms = deps.clock.now_ms()
    stored = await deps.subscriptions.of(user_id)
    if stored is None:
        if now_ms - registered_at_ms >= DEFAULTS_HOLD_MS:
            raise unavailable("Your subscription cannot be read right now. Try again.")
        stored = new_subscription(user_id, registered_at_ms, now_ms)
    subscription = at_time(stored, now_ms)
    return Current(subscription, subscription.in_trial(now_ms))
