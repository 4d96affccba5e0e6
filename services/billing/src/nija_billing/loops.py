"""What billing does on its own: what time makes due, and payments that were left behind."""

from __future__ import annotations

import structlog

from nija_billing.deps import Deps
from nija_billing.handlers import attempts, subscriptions
from nija_common.errors import ErrorCode, NijaError
from nija_common.runtime.manifest import Loop

log = structlog.get_logger(__name__)

A_TURN = 500


async def announce_changes(deps: Deps) -> None:
    """One unit of work a subscription; what is left over is due at the next turn."""
    for due in await deps.subscriptions.due(deps.clock.now_ms(), A_TURN):
        await deps.work.run(subscriptions.move_on, deps, due.id, queue=due.id)


async def finish_payments(deps: Deps) -> None:
    """Renewals that were ordered, and attempts whose holder is gone. One that the vendor does not answer waits."""
    for left in await deps.vendor.left_behind(await deps.vendor.now_ms(), A_TURN):
        try:
            await attempts.go_on(deps, left.id)
        except NijaError as error:
            if error.code is not ErrorCode.SERVICE_UNAVAILABLE:
                raise
            log.warning("payment_waits", attempt=left.id, reason=error.message)


ANNOUNCE_CHANGES = Loop("announce-changes", every_s=5.0, run=announce_changes)
FINISH_PAYMENTS = Loop("finish-payments", every_s=5.0, run=finish_payments)
