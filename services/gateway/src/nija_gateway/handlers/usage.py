"""What has been counted becomes events."""

from __future__ import annotations

from nija_common.events.administration import ApiUsageCounted
from nija_common.storage.unit_of_work import UnitOfWork
from nija_gateway.deps import Deps

ACCOUNTS_A_COMMIT = 200
"""Events of one commit: a transaction of MongoDB has its limits."""


def collect(deps: Deps) -> list[UnitOfWork]:
    """Takes the counts; the units of work that tell them, for the edge to commit."""
    counted = deps.usage.take(deps.clock.now_ms())
    found: list[UnitOfWork] = []
    for start in range(0, len(counted), ACCOUNTS_A_COMMIT):
        uow = deps.work.open()
        for one in counted[start : start + ACCOUNTS_A_COMMIT]:
            uow.emit(
                ApiUsageCounted(
                    user_id=one.user_id,
                    from_ms=one.from_ms,
                    to_ms=one.to_ms,
                    calls=one.calls,
                    errors=one.errors,
                    duration_ms=one.duration_ms,
                )
            )
        found.append(uow)
    return found
