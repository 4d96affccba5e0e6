"""What billing does on its own: it tells of changes that time alone makes, such as the end of a trial."""

from __future__ import annotations

from nija_billing.deps import Deps
from nija_billing.handlers import subscriptions
from nija_common.runtime.manifest import Loop

A_TURN = 500


async def announce_changes(deps: Deps) -> None:
    """One unit of work a subscription; what is left over is due at the next turn."""
    for due in await deps.subscriptions.due(deps.clock.now_ms(), A_TURN):
        await deps.work.run(subscriptions.move_on, deps, due.id, queue=due.id)


ANNOUNCE_CHANGES = Loop("announce-changes", every_s=5.0, run=announce_changes)
