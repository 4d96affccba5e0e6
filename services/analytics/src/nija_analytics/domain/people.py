"""What is kept of users, of what they have paid for and of what they want: the newest snapshot of each."""

from __future__ import annotations

from typing import ClassVar

from nija_common.events.identity import AccountStatus, Role
from nija_common.events.preferences import NotificationSettings, RiskLevel, TradingSettings
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


class Preferences(Document):
    """What of a user's settings matters here; the defaults are a new account's. Id: the user's."""

    collection: ClassVar[Collection] = Collection("preferences")
    revision: Revision = (0, 0)
    trading: TradingSettings = TradingSettings()
    notifications: NotificationSettings = NotificationSettings()

    @property
    def risk_level(self) -> RiskLevel:
        return self.trading.risk_level

    def max_position_size_usd(self, tier: EffectiveTier) -> float:
        """The lower of the user's value and the tier's limit; a limit of 0 (no live orders) lowers nothing."""
        own = self.trading.max_position_size_usd
        return min(own, float(tier.limits.max_position_size_usd or own))

    def max_positions(self, tier: EffectiveTier) -> int:
        """The lower of the user's value and the tier's limit."""
        return min(self.trading.max_concurrent_positions, tier.limits.max_positions)
