"""OFFLINE PAYMENTS: a stand-in that takes no money, for development and for platforms that charge nobody.

It answers as Stripe does to its test methods: `pm_card_chargeDeclined…` is declined, `pm_card_authenticationRequired…`
needs its owner, any other `pm_card_…` pays, and everything else is a method that does not exist. It keeps nothing and
derives every id from the key it is given, so a repeated call has the same answer.
"""

from __future__ import annotations

from nija_billing.domain.orders import Arranged, Cancellation, ChangeLater, Purchase, Receipt, Renewal
from nija_billing.domain.subscription import PaymentMethod
from nija_billing.ports import PaymentDeclined
from nija_common.values.clock import Clock
from nija_common.values.ids import derived_id

_CARDS = {
    "visa": ("visa", "4242"),
    "mastercard": ("mastercard", "4444"),
    "amex": ("amex", "8431"),
    "discover": ("discover", "1117"),
    "diners": ("diners", "3222"),
    "jcb": ("jcb", "0505"),
    "unionpay": ("unionpay", "0005"),
}
_EXPIRES = (12, 2034)


def card(payment_method_id: str) -> PaymentMethod:
    """The card behind a method that pays. Raises PaymentDeclined for one that does not."""
    if payment_method_id.startswith("pm_card_chargeDeclined"):
        raise PaymentDeclined("card_declined", "Your card was declined.")
    if payment_method_id.startswith("pm_card_authenticationRequired"):
        raise PaymentDeclined("authentication_required", "Your bank wants to hear from you before it pays.")
    if not payment_method_id.startswith("pm_card_"):
        raise PaymentDeclined("unknown_payment_method", "There is no such payment method.")
    name = payment_method_id.removeprefix("pm_card_").split("_")[0].lower()
    brand, last4 = _CARDS.get(name, _CARDS["visa"])
    month, year = _EXPIRES
    return PaymentMethod(id=payment_method_id, type="card", brand=brand, last4=last4, exp_month=month, exp_year=year)


class OfflinePayments:
    """Payments without a vendor; renewals are collected by us, from the same stand-in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def customer(self, user_id: str) -> str:
        return derived_id("cus", user_id)

    async def buy(self, customer_id: str, user_id: str, purchase: Purchase, key: str) -> Receipt:
        method = card(purchase.payment_method_id)
        quote = purchase.quote
        return Receipt(
            subscription_id=purchase.subscription_id or derived_id("sub", key),
            invoice_id=derived_id("in", key),
            paid_cents=quote.due,
            credit_left_cents=quote.balance_after,
            period_start_ms=purchase.period_start_ms,
            period_end_ms=purchase.period_end_ms,
            payment_method=method,
            collected_by="platform",
            at_s=purchase.at_ms // 1000,
        )

    async def collect(self, customer_id: str, renewal: Renewal, key: str) -> Receipt:
        method = card(renewal.payment_method_id)
        return Receipt(
            subscription_id=renewal.subscription_id,
            invoice_id=derived_id("in", key),
            paid_cents=renewal.quote.due,
            credit_left_cents=renewal.quote.balance_after,
            period_start_ms=renewal.period_start_ms,
            period_end_ms=renewal.period_end_ms,
            payment_method=method,
            collected_by="platform",
            at_s=renewal.at_ms // 1000,
        )

    async def change_later(self, change: ChangeLater, key: str) -> Arranged:
        return Arranged(schedule_id=None, refunded_cents=0, at_s=self._clock.now_ms() // 1000)

    async def cancel(self, cancellation: Cancellation, key: str) -> Arranged:
        return Arranged(schedule_id=None, refunded_cents=cancellation.refund_cents, at_s=cancellation.at_ms // 1000)

    async def find(self, customer_id: str, purchase: Purchase, key: str) -> Receipt | None:
        return None
