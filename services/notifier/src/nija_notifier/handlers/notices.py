"""Which mails facts and snapshots cause: one an event, user and template, however often the event comes."""

from __future__ import annotations

from nija_common.events.base import Event, Received
from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.trading import KillSwitchSnapshot, TradeClosed, TradeOpened
from nija_common.storage.unit_of_work import UnitOfWork
from nija_notifier.deps import Deps
from nija_notifier.domain import notices
from nija_notifier.domain.circulars import Circular, Switch, circular
from nija_notifier.domain.mail import delivery_id, delivery_of
from nija_notifier.domain.notices import Notice

PAGE = 100


async def trade_opened(deps: Deps, received: Received[TradeOpened], uow: UnitOfWork) -> None:
    await _notify(deps, received, received.event.user_id, notices.trade_opened(received.event), uow)


async def trade_closed(deps: Deps, received: Received[TradeClosed], uow: UnitOfWork) -> None:
    await _notify(deps, received, received.event.user_id, notices.trade_closed(received.event), uow)


async def payment_failed(deps: Deps, received: Received[InvoicePaymentFailed], uow: UnitOfWork) -> None:
    await _notify(deps, received, received.event.user_id, notices.payment_failed(received.event), uow)


async def switch_changed(deps: Deps, received: Received[KillSwitchSnapshot], uow: UnitOfWork) -> None:
    """A mail about each change of a switch: the user's own to them, the global one, where the administrator wants
    it, to everybody who may sign in. A repetition that changes nothing is no news."""
    event = received.event
    known = await deps.circulars.switch(event.scope) or Switch(id=event.scope)
    if not known.is_news(received.revision):
        return
    uow.save(known.after(event, received.revision))
    if known.active == event.active:
        return
    notice = notices.kill_switch(event)
    if event.scope != notices.GLOBAL:
        await _notify(deps, received, event.scope, notice, uow)
    elif event.notify_users and _is_news(deps, notice) and await deps.circulars.get(received.id) is None:
        uow.save(circular(received.id, notice, deps.clock.now_ms()))


async def spread(deps: Deps, circular_id: str, uow: UnitOfWork) -> bool:
    """Brings a circular one page of accounts further; whether there are more. Its deliveries and how far it has come
    are one commit, so a crash neither leaves anybody out nor writes to anybody twice."""
    found = await deps.circulars.get(circular_id)
    if found is None or found.done:
        return False
    now_ms = deps.clock.now_ms()
    if found.expires_at_ms <= now_ms:
        uow.save(found.advanced(None, now_ms))
        return False
    after = await _page(deps, found, now_ms, uow)
    uow.save(found.advanced(after, now_ms))
    return after is not None


async def _page(deps: Deps, found: Circular, now_ms: int, uow: UnitOfWork) -> str | None:
    page = await deps.recipients.active(PAGE, found.after)
    notice = Notice(found.template, found.fields, found.expires_at_ms)
    wanted = [delivery_of(notice, found.id, recipient.id, now_ms, "queued") for recipient in page.items]
    there = await deps.deliveries.existing([delivery.id for delivery in wanted])
    uow.save(*(delivery for delivery in wanted if delivery.id not in there))
    return page.after


async def _notify(deps: Deps, received: Received[Event], user_id: str, notice: Notice, uow: UnitOfWork) -> None:
    """Stores that the mail is wanted, unless it is old news or the user is known not to want it."""
    if not _is_news(deps, notice):
        return
    recipient = await deps.recipients.get(user_id)
    if recipient is not None and not recipient.wants(notice.template):
        return
    if await deps.deliveries.get(delivery_id(received.id, notice.template, user_id)) is None:
        uow.save(delivery_of(notice, received.id, user_id, deps.clock.now_ms(), "wanted"))


def _is_news(deps: Deps, notice: Notice) -> bool:
    """A group that begins to read a topic meets the past first; nobody wants mail about that."""
    return notice.expires_at_ms > deps.clock.now_ms()
