"""What is kept of users and of what they have paid for: the newest snapshot of each."""

from __future__ import annotations

from typing import ClassVar

from nija_common.events.identity import AccountStatus, Role
from nija_common.events.subscriptions import Interval, SubscriptionStatus
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
    """What a user has paid for, by billing's newest snapshot. Id: the user's.

    `last_ended_ms`: when the last paid subscription ended that any snapshot has told of.
    """

    collection: ClassVar[Collection] = Collection("subscription_cards")
    revision: Revision
    tier: Tier
    status: SubscriptionStatus
    effective: tuple[EffectiveTier, ...]
    interval: Interval | None = None
    period_start_ms: int | None = None
    period_end_ms: int | None = None
    cancel_at_period_end: bool = False
    amount_cents: int | None = None
    ended_at_ms: int | None = None
    last_ended_ms: int | None = None
