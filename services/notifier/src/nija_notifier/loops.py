"""What notifier does on its own: sends mails, brings circulars to everybody, closes sockets whose time is up."""

from __future__ import annotations

import asyncio

import structlog

from nija_common.errors import NijaError
from nija_common.runtime.manifest import Loop, Task
from nija_notifier.deps import Deps
from nija_notifier.domain.mail import Waiting
from nija_notifier.handlers import mail, notices

log = structlog.get_logger(__name__)

MAILS_A_TURN = 20
LINES: tuple[Waiting, ...] = ("wanted", "queued")
CIRCULARS_A_TURN = 10
PAGES_A_TURN = 20
AT_ONCE = 4
SETTLE_PAUSES_S = (0.1, 1.0, 3.0)
LOOK_EVERY_S = 1.0
FORGET_EVERY_S = 600.0


async def send_mails(deps: Deps) -> None:
    """Tries what is due of each line, a few at once: one slow server reply does not hold up the others."""
    due = [d for line in LINES for d in await deps.deliveries.due(line, deps.clock.now_ms(), MAILS_A_TURN)]
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(mail_id: str) -> None:
        async with slots:
            await _send(deps, mail_id)

    await asyncio.gather(*(one(delivery.id) for delivery in due))


async def _send(deps: Deps, mail_id: str) -> None:
    delivery = await deps.work.run(mail.take, deps, mail_id, queue=mail_id)
    if delivery is None:
        return
    outcome = await mail.attempt(deps, delivery)
    for pause in SETTLE_PAUSES_S:
        try:
            await deps.work.run(mail.settle, deps, outcome, queue=mail_id)
            return
        except NijaError as error:
            log.warning("mail_outcome_not_kept", mail_id=mail_id, reason=error.message)
            await asyncio.sleep(pause)
    await deps.work.run(mail.settle, deps, outcome, queue=mail_id)


async def spread_circulars(deps: Deps) -> None:
    """Some pages of each circular that is under way."""
    for circular in await deps.circulars.under_way(CIRCULARS_A_TURN):
        for _ in range(PAGES_A_TURN):
            if not await deps.work.run(notices.spread, deps, circular.id, queue=circular.id):
                break


async def look_at_sockets(deps: Deps) -> None:
    """Once a second: who has not signed in in time, whose token has expired."""
    forget_at = deps.clock.monotonic() + FORGET_EVERY_S
    while True:
        await deps.clock.sleep(LOOK_EVERY_S)
        now_ms, now_s = deps.clock.now_ms(), deps.clock.monotonic()
        deps.hub.look_at_deadlines(now_ms, now_s)
        if now_s >= forget_at:
            deps.hub.refusals.forget(now_ms)
            forget_at = now_s + FORGET_EVERY_S


async def drain_sockets(deps: Deps) -> None:
    """When the process is told to stop, every socket is closed with 1001, and those that still come."""
    await deps.draining.wait()
    deps.hub.drain()


SEND_MAILS = Loop("send-mails", every_s=1.0, run=send_mails)
SPREAD_CIRCULARS = Loop("spread-circulars", every_s=1.0, run=spread_circulars)
LOOK_AT_SOCKETS = Task("look-at-sockets", look_at_sockets)
DRAIN_SOCKETS = Task("drain-sockets", drain_sockets)
