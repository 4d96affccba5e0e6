"""Payments by Stripe: customers, subscriptions, invoices, refunds.

Stripe keeps the periods and collects renewals; its webhook tells of them. What we have priced is what it charges: a
change of plan begins a new billing cycle without Stripe's own proration, and the unused part goes onto the same invoice
as a negative item, so that Stripe's customer balance takes what is left over. `error_if_incomplete` makes a payment that
is declined, or needs its owner, refuse the change as a whole.

Every writing call has an idempotency key made of the attempt's, and what it makes carries the attempt's key as metadata,
by which `find` sees it again when Stripe has forgotten the idempotency key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import stripe

from nija_billing.adapters.stripe_catalogue import CURRENCY, Catalogue, product_id
from nija_billing.adapters.stripe_errors import is_missing, translated
from nija_billing.adapters.stripe_readings import (
    answered_at_s,
    attempt_metadata,
    attempt_of,
    invoice_of,
    method_of,
    payment_intent_of,
    period_of,
    terms_metadata,
)
from nija_billing.domain.orders import Arranged, Cancellation, ChangeLater, Purchase, Receipt, Renewal
from nija_billing.ports import PaymentDeclined, PaymentsMisused
from nija_common.values.clock import Clock

if TYPE_CHECKING:
    from stripe.params import (
        SubscriptionCreateParams,
        SubscriptionUpdateParams,
        SubscriptionUpdateParamsAddInvoiceItem,
    )

LIVING = ("active", "trialing", "past_due", "unpaid", "paused")


class StripePayments:
    """One client for the process; safe to share."""

    def __init__(self, client: stripe.StripeClient, clock: Clock) -> None:
        self._stripe = client.v1
        self._clock = clock
        self._catalogue = Catalogue(client)

    async def customer(self, user_id: str) -> str:
        async with translated():
            made = await self._stripe.customers.create_async(
                params={"metadata": {"user_id": user_id}}, options={"idempotency_key": f"nija-customer-{user_id}"}
            )
            return made.id

    async def buy(self, customer_id: str, user_id: str, purchase: Purchase, key: str) -> Receipt:
        async with translated():
            method = await self._stripe.payment_methods.attach_async(
                purchase.payment_method_id,
                params={"customer": customer_id},
                options={"idempotency_key": f"{key}-method"},
            )
            price = await self._catalogue.price(purchase.tier, purchase.interval)
            metadata = terms_metadata(user_id, purchase.tier, purchase.interval, key)
            running = await self._living(purchase.subscription_id)
            if running is None:
                subscription = await self._begun(customer_id, price, method.id, metadata, key)
            else:
                subscription = await self._changed(running, purchase, price, method.id, metadata, key)
            await self._release(purchase.schedule_id, key)
            if purchase.replaces is not None:
                await self._end(purchase.replaces, key)
            return self._receipt(subscription, method)

    async def _begun(
        self, customer_id: str, price: str, method: str, metadata: dict[str, str], key: str
    ) -> stripe.Subscription:
        params: SubscriptionCreateParams = {
            "customer": customer_id,
            "items": [{"price": price}],
            "default_payment_method": method,
            "payment_behavior": "error_if_incomplete",
            "metadata": metadata,
            "expand": ["latest_invoice"],
        }
        return await self._stripe.subscriptions.create_async(params, {"idempotency_key": f"{key}-create"})

    async def _changed(
        self,
        running: stripe.Subscription,
        purchase: Purchase,
        price: str,
        method: str,
        metadata: dict[str, str],
        key: str,
    ) -> stripe.Subscription:
        params: SubscriptionUpdateParams = {
            "items": [{"id": running.items.data[0].id, "price": price}],
            "default_payment_method": method,
            "billing_cycle_anchor": "now",
            "proration_behavior": "none",
            "add_invoice_items": _credit_items(purchase),
            "cancel_at_period_end": False,
            "payment_behavior": "error_if_incomplete",
            "metadata": metadata,
            "expand": ["latest_invoice"],
        }
        return await self._stripe.subscriptions.update_async(running.id, params, {"idempotency_key": f"{key}-update"})

    def _receipt(self, subscription: stripe.Subscription, method: stripe.PaymentMethod) -> Receipt:
        invoice = invoice_of(subscription)
        period = period_of(subscription)
        return Receipt(
            subscription_id=subscription.id,
            invoice_id=invoice.id,
            paid_cents=invoice.amount_paid,
            credit_left_cents=max(0, -(invoice.ending_balance or 0)),
            period_start_ms=period.start_ms,
            period_end_ms=period.end_ms,
            payment_method=method_of(method),
            collected_by="vendor",
            at_s=answered_at_s(subscription, self._clock.now_ms()),
        )

    async def collect(self, customer_id: str, renewal: Renewal, key: str) -> Receipt:
        """Stripe collects its own renewals; what is left are plans from before it took the payments here."""
        raise PaymentDeclined("no_payment_method", "This plan was never paid by card. Choose a plan to go on.")

    async def change_later(self, change: ChangeLater, key: str) -> Arranged:
        async with translated():
            running = await self._living(change.subscription_id)
            if running is None:
                raise PaymentsMisused("the subscription to change is not there")
            if change.withdraw:
                await self._release(change.schedule_id, key)
            if running.cancel_at_period_end:
                running = await self._stripe.subscriptions.update_async(
                    running.id,
                    params={"cancel_at_period_end": False},
                    options={"idempotency_key": f"{key}-resume"},
                )
            schedule_id = None if change.withdraw else await self._scheduled(running, change, key)
            at_s = answered_at_s(running, self._clock.now_ms())
            return Arranged(schedule_id=schedule_id, refunded_cents=0, at_s=at_s)

    async def _scheduled(self, running: stripe.Subscription, change: ChangeLater, key: str) -> str:
        """The id of a schedule with two phases: what runs until the period's end, and the other plan after it."""
        schedule_id = change.schedule_id
        if schedule_id is None:
            made = await self._stripe.subscription_schedules.create_async(
                params={"from_subscription": running.id}, options={"idempotency_key": f"{key}-schedule"}
            )
            schedule_id = made.id
        price = await self._catalogue.price(change.tier, change.interval)
        now = running.items.data[0]
        await self._stripe.subscription_schedules.update_async(
            schedule_id,
            params={
                "end_behavior": "release",
                "proration_behavior": "none",
                "phases": [
                    {
                        "items": [{"price": now.price.id}],
                        "start_date": now.current_period_start,
                        "end_date": change.period_end_ms // 1000,
                        "proration_behavior": "none",
                    },
                    {
                        "items": [{"price": price}],
                        "start_date": change.period_end_ms // 1000,
                        "duration": {"interval": "year" if change.interval == "yearly" else "month"},
                        "proration_behavior": "none",
                    },
                ],
            },
            options={"idempotency_key": f"{key}-phases"},
        )
        return schedule_id

    async def cancel(self, cancellation: Cancellation, key: str) -> Arranged:
        async with translated():
            await self._release(cancellation.schedule_id, key)
            if cancellation.immediately:
                await self._end(cancellation.subscription_id, key)
                refunded = await self._refund(cancellation, key)
                return Arranged(schedule_id=None, refunded_cents=refunded, at_s=self._clock.now_ms() // 1000)
            running = await self._living(cancellation.subscription_id)
            at_s = self._clock.now_ms() // 1000
            if running is not None:
                changed = await self._stripe.subscriptions.update_async(
                    running.id,
                    params={"cancel_at_period_end": True},
                    options={"idempotency_key": f"{key}-cancel"},
                )
                at_s = answered_at_s(changed, self._clock.now_ms())
            return Arranged(schedule_id=None, refunded_cents=0, at_s=at_s)

    async def find(self, customer_id: str, purchase: Purchase, key: str) -> Receipt | None:
        async with translated():
            found = await self._stripe.subscriptions.list_async(
                params={
                    "customer": customer_id,
                    "status": "all",
                    "limit": 100,
                    "expand": ["data.latest_invoice", "data.default_payment_method"],
                }
            )
            for subscription in found.data:
                method = subscription.default_payment_method
                taken = attempt_of(subscription.metadata) == key and subscription.status in LIVING
                if taken and isinstance(method, stripe.PaymentMethod):
                    await self._release(purchase.schedule_id, key)
                    if purchase.replaces is not None:
                        await self._end(purchase.replaces, key)
                    return self._receipt(subscription, method)
            return None

    async def _living(self, subscription_id: str | None) -> stripe.Subscription | None:
        """The subscription as Stripe has it; None where it is not there or has ended."""
        if subscription_id is None:
            return None
        try:
            found = await self._stripe.subscriptions.retrieve_async(subscription_id)
        except stripe.InvalidRequestError as error:
            if is_missing(error):
                return None
            raise
        return found if found.status in LIVING else None

    async def _end(self, subscription_id: str, key: str) -> None:
        if await self._living(subscription_id) is not None:
            await self._stripe.subscriptions.cancel_async(
                subscription_id,
                params={"invoice_now": False, "prorate": False},
                options={"idempotency_key": f"{key}-end"},
            )

    async def _refund(self, cancellation: Cancellation, key: str) -> int:
        """Gives back, once, what was decided, and at most what the last invoice took."""
        if cancellation.refund_cents == 0:
            return 0
        try:
            ended = await self._stripe.subscriptions.retrieve_async(
                cancellation.subscription_id, params={"expand": ["latest_invoice.payments"]}
            )
        except stripe.InvalidRequestError as error:
            if is_missing(error):
                return 0
            raise
        invoice = invoice_of(ended)
        intent, amount = payment_intent_of(invoice), min(cancellation.refund_cents, invoice.amount_paid)
        if intent is None or amount <= 0:
            return 0
        before = await self._stripe.refunds.list_async(params={"payment_intent": intent, "limit": 100})
        for given in before.data:
            if attempt_of(given.metadata) == key:
                return given.amount
        made = await self._stripe.refunds.create_async(
            params={"payment_intent": intent, "amount": amount, "metadata": attempt_metadata(key)},
            options={"idempotency_key": f"{key}-refund"},
        )
        return made.amount

    async def _release(self, schedule_id: str | None, key: str) -> None:
        """Lets a schedule go; one that has ended or been let go is no error."""
        if schedule_id is None:
            return
        try:
            schedule = await self._stripe.subscription_schedules.retrieve_async(schedule_id)
        except stripe.InvalidRequestError as error:
            if is_missing(error):
                return
            raise
        if schedule.status in ("active", "not_started"):
            await self._stripe.subscription_schedules.release_async(
                schedule_id, options={"idempotency_key": f"{key}-release"}
            )


def _credit_items(purchase: Purchase) -> list[SubscriptionUpdateParamsAddInvoiceItem]:
    """The unused part of the running period, as a negative item of the new invoice."""
    if purchase.unused_cents == 0:
        return []
    return [
        {
            "price_data": {
                "currency": CURRENCY,
                "product": product_id(purchase.tier),
                "unit_amount": -purchase.unused_cents,
            }
        }
    ]
