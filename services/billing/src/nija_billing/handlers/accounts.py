"""The account as every step finds and leaves it: moved on by time, its changes saved and told, once."""

from __future__ import annotations

from nija_billing.deps import Deps
from nija_billing.domain.attempts import By
from nija_billing.domain.subscription import Subscription, at_time, new_subscription
from nija_billing.domain.vendor import Invoice, Notice, VendorSubscription, heard
from nija_billing.handlers.audit import audited
from nija_billing.store import VendorInvoice
from nija_common.errors import unavailable
from nija_common.events.payments import InvoicePaid, InvoicePaymentFailed
from nija_common.events.subscriptions import Interval
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.tiers import DEFAULTS_HOLD_MS, Tier

CURRENCY = "USD"


async def present(deps: Deps, user_id: str, registered_at_ms: int) -> Subscription:
    """The account's subscription now. One that has not arrived here yet is what every new account has.

    Raises SERVICE_UNAVAILABLE for an unknown account that is not new: never a guess.
    """
    now_ms = deps.clock.now_ms()
    stored = await deps.subscriptions.of(user_id)
    if stored is not None:
        return at_time(stored, now_ms)
    if now_ms - registered_at_ms >= DEFAULTS_HOLD_MS:
        raise unavailable("Your subscription cannot be read right now. Try again.")
    return new_subscription(user_id, registered_at_ms, now_ms)


async def leave(deps: Deps, before: Subscription, after: Subscription, by: By, uow: UnitOfWork) -> None:
    """Saves what a step has made of an account, and tells whoever goes by it. `before` is as it is stored.

    A plan that is gone is closed at the vendor's record too, so that nothing late revives it.
    """
    if after == before and before.version:
        return
    now_ms = deps.clock.now_ms()
    uow.save(after)
    if before.version == 0 or after.snapshot() != before.snapshot():
        uow.emit(after.snapshot())
    if after.status == "past_due" and before.status != "past_due":
        uow.emit(audited(after.id, "subscription_suspended", by, now_ms, tier=after.tier.value))
    gone = before.subscription_id
    if gone is not None and gone != after.subscription_id:
        record = await record_of(deps, gone, after.id)
        if record.ended_at_s is None:
            uow.save(record.model_copy(update={"ended_at_s": (after.ended_at_ms or now_ms) // 1000}))


async def record_of(deps: Deps, subscription_id: str, user_id: str) -> VendorSubscription:
    """What has been heard of a vendor's subscription; an empty record if nothing."""
    return await deps.vendor.subscription(subscription_id) or VendorSubscription(id=subscription_id, user_id=user_id)


async def hear(deps: Deps, user_id: str, notice: Notice, uow: UnitOfWork) -> VendorSubscription:
    """Puts news into the vendor's record."""
    before = await record_of(deps, notice.subscription_id, user_id)
    after = heard(before, notice)
    if after != before or before.version == 0:
        uow.save(after)
    return after


async def tell_paid(
    deps: Deps, user_id: str, subscription_id: str, tier: Tier, interval: Interval, invoice: Invoice, uow: UnitOfWork
) -> None:
    """InvoicePaid, once an invoice."""
    now_ms = deps.clock.now_ms()
    known = await deps.vendor.invoice(invoice.id)
    if known is not None and known.paid:
        return
    uow.save(
        VendorInvoice(
            id=invoice.id,
            version=0 if known is None else known.version,
            user_id=user_id,
            amount_cents=invoice.amount_cents,
            paid=True,
            at_ms=now_ms,
        )
    )
    uow.emit(
        InvoicePaid(
            user_id=user_id,
            invoice_id=invoice.id,
            subscription_id=subscription_id,
            tier=tier,
            interval=interval,
            amount_cents=invoice.amount_cents,
            currency=CURRENCY,
            at_ms=now_ms,
        )
    )


async def tell_failed(
    deps: Deps, user_id: str, subscription_id: str, tier: Tier, interval: Interval, invoice: Invoice, uow: UnitOfWork
) -> None:
    """InvoicePaymentFailed, each time, unless the invoice is known to be paid."""
    now_ms = deps.clock.now_ms()
    known = await deps.vendor.invoice(invoice.id)
    if known is not None and known.paid:
        return
    if known is None:
        amount = invoice.amount_cents
        uow.save(VendorInvoice(id=invoice.id, user_id=user_id, amount_cents=amount, paid=False, at_ms=now_ms))
    uow.emit(
        InvoicePaymentFailed(
            user_id=user_id,
            invoice_id=invoice.id,
            subscription_id=subscription_id,
            tier=tier,
            interval=interval,
            amount_cents=invoice.amount_cents,
            currency=CURRENCY,
            at_ms=now_ms,
            reason=invoice.reason or "The card was declined.",
        )
    )
