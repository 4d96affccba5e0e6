"""Subscriptions: begun when an account appears, and moved on by time."""

from __future__ import annotations

from nija_billing.deps import Deps
from nija_billing.domain import changes, choices
from nija_billing.domain.subscription import at_time, charge_due, new_subscription
from nija_billing.handlers import accounts, attempts
from nija_billing.handlers.audit import CLOCK
from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.storage.unit_of_work import UnitOfWork


async def begin(deps: Deps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """Gives an account that is new here its subscription, with an override that has come before it.

    A later snapshot of the same user changes nothing.
    """
    user, now_ms = received.event, deps.clock.now_ms()
    if await deps.subscriptions.of(user.user_id) is not None:
        return
    subscription = new_subscription(user.user_id, user.registered_at_ms, now_ms)
    early = await deps.subscriptions.early_override(user.user_id)
    if early is not None:
        uow.delete(early)
        if early.expires_at_ms is None or early.expires_at_ms > now_ms:
            subscription = changes.overridden(subscription, early.tier, early.expires_at_ms, early.by, now_ms)
    uow.save(subscription)
    uow.emit(subscription.snapshot())


async def move_on(deps: Deps, user_id: str, uow: UnitOfWork) -> None:
    """Does what time has made due: tells of a change, once, and orders the renewal of a period that is over.

    While a payment of the account is being made it waits: the outcome may change what is due.
    """
    stored, now_ms = await deps.subscriptions.of(user_id), deps.clock.now_ms()
    if stored is None or stored.next_change_ms is None or stored.next_change_ms > now_ms:
        return
    moved = at_time(stored, now_ms)
    plan, subscription_id = moved.plan, moved.subscription_id
    if plan is None or subscription_id is None or not charge_due(moved, now_ms):
        await accounts.leave(deps, stored, moved, CLOCK, uow)
        return
    if await deps.vendor.running(user_id) is not None:
        return
    method_id = "" if moved.payment_method is None else moved.payment_method.id
    order = choices.renewal(subscription_id, moved, plan, method_id, now_ms)
    await attempts.begun(deps, stored, order, CLOCK, uow, taken=False)
