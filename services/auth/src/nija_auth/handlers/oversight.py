"""What administrators change about an account: its tier, its status, notes about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from nija_auth.deps import Deps
from nija_auth.domain import oversight as rules
from nija_auth.domain.documents import AdminNote, TierOverride, User
from nija_auth.handlers.auditing import Origin, audit
from nija_auth.handlers.snapshots import end_all_sessions, snapshot
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.administration import TierOverrideRequested
from nija_common.events.identity import AccountStatus
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id
from nija_common.values.tiers import Tier
from nija_common.values.times import iso_or_none

Told = dict[str, str | int | float | bool | None]
"""What goes into the audit row."""


@dataclass(frozen=True, slots=True)
class UpdateUser:
    """What an administrator wants of an account; None leaves status and notes alone. `tier` None with `sets_tier` lifts
    the override; `expires_at_ms` None keeps it until it is lifted."""

    user_id: str
    by: str
    sets_tier: bool
    tier: Tier | None
    expires_at_ms: int | None
    status: AccountStatus | None
    note: str | None = field(repr=False)
    origin: Origin


async def update_user(deps: Deps, command: UpdateUser, uow: UnitOfWork) -> None:
    """All of it or nothing, in one commit with its audit row. Raises VALIDATION_ERROR, NOT_FOUND."""
    now_ms = deps.clock.now_ms()
    rules.check_something(command.sets_tier or command.status is not None or command.note is not None)
    rules.check_tier(command.sets_tier, command.tier, command.expires_at_ms, now_ms)
    rules.check_status(command.status, command.user_id, command.by)
    user = await deps.people.user(command.user_id)
    if user is None:
        raise NijaError(ErrorCode.NOT_FOUND, "There is no account with this id.")
    told: Told = {}
    if command.sets_tier:
        told |= await _override(deps, command, now_ms, uow)
    if command.status is not None and command.status != user.status:
        told |= await _set_status(deps, user, command.status, uow)
    if command.note is not None:
        note = AdminNote(id=new_id("note"), user_id=user.id, author=command.by, written_at_ms=now_ms, text=command.note)
        uow.save(note)
        told["note_added"] = True
    if told:
        uow.emit(audit("user_updated", user.id, command.origin, now_ms, actor=command.by, **told))


async def _override(deps: Deps, command: UpdateUser, now_ms: int, uow: UnitOfWork) -> Told:
    """Asks billing to keep the override, or to lift it."""
    before = await deps.people.tier_override(command.user_id)
    if command.tier is not None:
        version = 0 if before is None else before.version
        uow.save(
            TierOverride(id=command.user_id, version=version, tier=command.tier, expires_at_ms=command.expires_at_ms)
        )
    elif before is not None:
        uow.delete(before)
    uow.emit(
        TierOverrideRequested(
            user_id=command.user_id,
            tier=command.tier,
            expires_at_ms=command.expires_at_ms,
            by=command.by,
            at_ms=now_ms,
        )
    )
    lasted = before is not None and (before.expires_at_ms is None or before.expires_at_ms > now_ms)
    return {
        "tier_override_before": before.tier.value if before is not None and lasted else None,
        "tier_override": None if command.tier is None else command.tier.value,
        "tier_override_until": iso_or_none(command.expires_at_ms),
    }


async def _set_status(deps: Deps, user: User, status: AccountStatus, uow: UnitOfWork) -> Told:
    """Suspending and disabling end every session; whoever is active again logs in anew."""
    changed = user.model_copy(update={"status": status})
    if status == "active":
        uow.save(changed)
        uow.emit(snapshot(changed))
    else:
        await end_all_sessions(deps, changed, status, uow)
    return {"status_before": user.status, "status": status}
