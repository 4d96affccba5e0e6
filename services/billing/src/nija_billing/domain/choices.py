"""What the choice of a plan means for an account: now or later, at which price; and what cancelling gives back.

Pure decisions on a subscription as it is at that moment (`at_time`). They become orders to the vendor of payments; what
those change is in `changes.py`.
"""

from __future__ import annotations

from enum import StrEnum

from nija_billing.domain.orders import Cancellation, ChangeLater, Purchase, Renewal
from nija_billing.domain.periods import period_from, whole_second
from nija_billing.domain.plans import plan_of
from nija_billing.domain.proration import Quote, refund, unused
from nija_billing.domain.subscription import Plan, Subscription
from nija_common.events.subscriptions import Interval
from nija_common.values.tiers import Tier


class Choice(StrEnum):
    """When a chosen plan begins."""

    NOW = "now"
    LATER = "later"
    SAME = "same"
    """It is the running plan, and nothing else is coming: there is nothing to change."""
    GO_ON = "go on"
    """It is the running plan, and a coming change or cancellation is withdrawn."""


def choice(subscription: Subscription, tier: Tier, interval: Interval) -> Choice:
    """A higher tier, or a year instead of a month of the same one, begins now; anything else at the period's end.

    Where nothing is paid for, or the last payment failed, there is no running period: any plan begins now.
    """
    plan = subscription.plan
    if plan is None or plan.past_due:
        return Choice.NOW
    if (tier, interval) == (plan.tier, plan.interval):
        return Choice.GO_ON if plan.next is not None or plan.cancel_at_period_end else Choice.SAME
    longer = tier is plan.tier and (plan.interval, interval) == ("monthly", "yearly")
    return Choice.NOW if tier.rank > plan.tier.rank or longer else Choice.LATER


def quote(subscription: Subscription, tier: Tier, interval: Interval, now_ms: int) -> Quote:
    """What the plan costs now, with the unused part of the running period and earlier credit taken off."""
    plan = subscription.plan
    left = 0 if plan is None or plan.past_due else unused(plan.price_cents, plan.period, now_ms)
    return Quote(plan_of(tier).amount(interval), left, subscription.credit_cents)


def purchase(
    subscription: Subscription, tier: Tier, interval: Interval, payment_method_id: str, now_ms: int
) -> Purchase:
    """The order for a plan that begins now."""
    plan = subscription.plan
    failed = plan is not None and plan.past_due
    priced = quote(subscription, tier, interval, now_ms)
    start_ms = whole_second(now_ms)
    return Purchase(
        tier=tier,
        interval=interval,
        payment_method_id=payment_method_id,
        amount_cents=priced.amount,
        unused_cents=priced.unused,
        balance_cents=priced.balance,
        subscription_id=None if failed else subscription.subscription_id,
        replaces=subscription.subscription_id if failed else None,
        schedule_id=None if plan is None else plan.schedule_id,
        at_ms=now_ms,
        period_start_ms=start_ms,
        period_end_ms=period_from(start_ms, start_ms, interval).end_ms,
    )


def change_later(subscription_id: str, plan: Plan, tier: Tier, interval: Interval) -> ChangeLater:
    """The order for another plan at the period's end; for the running plan itself: to let it go on."""
    return ChangeLater(
        subscription_id=subscription_id,
        schedule_id=plan.schedule_id,
        tier=tier,
        interval=interval,
        period_start_ms=plan.period_start_ms,
        period_end_ms=plan.period_end_ms,
        withdraw=(tier, interval) == (plan.tier, plan.interval),
    )


def cancellation(subscription_id: str, plan: Plan, immediately: bool, now_ms: int) -> Cancellation:
    """The order to end a plan. One whose payment failed has no period to run out: it ends at once."""
    at_once = immediately or plan.past_due or plan.period_end_ms <= now_ms
    return Cancellation(
        subscription_id=subscription_id,
        schedule_id=plan.schedule_id,
        immediately=at_once,
        refund_cents=refund(plan.price_cents, plan.paid_cents, plan.period, now_ms) if at_once else 0,
        at_ms=now_ms,
        period_end_ms=plan.period_end_ms,
    )


def renewal(subscription_id: str, subscription: Subscription, plan: Plan, method_id: str, now_ms: int) -> Renewal:
    """The order for the coming period, on the plan that was scheduled for it.

    A period that would be over already (the platform was down for longer) is not charged for: a new one begins now.
    """
    tier, interval, anchor_ms, start_ms = plan.tier, plan.interval, plan.anchor_ms, plan.period_end_ms
    if plan.next is not None:
        tier, interval = plan.next.tier, plan.next.interval
        anchor_ms = anchor_ms if interval == plan.interval else start_ms
    if period_from(anchor_ms, start_ms, interval).end_ms <= now_ms:
        anchor_ms = start_ms = whole_second(now_ms)
    return Renewal(
        subscription_id=subscription_id,
        tier=tier,
        interval=interval,
        payment_method_id=method_id,
        amount_cents=plan.next_price,
        balance_cents=subscription.credit_cents,
        at_ms=now_ms,
        anchor_ms=anchor_ms,
        period_start_ms=start_ms,
        period_end_ms=period_from(anchor_ms, start_ms, interval).end_ms,
    )
