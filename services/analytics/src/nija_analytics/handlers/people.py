"""Users, subscriptions, settings and audit rows as they arrive."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain.people import SubscriptionCard, UserCard, audit_row
from nija_common.events.base import Received
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.storage.unit_of_work import UnitOfWork


async def user_changed(deps: Deps, received: Received[UserSnapshot], uow: UnitOfWork) -> None:
    """Keeps auth's newest snapshot."""
    event = received.event
    stored = await deps.people.user(event.user_id)
    if stored is not None and received.revision <= stored.revision:
        return
    uow.save(
        UserCard(
            id=event.user_id,
            version=0 if stored is None else stored.version,
            revision=received.revision,
            email=event.email,
            full_name=event.full_name,
            role=event.role,
            status=event.status,
            registered_at_ms=event.registered_at_ms,
        )
    )


async def subscription_changed(deps: Deps, received: Received[SubscriptionSnapshot], uow: UnitOfWork) -> None:
    """Keeps billing's newest snapshot."""
    event = received.event
    stored = await deps.people.subscription(event.user_id)
    if stored is not None and received.revision <= stored.revision:
        return
    uow.save(
        SubscriptionCard(
            id=event.user_id,
            version=0 if stored is None else stored.version,
            revision=received.revision,
            tier=event.tier,
            status=event.status,
            effective=event.effective,
        )
    )


async def settings_changed(deps: Deps, received: Received[SettingsSnapshot], uow: UnitOfWork) -> None:
    """Keeps accounts' newest snapshot."""
    event = received.event
    stored = await deps.people.preferences(event.user_id)
    if received.revision <= stored.revision:
        return
    uow.save(
        stored.model_copy(
            update={
                "revision": received.revision,
                "trading": event.trading,
                "notifications": event.notifications,
            }
        )
    )


async def audit_recorded(deps: Deps, received: Received[AuditRecorded], uow: UnitOfWork) -> None:
    """Adds a row to the audit log; a row that is there stays as it is."""
    if await deps.people.audit_row(received.event.log_id) is None:
        uow.save(audit_row(received.event))
