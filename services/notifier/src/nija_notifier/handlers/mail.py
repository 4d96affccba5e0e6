"""A mail from wish to outcome: two units of work with the mailer's call between them, so that none is lost.

A process that dies in between leaves the mail due again: a mail may arrive twice, with one Message-ID.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from nija_common.events.base import Received
from nija_common.events.deliveries import MailRequested
from nija_common.security.sealing import Unsealable
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.telemetry.metrics import MAILS
from nija_notifier.deps import Deps
from nija_notifier.domain.mail import Delivery, DeliveryStatus, wanted
from nija_notifier.handlers.letters import UnknownTemplate, write_letter
from nija_notifier.ports import MailRefused

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try: taken by the mailer, or not and why."""

    mail_id: str
    attempt: int
    status: DeliveryStatus
    reason: str | None = None


async def want(deps: Deps, received: Received[MailRequested], uow: UnitOfWork) -> None:
    """Stores that a mail is wanted. The same `mail_id` again changes nothing."""
    if await deps.deliveries.get(received.event.mail_id) is None:
        uow.save(wanted(received.event, deps.clock.now_ms()))


async def take(deps: Deps, mail_id: str, uow: UnitOfWork) -> Delivery | None:
    """Begins a try; None if somebody else was faster or nothing is to be done.

    Whatever has expired, or the user has come not to want, ends here; an account that is not known yet is waited for.
    """
    delivery = await deps.deliveries.get(mail_id)
    now_ms = deps.clock.now_ms()
    if delivery is None or not delivery.waiting or delivery.due_at_ms > now_ms:
        return None
    if delivery.expired(now_ms):
        uow.save(delivery.finished("expired", now_ms, "Its contents were over before it could be sent."))
        MAILS.labels(delivery.template, "expired").inc()
        return None
    recipient = await deps.recipients.get(delivery.user_id)
    if recipient is not None and not recipient.wants(delivery.template):
        uow.save(delivery.finished("unwanted", now_ms, "The user's settings ask for no such mail."))
        MAILS.labels(delivery.template, "unwanted").inc()
        return None
    if recipient is not None:
        delivery = delivery.addressed(recipient)
    if delivery.to is None:
        uow.save(delivery.postponed(now_ms))
        return None
    taken = delivery.taken(now_ms)
    uow.save(taken)
    return taken


async def attempt(deps: Deps, delivery: Delivery) -> Outcome:
    """Writes the letter and hands it over. Contents appear in no error, reason or log."""
    try:
        letter = write_letter(delivery, deps.sealer, deps.public_url)
        await deps.mailer.send(letter)
    except MailRefused as refusal:
        status: DeliveryStatus = "failed" if refusal.permanent else delivery.status
        return Outcome(delivery.id, delivery.attempts, status, str(refusal))
    except (Unsealable, UnknownTemplate) as error:
        return Outcome(delivery.id, delivery.attempts, "failed", f"{type(error).__name__}: {error}")
    return Outcome(delivery.id, delivery.attempts, "sent")


async def settle(deps: Deps, outcome: Outcome, uow: UnitOfWork) -> None:
    """Writes down what became of a try; nothing if another try has begun since."""
    delivery = await deps.deliveries.get(outcome.mail_id)
    if delivery is None or not delivery.waiting or delivery.attempts != outcome.attempt:
        return
    now_ms = deps.clock.now_ms()
    if outcome.status == "sent":
        after = delivery.finished("sent", now_ms)
    else:
        after = delivery.refused(outcome.reason or "", permanent=outcome.status == "failed", now_ms=now_ms)
    uow.save(after)
    told = "retried" if after.waiting else after.status
    MAILS.labels(delivery.template, told).inc()
    log.info("mail", mail_id=delivery.id, template=delivery.template, outcome=told, reason=after.reason)
