"""One account's subscription: the stretches of time with the tier in force, and what follows from them.

`effective` is the truth; `status` and the moment of the next change are derived from it and the time. Not
here: prices (`plans.py`), and how long a payment lasts, which belongs to whoever takes payments.
"""

from __future__ import annotations

from typing import ClassVar

from nija_common.events.subscriptions import Interval, SubscriptionSnapshot, SubscriptionStatus
from nija_common.values.document import Collection, Document, Index
from nija_common.values.tiers import EffectiveTier, Tier, registration_defaults


class Subscription(Document):
    """The subscription of one account; its id is the user's.

    `tier` is the stored one (`free` in a trial). `next_change_ms` is when the next entry of `effective` begins,
    null when none is left: the loop looks for those that are due.
    """

    collection: ClassVar[Collection] = Collection("subscriptions", (Index("by_next_change", ("next_change_ms",)),))

    subscription_id: str | None
    tier: Tier
    interval: Interval | None
    status: SubscriptionStatus
    trial_ends_at_ms: int | None
    period_start_ms: int | None
    period_end_ms: int | None
    cancel_at_period_end: bool
    effective: tuple[EffectiveTier, ...]
    next_change_ms: int | None

    def snapshot(self) -> SubscriptionSnapshot:
        """What the other services are told."""
        return SubscriptionSnapshot(
            user_id=self.id,
            subscription_id=self.subscription_id,
            tier=self.tier,
            interval=self.interval,
            status=self.status,
            trial_ends_at_ms=self.trial_ends_at_ms,
            period_start_ms=self.period_start_ms,
            period_end_ms=self.period_end_ms,
            cancel_at_period_end=self.cancel_at_period_end,
            effective=self.effective,
        )

    def in_trial(self, now_ms: int) -> bool:
        """Whether the trial is what the account lives on now."""
        return self.tier is Tier.FREE and self.trial_ends_at_ms is not None and now_ms < self.trial_ends_at_ms


def new_subscription(user_id: str, registered_at_ms: int, now_ms: int) -> Subscription:
    """The subscription of an account nobody has paid for: Pro for 14 days from registration, then Free.

    `now_ms` matters where the account is met late (a rebuilt database): a trial that is over is not begun again.
    """
    stretches = registration_defaults(registered_at_ms)
    subscription = Subscription(
        id=user_id,
        subscription_id=None,
        tier=Tier.FREE,
        interval=None,
        status="trialing",
        trial_ends_at_ms=stretches[-1].from_ms,
        period_start_ms=None,
        period_end_ms=None,
        cancel_at_period_end=False,
        effective=stretches,
        next_change_ms=None,
    )
    return at_time(subscription, now_ms)


def at_time(subscription: Subscription, now_ms: int) -> Subscription:
    """The subscription as the time alone has made it: status, and when to look again."""
    status: SubscriptionStatus = subscription.status
    if status == "trialing" and not subscription.in_trial(now_ms):
        status = "none"
    coming = [stretch.from_ms for stretch in subscription.effective if stretch.from_ms > now_ms]
    return subscription.model_copy(update={"status": status, "next_change_ms": min(coming, default=None)})
