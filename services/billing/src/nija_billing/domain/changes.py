"""How a subscription changes: by a payment, a cancellation, an override, and by what the vendor tells.

Each function returns the subscription as it is afterwards, with everything derived (`settled`). None of them asks
whether the change is allowed: that is decided before the vendor is called (`choices.py`).
"""

from __future__ import annotations

from typing import Any

from nija_billing.domain.orders import Arranged, Cancellation, ChangeLater, Purchase, Receipt, Renewal
from nija_billing.domain.periods import month_of
from nija_billing.domain.subscription import (
    CollectedBy,
    Override,
    Plan,
    Scheduled,
    Subscription,
    settled,
    without_plan,
)
from nija_billing.domain.vendor import HeardPayment, Invoice, Notice, Terms, VendorSubscription
from nija_common.values.tiers import Tier
from nija_common.values.times import DAY_MS

RETRIES_MS = (1 * DAY_MS, 2 * DAY_MS, 4 * DAY_MS)
"""After a failed renewal we try again so much later each time; the failure after the last ends the plan."""


def followed(
    subscription: Subscription, record: VendorSubscription, now_ms: int, collected_by: CollectedBy = "vendor"
) -> Subscription:
    """The subscription after news of one at the vendor.

    It follows its own, and takes up another one that has been paid for only where it has none. One that has ended stays
    ended whatever comes later.
    """
    mine = subscription.subscription_id == record.id
    if not mine and (subscription.plan is not None or record.first_paid_s is None):
        return subscription
    old = subscription.plan
    if old is None and record.ended_at_s is None and record.terms is None:
        return subscription
    moved = subscription.model_copy(update=_learned(subscription, record))
    if record.ended_at_s is not None:
        return _touched(without_plan(moved, max(moved.ended_at_ms or 0, record.ended_at_s * 1000)), now_ms)
    if record.terms is not None:
        terms = record.terms.terms
        plan = _on_terms(old or _begun(terms, collected_by), terms)
    elif old is not None:
        plan = old
    if record.payment is not None:
        plan = _paid_or_not(plan, record.payment)
    update = {"subscription_id": record.id, "ended_at_ms": None, "plan": plan}
    return _touched(moved.model_copy(update=update), now_ms)


def _learned(subscription: Subscription, record: VendorSubscription) -> dict[str, Any]:
    """What holds for the account whether the plan has ended or not: the trial is over once a payment has been made."""
    update: dict[str, Any] = {}
    if record.first_paid_s is not None:
        update["trial_ends_at_ms"] = min(subscription.trial_ends_at_ms, record.first_paid_s * 1000)
    if record.customer_id is not None:
        update["customer_id"] = record.customer_id
    if record.payment is not None and record.payment.invoice.credit_cents is not None:
        update["credit_cents"] = record.payment.invoice.credit_cents
    return update


def _touched(subscription: Subscription, now_ms: int) -> Subscription:
    return settled(subscription.model_copy(update={"since_ms": now_ms}), now_ms)


def _begun(terms: Terms, collected_by: CollectedBy) -> Plan:
    return Plan(
        tier=terms.tier,
        interval=terms.interval,
        price_cents=terms.price_cents,
        anchor_ms=terms.period_start_ms,
        period_start_ms=terms.period_start_ms,
        period_end_ms=terms.period_end_ms,
        paid_cents=0,
        collected_by=collected_by,
    )


def _on_terms(plan: Plan, terms: Terms) -> Plan:
    """A change that was scheduled stays so until its moment has come, or the plan has been cancelled."""
    coming = plan.next
    if coming is not None:
        there = (coming.tier, coming.interval) == (terms.tier, terms.interval)
        if there or coming.at_ms <= terms.period_start_ms or terms.cancel_at_period_end:
            coming = None
    return plan.model_copy(
        update={
            "tier": terms.tier,
            "interval": terms.interval,
            "price_cents": terms.price_cents,
            "anchor_ms": plan.anchor_ms if terms.period_start_ms == plan.period_start_ms else terms.period_start_ms,
            "period_start_ms": terms.period_start_ms,
            "period_end_ms": terms.period_end_ms,
            "cancel_at_period_end": terms.cancel_at_period_end,
            "next": coming,
            "schedule_id": plan.schedule_id if coming is not None else None,
        }
    )


def _paid_or_not(plan: Plan, payment: HeardPayment) -> Plan:
    if payment.paid:
        update = {"past_due": False, "paid_cents": payment.invoice.amount_cents, "failures": 0, "retry_at_ms": None}
    else:
        update = {"past_due": True, "paid_cents": 0}
    return plan.model_copy(update=update)


def paid_notice(attempt_id: str, order: Purchase | Renewal, receipt: Receipt) -> Notice:
    """A receipt of ours as news of the vendor's subscription."""
    terms = Terms(
        tier=order.tier,
        interval=order.interval,
        price_cents=order.amount_cents,
        period_start_ms=receipt.period_start_ms,
        period_end_ms=receipt.period_end_ms,
    )
    invoice = Invoice(id=receipt.invoice_id, amount_cents=receipt.paid_cents, credit_cents=receipt.credit_left_cents)
    return Notice(
        id=attempt_id,
        kind="paid",
        at_s=receipt.at_s,
        subscription_id=receipt.subscription_id,
        terms=terms,
        invoice=invoice,
        own=True,
    )


def bought(subscription: Subscription, record: VendorSubscription, receipt: Receipt, now_ms: int) -> Subscription:
    """A plan begins now. What ran before it, a coming change included, is over."""
    if subscription.plan is not None:
        plan = subscription.plan.model_copy(
            update={"next": None, "schedule_id": None, "collected_by": receipt.collected_by}
        )
        gone = {"plan": None} if subscription.subscription_id != receipt.subscription_id else {"plan": plan}
        subscription = subscription.model_copy(update=gone)
    subscription = subscription.model_copy(
        update={"subscription_id": receipt.subscription_id, "payment_method": receipt.payment_method}
    )
    return followed(subscription, record, now_ms, receipt.collected_by)


def renewed(subscription: Subscription, record: VendorSubscription, order: Renewal, now_ms: int) -> Subscription:
    """The coming period has been paid for: it runs."""
    moved = followed(subscription, record, now_ms)
    if moved.plan is None:
        return moved
    return settled(
        moved.model_copy(update={"plan": moved.plan.model_copy(update={"anchor_ms": order.anchor_ms})}), now_ms
    )


def renewal_failed(subscription: Subscription, now_ms: int) -> Subscription:
    """Suspended for payment, to be tried again; after the last try the plan ends."""
    plan = subscription.plan
    if plan is None:
        return subscription
    if plan.failures >= len(RETRIES_MS):
        return _touched(without_plan(subscription, now_ms), now_ms)
    update = {
        "past_due": True,
        "paid_cents": 0,
        "failures": plan.failures + 1,
        "retry_at_ms": now_ms + RETRIES_MS[plan.failures],
    }
    return _touched(subscription.model_copy(update={"plan": plan.model_copy(update=update)}), now_ms)


def arranged(subscription: Subscription, order: ChangeLater, answer: Arranged, now_ms: int) -> Subscription:
    """Another plan takes over at the period's end, or the running one goes on after all."""
    if subscription.plan is None:
        return subscription
    coming = None if order.withdraw else Scheduled(tier=order.tier, interval=order.interval, at_ms=order.period_end_ms)
    update = {"next": coming, "schedule_id": answer.schedule_id, "cancel_at_period_end": False}
    return _touched(subscription.model_copy(update={"plan": subscription.plan.model_copy(update=update)}), now_ms)


def cancelled(subscription: Subscription, order: Cancellation, now_ms: int) -> Subscription:
    """The plan has ended, or ends when its period does."""
    if subscription.plan is None:
        return subscription
    if order.immediately:
        return _touched(without_plan(subscription, now_ms), now_ms)
    update = {"cancel_at_period_end": True, "next": None, "schedule_id": None}
    return _touched(subscription.model_copy(update={"plan": subscription.plan.model_copy(update=update)}), now_ms)


def terms_notice(attempt_id: str, subscription_id: str, plan: Plan, at_s: int) -> Notice:
    """The terms that a plan is on after a change of ours, as news of the vendor's subscription."""
    terms = Terms(
        tier=plan.tier,
        interval=plan.interval,
        price_cents=plan.price_cents,
        period_start_ms=plan.period_start_ms,
        period_end_ms=plan.period_end_ms,
        cancel_at_period_end=plan.cancel_at_period_end,
    )
    return Notice(id=attempt_id, kind="updated", at_s=at_s, subscription_id=subscription_id, terms=terms, own=True)


def overridden(subscription: Subscription, tier: Tier, expires_at_ms: int | None, by: str, now_ms: int) -> Subscription:
    """An administrator's tier is in force from now; it ends the trial."""
    override = Override(tier=tier, from_ms=now_ms, expires_at_ms=expires_at_ms, by=by)
    update = {"override": override, "trial_ends_at_ms": min(subscription.trial_ends_at_ms, now_ms)}
    return _touched(subscription.model_copy(update=update), now_ms)


def lifted(subscription: Subscription, now_ms: int) -> Subscription:
    """Without an override; a trial that it ended does not come back."""
    return _touched(subscription.model_copy(update={"override": None}), now_ms)


def given_up(subscription: Subscription, override: Override, immediately: bool, now_ms: int) -> Subscription:
    """The user cancels what an administrator gave: now, or when its period ends (the month's, where it has no end)."""
    if immediately:
        return lifted(subscription, now_ms)
    expires_at_ms = override.expires_at_ms or month_of(now_ms).end_ms
    ending = override.model_copy(update={"given_up": True, "expires_at_ms": expires_at_ms})
    return _touched(subscription.model_copy(update={"override": ending}), now_ms)
