"""What a user does about their subscription: choose a plan, cancel.

Decided and priced in one unit of work, paid for outside, concluded in another (`attempts.py`). An attempt keeps its own
account of how far it has come, so with an idempotency key only the decision is remembered with the request.
"""

from __future__ import annotations

from dataclasses import dataclass

from nija_billing.deps import Deps
from nija_billing.domain import changes, choices
from nija_billing.domain.attempts import Attempt, By
from nija_billing.domain.choices import Choice
from nija_billing.domain.orders import ChangeLater, Purchase
from nija_billing.domain.plans import Cents, plan_of
from nija_billing.domain.proration import Quote
from nija_billing.domain.subscription import Subscription
from nija_billing.handlers import accounts, attempts
from nija_billing.handlers.audit import audited
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.subscriptions import Interval
from nija_common.storage.remembered import apart
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.tiers import Tier


@dataclass(frozen=True, slots=True)
class ChoosePlan:
    """A plan that a user wants, and how they pay."""

    registered_at_ms: int
    tier: Tier
    interval: Interval
    payment_method_id: str
    by: By


@dataclass(frozen=True, slots=True)
class Chosen:
    """What came of it. `quote` is what it cost now; nothing where the plan begins later."""

    subscription_id: str
    tier: Tier
    interval: Interval
    amount: Cents
    quote: Quote | None
    begins_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The wish to cancel."""

    registered_at_ms: int
    immediately: bool
    by: By


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Until when the plan goes on, and what is given back."""

    at_period_end: bool
    access_until_ms: int
    refund: Cents


async def choose_plan(deps: Deps, cmd: ChoosePlan) -> Chosen:
    """A plan now, or at the period's end.

    The same wish again, after an answer that never came, has the outcome of the first.
    Raises VALIDATION_ERROR for the plan that runs already, PAYMENT_FAILED with nothing changed, SERVICE_UNAVAILABLE.
    """
    with apart():
        unfinished = await attempts.clear(deps, cmd.by.user_id)
    if unfinished is not None and _same_wish(unfinished.attempt, cmd):
        return _chosen(unfinished, cmd)
    claim = await deps.work.claim(want_plan, deps, cmd, queue=cmd.by.user_id)
    with apart():
        settled = await attempts.settle(deps, claim.decided)
    return _chosen(settled, cmd)


async def want_plan(deps: Deps, cmd: ChoosePlan, uow: UnitOfWork) -> Attempt:
    """The first unit of work: the attempt, priced. Raises VALIDATION_ERROR for the plan that runs already."""
    now_ms = deps.clock.now_ms()
    subscription = await accounts.present(deps, cmd.by.user_id, cmd.registered_at_ms)
    when = choices.choice(subscription, cmd.tier, cmd.interval)
    plan, subscription_id = subscription.plan, subscription.subscription_id
    if when is Choice.SAME:
        raise NijaError(
            ErrorCode.VALIDATION_ERROR,
            f"You are on the {cmd.interval} {plan_of(cmd.tier).name} plan already. Choose another one.",
            {"tier": "the plan that runs already", "interval": "the plan that runs already"},
        )
    if when is Choice.NOW or plan is None or subscription_id is None:
        wanted = choices.purchase(subscription, cmd.tier, cmd.interval, cmd.payment_method_id, now_ms)
        return await attempts.begun(deps, subscription, wanted, cmd.by, uow)
    later = choices.change_later(subscription_id, plan, cmd.tier, cmd.interval)
    return await attempts.begun(deps, subscription, later, cmd.by, uow)


def _same_wish(attempt: Attempt, cmd: ChoosePlan) -> bool:
    order = attempt.order
    if isinstance(order, Purchase):
        wish = (order.tier, order.interval, order.payment_method_id)
        return wish == (cmd.tier, cmd.interval, cmd.payment_method_id)
    return isinstance(order, ChangeLater) and (order.tier, order.interval) == (cmd.tier, cmd.interval)


def _chosen(settled: attempts.Settled, cmd: ChoosePlan) -> Chosen:
    attempts.arranged_or_refused(settled)
    order, subscription = settled.attempt.order, settled.subscription
    now = isinstance(order, Purchase)
    return Chosen(
        subscription_id=subscription.subscription_id or "",
        tier=cmd.tier,
        interval=cmd.interval,
        amount=plan_of(cmd.tier).amount(cmd.interval),
        quote=order.quote if isinstance(order, Purchase) else None,
        begins_at_ms=None if now or subscription.plan is None else subscription.plan.period_end_ms,
    )


async def cancel(deps: Deps, cmd: Cancel) -> Cancelled:
    """Ends what the account pays for, or what an administrator gave it.

    Raises SUBSCRIPTION_REQUIRED where there is neither, SERVICE_UNAVAILABLE.
    """
    with apart():
        await attempts.clear(deps, cmd.by.user_id)
    wanted = await deps.work.run(_want_end, deps, cmd, queue=cmd.by.user_id, published=True)
    if isinstance(wanted, Cancelled):
        return wanted
    with apart():
        settled = await attempts.settle(deps, wanted)
    result = attempts.arranged_or_refused(settled)
    refund = result.refunded_cents if result.kind == "arranged" else 0
    plan = settled.subscription.plan
    if plan is not None:
        return Cancelled(at_period_end=True, access_until_ms=plan.period_end_ms, refund=refund)
    ended_at_ms = settled.subscription.ended_at_ms or deps.clock.now_ms()
    return Cancelled(at_period_end=False, access_until_ms=ended_at_ms, refund=refund)


async def _want_end(deps: Deps, cmd: Cancel, uow: UnitOfWork) -> Attempt | Cancelled:
    now_ms = deps.clock.now_ms()
    subscription = await accounts.present(deps, cmd.by.user_id, cmd.registered_at_ms)
    plan, subscription_id = subscription.plan, subscription.subscription_id
    if plan is not None and subscription_id is not None:
        if plan.cancel_at_period_end and not cmd.immediately:
            return Cancelled(at_period_end=True, access_until_ms=plan.period_end_ms, refund=0)
        order = choices.cancellation(subscription_id, plan, cmd.immediately, now_ms)
        return await attempts.begun(deps, subscription, order, cmd.by, uow)
    if subscription.override is None:
        raise NijaError(ErrorCode.SUBSCRIPTION_REQUIRED, "There is no subscription to cancel.")
    return await _give_up(deps, cmd, subscription, now_ms, uow)


async def _give_up(deps: Deps, cmd: Cancel, subscription: Subscription, now_ms: int, uow: UnitOfWork) -> Cancelled:
    """An administrator's tier was never paid for: nothing is given back, and no vendor has to be asked."""
    override = subscription.override
    assert override is not None
    stored = await deps.subscriptions.of(subscription.id) or subscription
    after = changes.given_up(subscription, override, cmd.immediately, now_ms)
    told = {"immediately": cmd.immediately, "reason": cmd.by.reason, "override": True}
    uow.emit(audited(subscription.id, "subscription_cancelled", cmd.by, now_ms, **told))
    await accounts.leave(deps, stored, after, cmd.by, uow)
    ends_at_ms = now_ms if after.override is None else (after.override.expires_at_ms or now_ms)
    return Cancelled(at_period_end=after.override is not None, access_until_ms=ends_at_ms, refund=0)
