"""One account's subscription: what was given and paid, and the tier in force that follows from it.

The facts are trial, override and plan. Everything that others go by (`effective`, `status`, `tier`, when to look again)
is derived from them by `settled`, and stored beside them. How facts change: `changes.py`. Prices: `plans.py`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from nija_billing.domain.periods import Period
from nija_billing.domain.plans import Cents, plan_of
from nija_common.events.subscriptions import Interval, SubscriptionSnapshot, SubscriptionStatus
from nija_common.values.document import Collection, Document, Index
from nija_common.values.tiers import EffectiveTier, Tier, effective, registration_defaults

CollectedBy = Literal["platform", "vendor"]


class Part(BaseModel):
    """A value inside a document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PaymentMethod(Part):
    """How the account pays, as far as it may be shown."""

    id: str
    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None


class Scheduled(Part):
    """The plan that takes over when the period ends."""

    tier: Tier
    interval: Interval
    at_ms: int


class Plan(Part):
    """What is paid for. `paid_cents` is the money taken for the running period, the most that it can give back.

    `collected_by`: whether renewals are charged by us, or by the vendor, who tells of them. `anchor_ms` gives the
    rhythm of the periods. `past_due`: the last payment failed; `failures` in a row, and when we try again.
    """

    tier: Tier
    interval: Interval
    price_cents: Cents
    anchor_ms: int
    period_start_ms: int
    period_end_ms: int
    paid_cents: Cents
    collected_by: CollectedBy
    cancel_at_period_end: bool = False
    next: Scheduled | None = None
    schedule_id: str | None = None
    past_due: bool = False
    failures: int = 0
    retry_at_ms: int | None = None

    @property
    def period(self) -> Period:
        return Period(self.period_start_ms, self.period_end_ms)

    @property
    def next_price(self) -> Cents:
        """What the coming period costs."""
        return self.price_cents if self.next is None else plan_of(self.next.tier).amount(self.next.interval)

    @property
    def charge_at_ms(self) -> int | None:
        """When we have to charge next; None where nothing is to be charged, or the vendor does it."""
        if self.collected_by == "vendor" or self.cancel_at_period_end:
            return None
        return self.retry_at_ms if self.past_due else self.period_end_ms


class Override(Part):
    """A tier that an administrator has given. `given_up`: the user has cancelled it, so it ends at `expires_at_ms`."""

    tier: Tier
    from_ms: int
    expires_at_ms: int | None
    by: str
    given_up: bool = False

    def holds(self, at_ms: int) -> bool:
        """Whether it is in force at that moment."""
        return self.from_ms <= at_ms and (self.expires_at_ms is None or at_ms < self.expires_at_ms)


class Subscription(Document):
    """The subscription of one account; its id is the user's.

    `since_ms`: when somebody last changed it; of earlier stretches nothing is told, so that a reader whose clock is
    behind takes the newest. `next_change_ms`: when time has something to do here; the loop looks for those due.
    """

    collection: ClassVar[Collection] = Collection(
        "subscriptions",
        (
            Index("by_next_change", ("next_change_ms",)),
            Index("by_subscription", ("subscription_id",)),
            Index("by_customer", ("customer_id",)),
        ),
    )

    registered_at_ms: int
    trial_ends_at_ms: int
    since_ms: int
    subscription_id: str | None = None
    customer_id: str | None = None
    plan: Plan | None = None
    override: Override | None = None
    payment_method: PaymentMethod | None = None
    credit_cents: Cents = 0
    ended_at_ms: int | None = None
    tier: Tier = Tier.FREE
    status: SubscriptionStatus = "trialing"
    effective: tuple[EffectiveTier, ...] = ()
    next_change_ms: int | None = None

    @property
    def cancels_at_period_end(self) -> bool:
        """Whether what the account lives on has been cancelled and only runs out."""
        if self.plan is not None:
            return self.plan.cancel_at_period_end
        return self.override is not None and self.override.given_up

    def snapshot(self) -> SubscriptionSnapshot:
        """What the other services are told."""
        plan = self.plan
        return SubscriptionSnapshot(
            user_id=self.id,
            subscription_id=self.subscription_id,
            tier=self.tier,
            interval=None if plan is None else plan.interval,
            status=self.status,
            trial_ends_at_ms=self.trial_ends_at_ms,
            period_start_ms=None if plan is None else plan.period_start_ms,
            period_end_ms=None if plan is None else plan.period_end_ms,
            cancel_at_period_end=self.cancels_at_period_end,
            effective=self.effective,
            amount_cents=None if plan is None else plan.price_cents,
            ended_at_ms=None if plan is not None else self.ended_at_ms,
        )


def new_subscription(user_id: str, registered_at_ms: int, now_ms: int) -> Subscription:
    """The subscription of an account nobody has paid for: Pro for 14 days from registration, then Free.

    `now_ms` matters where the account is met late (a rebuilt database): a trial that is over is not begun again.
    """
    ends_at_ms = registration_defaults(registered_at_ms)[-1].from_ms
    subscription = Subscription(
        id=user_id, registered_at_ms=registered_at_ms, trial_ends_at_ms=ends_at_ms, since_ms=registered_at_ms
    )
    return settled(subscription, now_ms)


def settled(subscription: Subscription, now_ms: int) -> Subscription:
    """The same facts with everything that follows from them at that moment."""
    stretches = _timeline(subscription)
    draft = subscription.model_copy(update={"effective": stretches})
    update = {"tier": _tier(draft, now_ms), "status": _status(draft, now_ms), "next_change_ms": _next(draft, now_ms)}
    return draft.model_copy(update=update)


def _timeline(subscription: Subscription) -> tuple[EffectiveTier, ...]:
    """The stretches from `since_ms` on, known future changes included; equal neighbours are one."""
    plan, override = subscription.plan, subscription.override
    moments = {subscription.since_ms, subscription.trial_ends_at_ms}
    if override is not None:
        moments.add(override.from_ms)
        if override.expires_at_ms is not None:
            moments.add(override.expires_at_ms)
    if plan is not None:
        moments.add(plan.period_end_ms)
    stretches: list[EffectiveTier] = []
    for moment in sorted(m for m in moments if m >= subscription.since_ms):
        tier, live = _in_force(subscription, moment)
        if not stretches or (stretches[-1].tier, stretches[-1].live) != (tier, live):
            stretches.append(effective(tier, from_ms=moment, live=live))
    return tuple(stretches)


def _in_force(subscription: Subscription, at_ms: int) -> tuple[Tier, bool]:
    """Override, else plan, else trial, else free; and whether live trading may rest on it."""
    override, plan = subscription.override, subscription.plan
    if override is not None and override.holds(at_ms):
        return override.tier, override.tier is not Tier.FREE
    if plan is not None and (at_ms < plan.period_end_ms or not plan.cancel_at_period_end):
        takes_over = plan.next is not None and at_ms >= plan.next.at_ms and not plan.past_due
        return (plan.next.tier if plan.next is not None and takes_over else plan.tier), True
    if at_ms < subscription.trial_ends_at_ms:
        return Tier.PRO, False
    return Tier.FREE, False


def _tier(subscription: Subscription, now_ms: int) -> Tier:
    """The stored tier: the override's while it lasts, else the paid one; free in a trial."""
    if subscription.override is not None and subscription.override.holds(now_ms):
        return subscription.override.tier
    return Tier.FREE if subscription.plan is None else subscription.plan.tier


def _status(subscription: Subscription, now_ms: int) -> SubscriptionStatus:
    """An override in force is active whatever the plan below it: its tier rests on no payment."""
    if subscription.override is not None and subscription.override.holds(now_ms):
        return "active"
    if subscription.plan is not None:
        return "past_due" if subscription.plan.past_due else "active"
    if subscription.ended_at_ms is not None:
        return "cancelled"
    return "trialing" if now_ms < subscription.trial_ends_at_ms else "none"


def _next(subscription: Subscription, now_ms: int) -> int | None:
    """When time changes something: a stretch begins, an override runs out, a charge is due (also one long due)."""
    plan, override = subscription.plan, subscription.override
    moments = [stretch.from_ms for stretch in subscription.effective]
    if override is not None and override.expires_at_ms is not None:
        moments.append(override.expires_at_ms)
    if plan is not None and plan.cancel_at_period_end:
        moments.append(plan.period_end_ms)
    coming = [moment for moment in moments if moment > now_ms]
    if plan is not None and plan.charge_at_ms is not None:
        coming.append(plan.charge_at_ms)
    return min(coming, default=None)


def at_time(subscription: Subscription, now_ms: int) -> Subscription:
    """The subscription as time alone has made it: overrides and cancelled plans that have run out are gone.

    A charge that is due stays due: it needs a payment (`charge_due`).
    """
    moved = subscription
    if moved.override is not None and not moved.override.holds(now_ms):
        moved = moved.model_copy(update={"override": None})
    plan = moved.plan
    if plan is not None and plan.cancel_at_period_end and plan.period_end_ms <= now_ms:
        moved = without_plan(moved, plan.period_end_ms)
    return settled(moved, now_ms)


def without_plan(subscription: Subscription, at_ms: int) -> Subscription:
    """The plan has ended at that moment; credit and payment method stay."""
    return subscription.model_copy(update={"plan": None, "subscription_id": None, "ended_at_ms": at_ms})


def charge_due(subscription: Subscription, now_ms: int) -> bool:
    """Whether a renewal has to be charged by us now."""
    plan = subscription.plan
    return plan is not None and plan.charge_at_ms is not None and plan.charge_at_ms <= now_ms


def in_trial(subscription: Subscription) -> bool:
    """Whether the trial is what the account lives on."""
    return subscription.status == "trialing"
