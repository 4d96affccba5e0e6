"""What is kept of users and of the audit log: rows that administrators will read."""

from __future__ import annotations

from typing import ClassVar

from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import AccountStatus, Role
from nija_common.values.document import Collection, Document
from nija_common.values.tiers import EffectiveTier, Tier

Revision = tuple[int, int]


class UserCard(Document):
    """Who a user is, by auth's newest snapshot. Id: the user's."""

    collection: ClassVar[Collection] = Collection("user_cards")
    revision: Revision
    email: str
    full_name: str
    role: Role
    status: AccountStatus
    registered_at_ms: int


class SubscriptionCard(Document):
    """What a user has paid for, by billing's newest snapshot. Id: the user's."""

    collection: ClassVar[Collection] = Collection("subscription_cards")
    revision: Revision
    tier: Tier
    status: str
    effective: tuple[EffectiveTier, ...]


class AuditRow(Document):
    """One row of the audit log; only ever added. Id: the row's own."""

    collection: ClassVar[Collection] = Collection("audit_log")
    user_id: str
    event_type: str
    actor: str
    ip_address: str | None
    user_agent: str | None
    metadata: dict[str, str | int | float | bool | None]
    at_ms: int


def audit_row(event: AuditRecorded) -> AuditRow:
    """The row of an event."""
    return AuditRow(id=event.log_id, **event.model_dump(exclude={"log_id"}))
