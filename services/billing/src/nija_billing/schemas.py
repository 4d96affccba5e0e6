"""Answers of `/subscription/*`, field for field as the API reference has them. Cents become dollars here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from nija_billing.domain.plans import Cents, Plan, plan_of
from nija_billing.handlers.subscriptions import Current
from nija_common.values.times import iso_or_none


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class CurrentAnswer(_Answer):
    """`GET /subscription/current`. What nobody has paid for is null; the amount of a period is then 0."""

    subscription_id: str | None
    tier: str
    interval: str | None
    status: str
    current_period_start: str | None
    current_period_end: str | None
    cancel_at_period_end: bool
    trial_active: bool
    trial_ends_at: str | None
    amount: float
    currency: str
    payment_method: None
    next_billing_date: str | None
    next_billing_amount: float | None


def plans_answer(plans: tuple[Plan, ...]) -> dict[str, object]:
    """`GET /subscription/plans`. `yearly_savings` and `popular` are there only where there is something to say."""
    return {"plans": [_plan(plan) for plan in plans]}


def _plan(plan: Plan) -> dict[str, object]:
    limits = plan.limits
    shown: dict[str, object] = {
        "tier": plan.tier.value,
        "name": plan.name,
        "price_monthly": _dollars(plan.monthly),
        "price_yearly": _dollars(plan.yearly),
    }
    if plan.yearly_savings:
        shown["yearly_savings"] = _dollars(plan.yearly_savings)
    if plan.popular:
        shown["popular"] = True
    shown["features"] = list(plan.features)
    shown["limits"] = {
        "max_position_size_usd": limits.max_position_size_usd,
        "max_positions": limits.max_positions,
        "max_daily_trades": limits.max_daily_trades,
        "api_calls_per_minute": limits.api_calls_per_minute,
    }
    return shown


def current_answer(current: Current) -> CurrentAnswer:
    """The subscription as its owner sees it."""
    subscription = current.subscription
    amount = 0 if subscription.interval is None else plan_of(subscription.tier).amount(subscription.interval)
    renews = subscription.interval is not None and not subscription.cancel_at_period_end
    return CurrentAnswer(
        subscription_id=subscription.subscription_id,
        tier=subscription.tier.value,
        interval=subscription.interval,
        status=subscription.status,
        current_period_start=iso_or_none(subscription.period_start_ms),
        current_period_end=iso_or_none(subscription.period_end_ms),
        cancel_at_period_end=subscription.cancel_at_period_end,
        trial_active=current.in_trial,
        trial_ends_at=iso_or_none(subscription.trial_ends_at_ms),
        amount=amount / 100,
        currency="USD",
        payment_method=None,
        next_billing_date=iso_or_none(subscription.period_end_ms) if renews else None,
        next_billing_amount=amount / 100 if renews else None,
    )


def _dollars(amount: Cents) -> int | float:
    """Whole dollars as a whole number, as the reference writes plans."""
    return amount // 100 if amount % 100 == 0 else amount / 100
