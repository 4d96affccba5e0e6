"""Events about invoices. Produced by billing; amounts are whole cents."""

from __future__ import annotations

from typing import Any, ClassVar

from nija_common.events.base import Event
from nija_common.events.subscriptions import Interval
from nija_common.events.topics import PAYMENTS
from nija_common.values.tiers import Tier

_EXAMPLE: dict[str, Any] = {
    "user_id": "usr_01jk0000000000000000000000",
    "invoice_id": "in_1Abc",
    "subscription_id": "sub_1Abc",
    "tier": "pro",
    "interval": "monthly",
    "amount_cents": 14900,
    "currency": "USD",
    "at_ms": 1769683320000,
}


class InvoicePaid(Event):
    """Emitted by billing when a payment has been taken, once an invoice."""

    topic = PAYMENTS
    type = "invoice.paid"
    example: ClassVar[dict[str, Any]] = _EXAMPLE

    user_id: str
    invoice_id: str
    subscription_id: str | None
    tier: Tier
    interval: Interval
    amount_cents: int
    currency: str
    at_ms: int


class InvoicePaymentFailed(Event):
    """Emitted by billing when a payment for a running subscription has failed: the account is suspended for payment.

    `reason` is a sentence for the user; it never holds card data.
    """

    topic = PAYMENTS
    type = "invoice.payment_failed"
    example: ClassVar[dict[str, Any]] = {**_EXAMPLE, "reason": "The card was declined."}

    user_id: str
    invoice_id: str
    subscription_id: str | None
    tier: Tier
    interval: Interval
    amount_cents: int
    currency: str
    at_ms: int
    reason: str
