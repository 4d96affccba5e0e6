"""Keeps the read models that decisions of trading rest on; stops the bot of a disabled account, and a live bot whose
subscription is lost."""

from __future__ import annotations

from nija_common.events.base import Received
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import KillSwitchSnapshot
from nija_common.storage.unit_of_work import UnitOfWork
from nija_trading.deps import Deps
from nija_trading.domain.account import Account, end
from nija_trading.domain.standing import Revision, Standing
from nija_trading.handlers import commands


def newer(revision: Revision, known: Revision | None) -> bool:
    """Whether a snapshot is news."""
    return known is None or revision > tuple(known)


async def remember_user(deps: Deps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """The administrator's status of an account; a disabled account's bot stops, its positions stay guarded."""
    event = received.event
    standing = await deps.store.standing(event.user_id) or Standing(id=event.user_id)
    if not newer(received.revision, standing.user_revision):
        return
    update = {"role": event.role, "status": event.status, "user_revision": received.revision}
    uow.save(standing.model_copy(update=update))
    account = await deps.store.account(event.user_id)
    if event.status == "disabled" and account is not None:
        _stop(deps, account, uow, by="disabled", reason="The account is disabled.")


async def remember_subscription(deps: Deps, received: Received[SubscriptionSnapshot], uow: UnitOfWork) -> None:
    """Tier, limits, and whether the last payment failed. A live bot that nothing pays for any more stops; its positions
    stay guarded."""
    event = received.event
    standing = await deps.store.standing(event.user_id) or Standing(id=event.user_id)
    if not newer(received.revision, standing.subscription_revision):
        return
    update = {
        "effective": event.effective,
        "past_due": event.status == "past_due",
        "subscription_revision": received.revision,
    }
    known = standing.model_copy(update=update)
    uow.save(known)
    account = await deps.store.account(event.user_id)
    if account is not None and not account.paper and not known.tier(deps.clock.now_ms()).live:
        _stop(deps, account, uow, by="subscription", reason="The subscription has ended; live trading needs one.")


def _stop(deps: Deps, account: Account, uow: UnitOfWork, *, by: str, reason: str) -> None:
    """Entries end, and the worker is told; nothing happens to a bot that is stopped already."""
    if account.status == "stopped":
        return
    now_ms = deps.clock.now_ms()
    stopped, events = end(account, by=by, reason=reason, at_ms=now_ms)
    uow.save(stopped)
    uow.emit(*events)
    commands.leave(uow, account.id, "stop", now_ms)


async def remember_settings(deps: Deps, received: Received[SettingsSnapshot], uow: UnitOfWork) -> None:
    """The user's own trading settings and `advanced` switches."""
    event = received.event
    known = await deps.store.preferences(event.user_id)
    if newer(received.revision, known.revision):
        update = {"trading": event.trading, "advanced": event.advanced, "revision": received.revision}
        uow.save(known.model_copy(update=update))


def switch_changed(deps: Deps, received: Received[KillSwitchSnapshot]) -> None:
    """Only an accelerator: the worker looks at the documents now instead of within a second."""
    deps.looks.set()
