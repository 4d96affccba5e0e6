"""Reads Stripe's objects as the port's values."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import stripe

from nija_billing.domain.periods import Period
from nija_billing.domain.subscription import PaymentMethod
from nija_billing.ports import PaymentsMisused
from nija_common.events.subscriptions import Interval
from nija_common.values.tiers import Tier

if TYPE_CHECKING:
    from stripe._stripe_object import UntypedStripeObject

_ATTEMPT = "nija_attempt"


def attempt_metadata(key: str) -> dict[str, str]:
    """What anything that we make at Stripe carries: the key of the attempt that made it."""
    return {_ATTEMPT: key}


def attempt_of(metadata: UntypedStripeObject[str] | None) -> str | None:
    """The key of the attempt that made it."""
    return None if metadata is None else metadata.to_dict().get(_ATTEMPT)


def terms_metadata(user_id: str, tier: Tier, interval: Interval, key: str) -> dict[str, str]:
    """What a subscription carries about itself; it comes back in its events and invoices."""
    return {"user_id": user_id, "tier": tier.value, "interval": interval, **attempt_metadata(key)}


def answered_at_s(answer: stripe.StripeObject, now_ms: int) -> int:
    """Stripe's own time of an answer, the same clock as that of its events; ours where it does not say."""
    headers = {} if answer.last_response is None else answer.last_response.headers
    date = headers.get("date") or headers.get("Date")
    return now_ms // 1000 if date is None else int(parsedate_to_datetime(date).timestamp())


def period_of(subscription: stripe.Subscription) -> Period:
    """The running period."""
    item = subscription.items.data[0]
    return Period(item.current_period_start * 1000, item.current_period_end * 1000)


def invoice_of(subscription: stripe.Subscription) -> stripe.Invoice:
    """The latest invoice, which has to have been asked for. Raises PaymentsMisused."""
    invoice = subscription.latest_invoice
    if not isinstance(invoice, stripe.Invoice):
        raise PaymentsMisused("Stripe left the invoice out of its answer")
    return invoice


def payment_intent_of(invoice: stripe.Invoice) -> str | None:
    """What paid the invoice; None where it was not paid by one (credit, or outside of Stripe)."""
    payments: stripe.ListObject[stripe.InvoicePayment] | None = _given(invoice, "payments")
    for entry in [] if payments is None else payments.data:
        intent: str | stripe.PaymentIntent | None = _given(entry.payment, "payment_intent")
        if intent is not None:
            return intent if isinstance(intent, str) else intent.id
    return None


def _given(thing: stripe.StripeObject, name: str) -> Any:
    """A field that Stripe leaves out where it does not apply; the package then has no such attribute."""
    return getattr(thing, name, None)


def method_of(method: stripe.PaymentMethod) -> PaymentMethod:
    """As far as it may be shown."""
    card: stripe.PaymentMethod.Card | None = _given(method, "card")
    return PaymentMethod(
        id=method.id,
        type=method.type,
        brand=None if card is None else card.brand,
        last4=None if card is None else card.last4,
        exp_month=None if card is None else card.exp_month,
        exp_year=None if card is None else card.exp_year,
    )
