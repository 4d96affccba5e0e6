"""What an attempt's outcome makes of the account: applied in the same unit of work that finishes the attempt."""

from __future__ import annotations

from nija_billing.deps import Deps
from nija_billing.domain import changes
from nija_billing.domain.attempts import Attempt
from nija_billing.domain.orders import (
    Arranged,
    Cancellation,
    ChangeLater,
    Declined,
    Purchase,
    Receipt,
    Renewal,
    Result,
)
from nija_billing.domain.subscription import Subscription, at_time
from nija_billing.domain.vendor import Invoice, Notice
from nija_billing.handlers import accounts
from nija_billing.handlers.audit import audited
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import derived_id


async def apply_outcome(deps: Deps, attempt: Attempt, result: Result, uow: UnitOfWork) -> Subscription:
    """The account afterwards, saved and told."""
    now_ms = deps.clock.now_ms()
    before = await deps.subscriptions.of(attempt.user_id)
    if before is None:
        raise LookupError(f"attempt {attempt.id} of an account without a subscription")
    known = before if before.customer_id else before.model_copy(update={"customer_id": attempt.customer_id})
    current = at_time(known, now_ms)
    order = attempt.order
    if isinstance(result, Declined):
        after = await _declined(deps, attempt, current, result, uow)
    elif isinstance(result, Receipt) and isinstance(order, Purchase):
        after = await _bought(deps, attempt, current, order, result, uow)
    elif isinstance(result, Receipt) and isinstance(order, Renewal):
        after = await _renewed(deps, attempt, current, order, result, uow)
    elif isinstance(result, Arranged) and isinstance(order, ChangeLater):
        after = await _arranged(deps, attempt, current, order, result, uow)
    elif isinstance(result, Arranged) and isinstance(order, Cancellation):
        after = await _cancelled(deps, attempt, current, order, result, uow)
    else:
        raise TypeError(f"a {result.kind} for a {order.kind}")
    await accounts.leave(deps, before, after, attempt.by, uow)
    return after


async def _bought(
    deps: Deps, attempt: Attempt, current: Subscription, order: Purchase, receipt: Receipt, uow: UnitOfWork
) -> Subscription:
    notice = changes.paid_notice(attempt.id, order, receipt)
    record = await accounts.hear(deps, attempt.user_id, notice, uow)
    await _tell(deps, attempt, order, notice, uow)
    uow.emit(
        audited(
            attempt.user_id,
            "subscription_upgraded",
            attempt.by,
            deps.clock.now_ms(),
            tier=order.tier.value,
            interval=order.interval,
            paid_cents=receipt.paid_cents,
            invoice_id=receipt.invoice_id,
        )
    )
    return changes.bought(current, record, receipt, deps.clock.now_ms())


async def _renewed(
    deps: Deps, attempt: Attempt, current: Subscription, order: Renewal, receipt: Receipt, uow: UnitOfWork
) -> Subscription:
    notice = changes.paid_notice(attempt.id, order, receipt)
    record = await accounts.hear(deps, attempt.user_id, notice, uow)
    await _tell(deps, attempt, order, notice, uow)
    return changes.renewed(current, record, order, deps.clock.now_ms())


async def _tell(deps: Deps, attempt: Attempt, order: Purchase | Renewal, notice: Notice, uow: UnitOfWork) -> None:
    assert notice.invoice is not None
    user_id, subscription_id = attempt.user_id, notice.subscription_id
    await accounts.tell_paid(deps, user_id, subscription_id, order.tier, order.interval, notice.invoice, uow)


async def _declined(
    deps: Deps, attempt: Attempt, current: Subscription, declined: Declined, uow: UnitOfWork
) -> Subscription:
    """A purchase that was declined changes nothing; a renewal suspends for payment."""
    now_ms, order = deps.clock.now_ms(), attempt.order
    uow.emit(audited(attempt.user_id, "payment_declined", attempt.by, now_ms, order=order.kind, reason=declined.code))
    if not isinstance(order, Renewal):
        return current
    invoice = Invoice(
        id=derived_id("in", order.subscription_id, str(order.period_start_ms)),
        amount_cents=order.quote.due,
        reason=declined.reason,
    )
    notice = Notice(
        id=attempt.id,
        kind="failed",
        at_s=now_ms // 1000,
        subscription_id=order.subscription_id,
        invoice=invoice,
        own=True,
    )
    await accounts.hear(deps, attempt.user_id, notice, uow)
    user_id, subscription_id = attempt.user_id, order.subscription_id
    await accounts.tell_failed(deps, user_id, subscription_id, order.tier, order.interval, invoice, uow)
    return changes.renewal_failed(current, now_ms)


async def _arranged(
    deps: Deps, attempt: Attempt, current: Subscription, order: ChangeLater, answer: Arranged, uow: UnitOfWork
) -> Subscription:
    now_ms = deps.clock.now_ms()
    after = changes.arranged(current, order, answer, now_ms)
    event_type = "subscription_change_withdrawn" if order.withdraw else "subscription_change_scheduled"
    told = {"tier": order.tier.value, "interval": order.interval}
    uow.emit(audited(attempt.user_id, event_type, attempt.by, now_ms, **told))
    await _hear_terms(deps, attempt, order.subscription_id, after, answer.at_s, uow)
    return after


async def _cancelled(
    deps: Deps, attempt: Attempt, current: Subscription, order: Cancellation, answer: Arranged, uow: UnitOfWork
) -> Subscription:
    now_ms = deps.clock.now_ms()
    after = changes.cancelled(current, order, now_ms)
    by, user_id = attempt.by, attempt.user_id
    told = {"immediately": order.immediately, "reason": by.reason}
    uow.emit(audited(user_id, "subscription_cancelled", by, now_ms, **told))
    if answer.refunded_cents:
        uow.emit(audited(user_id, "subscription_refunded", by, now_ms, amount_cents=answer.refunded_cents))
    if not order.immediately:
        await _hear_terms(deps, attempt, order.subscription_id, after, answer.at_s, uow)
    return after


async def _hear_terms(
    deps: Deps, attempt: Attempt, subscription_id: str, after: Subscription, at_s: int, uow: UnitOfWork
) -> None:
    """So that what the vendor had said before our change does not undo it when it arrives late."""
    if after.plan is not None and after.subscription_id == subscription_id:
        notice = changes.terms_notice(attempt.id, subscription_id, after.plan, at_s)
        await accounts.hear(deps, attempt.user_id, notice, uow)
