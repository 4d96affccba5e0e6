"""Bodies and answers of `/subscription/*` and of Stripe's webhook, as the API reference has them. Cents become dollars here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nija_billing.domain.plans import Cents, Plan
from nija_billing.domain.subscription import Subscription, in_trial
from nija_billing.domain.usage import Report
from nija_billing.handlers.purchases import Cancelled, Chosen
from nija_common.values.times import iso, iso_or_none


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanLimits(_Answer):
    """What a plan allows."""

    max_position_size_usd: int
    max_positions: int
    max_daily_trades: int
    api_calls_per_minute: int


class PlanView(_Answer):
    """One plan. `yearly_savings` and `popular` are there only where there is something to say."""

    tier: str
    name: str
    price_monthly: int | float
    price_yearly: int | float
    yearly_savings: int | float | None = None
    popular: bool | None = None
    features: list[str]
    limits: PlanLimits


class PlansAnswer(_Answer):
    """`GET /subscription/plans`."""

    plans: list[PlanView]


class PaymentMethodView(_Answer):
    """How an account pays, as far as it may be shown."""

    type: str
    last4: str | None
    brand: str | None
    exp_month: int | None
    exp_year: int | None


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
    payment_method: PaymentMethodView | None
    next_billing_date: str | None
    next_billing_amount: float | None


class UpgradeBody(_Body):
    """`POST /subscription/upgrade`."""

    tier: Literal["basic", "pro", "enterprise"]
    interval: Literal["monthly", "yearly"]
    payment_method_id: str = Field(pattern=r"^pm_[A-Za-z0-9_]{1,120}$")


class UpgradeAnswer(_Answer):
    """What came of it."""

    subscription_id: str
    message: str
    tier: str
    interval: str
    amount: float
    proration_credit: float
    amount_due_now: float
    effective_immediately: bool


class CancelBody(_Body):
    """`POST /subscription/cancel`."""

    cancel_immediately: bool = False
    reason: str | None = Field(None, max_length=200)
    feedback: str | None = Field(None, max_length=2000)


class CancelAnswer(_Answer):
    """Until when the plan goes on."""

    message: str
    cancel_at_period_end: bool
    access_until: str
    refund_amount: float


class UsageView(_Answer):
    """Counters beside their limits; a limit of null is none."""

    api_calls: int
    api_calls_limit: int
    trades_executed: int
    trades_limit: int
    positions_opened: int
    max_concurrent_positions: int
    max_concurrent_positions_limit: int
    brokers_connected: int
    brokers_limit: int | None


class UsageAnswer(_Answer):
    """`GET /subscription/usage`."""

    period_start: str
    period_end: str
    usage: UsageView
    overage: bool
    warnings: list[str]


class StripeEvent(BaseModel):
    """An event as Stripe sends it, which has more fields than these."""

    # For the API document alone: the signature is on the body's bytes, so the handler reads those.
    id: str = Field(max_length=255)
    type: str
    created: int = Field(description="Seconds since 1970.")
    data: dict[str, Any]


class ReceivedAnswer(_Answer):
    """`POST /webhooks/stripe`."""

    received: bool


def plans_answer(plans: tuple[Plan, ...]) -> PlansAnswer:
    """All plans."""
    return PlansAnswer(plans=[_plan(plan) for plan in plans])


def _plan(plan: Plan) -> PlanView:
    limits = plan.limits
    return PlanView(
        tier=plan.tier.value,
        name=plan.name,
        price_monthly=_dollars(plan.monthly),
        price_yearly=_dollars(plan.yearly),
        yearly_savings=_dollars(plan.yearly_savings) if plan.yearly_savings else None,
        popular=True if plan.popular else None,
        features=list(plan.features),
        limits=PlanLimits(
            max_position_size_usd=limits.max_position_size_usd,
            max_positions=limits.max_positions,
            max_daily_trades=limits.max_daily_trades,
            api_calls_per_minute=limits.api_calls_per_minute,
        ),
    )


def current_answer(subscription: Subscription) -> CurrentAnswer:
    """The subscription as its owner sees it."""
    plan, method = subscription.plan, subscription.payment_method
    renews = None if plan is None or plan.cancel_at_period_end else plan
    billed_at_ms = None if renews is None else (renews.retry_at_ms or renews.period_end_ms)
    return CurrentAnswer(
        subscription_id=subscription.subscription_id,
        tier=subscription.tier.value,
        interval=None if plan is None else plan.interval,
        status=subscription.status,
        current_period_start=None if plan is None else iso(plan.period_start_ms),
        current_period_end=None if plan is None else iso(plan.period_end_ms),
        cancel_at_period_end=subscription.cancels_at_period_end,
        trial_active=in_trial(subscription),
        trial_ends_at=iso(subscription.trial_ends_at_ms),
        amount=0.0 if plan is None else plan.price_cents / 100,
        currency="USD",
        payment_method=None if method is None else PaymentMethodView.model_validate(method.model_dump(exclude={"id"})),
        next_billing_date=iso_or_none(billed_at_ms),
        next_billing_amount=None if renews is None else max(0, renews.next_price - subscription.credit_cents) / 100,
    )


def upgrade_answer(chosen: Chosen) -> UpgradeAnswer:
    """A plan that has begun, or is to begin later."""
    quote = chosen.quote
    message = "Subscription upgraded successfully"
    if chosen.begins_at_ms is not None:
        message = f"The {chosen.tier.value} plan, {chosen.interval}, begins at the end of the period."
    return UpgradeAnswer(
        subscription_id=chosen.subscription_id,
        message=message,
        tier=chosen.tier.value,
        interval=chosen.interval,
        amount=chosen.amount / 100,
        proration_credit=0.0 if quote is None else quote.proration_credit / 100,
        amount_due_now=0.0 if quote is None else quote.due / 100,
        effective_immediately=quote is not None,
    )


def cancel_answer(cancelled: Cancelled) -> CancelAnswer:
    """A plan that has ended, or runs out."""
    return CancelAnswer(
        message="Subscription cancelled",
        cancel_at_period_end=cancelled.at_period_end,
        access_until=iso(cancelled.access_until_ms),
        refund_amount=cancelled.refund / 100,
    )


def usage_answer(report: Report) -> UsageAnswer:
    """The running period's counters."""
    usage = report.usage
    return UsageAnswer(
        period_start=iso(usage.period_start_ms),
        period_end=iso(usage.period_end_ms),
        usage=UsageView(
            api_calls=usage.api_calls,
            api_calls_limit=report.calls_limit,
            trades_executed=usage.trades,
            trades_limit=report.trades_limit,
            positions_opened=usage.positions_opened,
            max_concurrent_positions=usage.max_open,
            max_concurrent_positions_limit=report.positions_limit,
            brokers_connected=report.brokers,
            brokers_limit=report.brokers_limit,
        ),
        overage=report.overage,
        warnings=list(report.warnings),
    )


def _dollars(amount: Cents) -> int | float:
    """Whole dollars as a whole number, as the reference writes plans."""
    return amount // 100 if amount % 100 == 0 else amount / 100
