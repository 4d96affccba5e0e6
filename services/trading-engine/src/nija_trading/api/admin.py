"""The global kill switch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from nija_common.http.identity import AdminDep, ClientDep
from nija_common.values.times import iso
from nija_trading.api.deps import DepsDep, actor_of
from nija_trading.domain.controls import GLOBAL
from nija_trading.handlers import controls
from nija_trading.schemas import KillSwitchAnswer, KillSwitchBody, ReleaseAnswer, ReleaseBody

router = APIRouter()


@router.post("/api/v1/admin/kill-switch")
async def trip(body: KillSwitchBody, caller: AdminDep, client: ClientDep, deps: DepsDep) -> KillSwitchAnswer:
    """Stop all trading on the platform: once this has answered, no opening order leaves any worker."""
    cmd = controls.TripSwitch(body.reason, body.close_all_positions, body.notify_users, actor_of(caller, client))
    tripped = await controls.trip_global(deps, cmd)
    return KillSwitchAnswer(
        message="Global kill switch activated",
        affected_users=tripped.accounts,
        active_positions=tripped.positions,
        timestamp=iso(tripped.at_ms),
    )


@router.delete("/api/v1/admin/kill-switch")
async def release(
    caller: AdminDep,
    client: ClientDep,
    deps: DepsDep,
    reason: Annotated[str | None, Query(max_length=500)] = None,
    body: ReleaseBody | None = None,
) -> ReleaseAnswer:
    """Release it; what it stopped stays stopped."""
    why = (body.reason if body is not None else None) or reason or ""
    freed = await deps.work.run(controls.release_switch, deps, (actor_of(caller, client), why), queue=GLOBAL)
    message = "Global kill switch released" if freed else "The global kill switch was not active"
    return ReleaseAnswer(message=message, timestamp=iso(deps.clock.now_ms()))
