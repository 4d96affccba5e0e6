"""Settings read and changed."""

from __future__ import annotations

from dataclasses import dataclass

from nija_accounts.deps import Deps
from nija_accounts.domain.settings import Change, Settings, beyond_tier, changed, in_force
from nija_accounts.handlers import allowances
from nija_common.events.deliveries import AuditRecorded
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Who wants what changed, and from where (for the audit log)."""

    person: allowances.Person
    change: Change
    ip_address: str | None
    user_agent: str | None


async def read(deps: Deps, person: allowances.Person) -> Settings:
    """The settings in force. Raises SERVICE_UNAVAILABLE while the tier is not known."""
    tier = await allowances.tier_now(deps, person)
    return in_force(await deps.settings.of(person.user_id), tier)


async def settle_tier(deps: Deps, command: ChangeSettings) -> None:
    """Before a refusal for reasons of tier: lets this service catch up with billing.

    Stands before the unit of work, because it may wait. Raises SERVICE_UNAVAILABLE.
    """
    tier = await allowances.tier_now(deps, command.person)
    if beyond_tier(command.change, tier):
        await allowances.catch_up(deps, command.person.user_id)


async def apply(deps: Deps, command: ChangeSettings, uow: UnitOfWork) -> list[str]:
    """Changes all of it or nothing; the names of the fields that are different now.

    Raises EXCEEDS_TIER_LIMIT, VALIDATION_ERROR, SERVICE_UNAVAILABLE.
    """
    tier = await allowances.tier_now(deps, command.person)
    before = await deps.settings.of(command.person.user_id)
    after, names = changed(before, command.change, tier)
    if not names:
        return names
    uow.save(after)
    uow.emit(
        after.snapshot(),
        AuditRecorded(
            user_id=command.person.user_id,
            log_id=new_id("log"),
            event_type="settings_updated",
            actor=command.person.user_id,
            ip_address=command.ip_address,
            user_agent=command.user_agent,
            metadata={"fields": ",".join(names)},
            at_ms=deps.clock.now_ms(),
        ),
    )
    return names
