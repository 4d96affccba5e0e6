"""Reads Stripe's webhook: the signature first, on the raw bytes; then the event as a notice.

A signature may be made with any of the configured secrets, so that one can be rolled. Its time is checked against our
clock in both directions. The bodies of several API versions are understood: older ones have subscription and period at
the top of an invoice or a subscription, newer ones below `parent` and in the items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import stripe

from nija_billing.adapters.stripe_catalogue import lookup_key, tier_of_product
from nija_billing.domain.plans import plan_of
from nija_billing.domain.vendor import Invoice, Notice, NoticeKind, Terms
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.subscriptions import Interval
from nija_common.values.tiers import Tier

TOLERANCE_S = 300
KINDS: dict[str, NoticeKind] = {
    "invoice.payment_succeeded": "paid",
    "invoice.payment_failed": "failed",
    "customer.subscription.updated": "updated",
    "customer.subscription.deleted": "deleted",
}
NOT_RUNNING = ("subscription_create", "subscription_update")
"""Invoices of a plan that was only asked for: that they failed has been answered, and suspends nobody."""

Json = Mapping[str, Any]
_PLANS = {lookup_key(tier, interval): (tier, interval) for tier in Tier for interval in ("monthly", "yearly")}
_INTERVALS: dict[str, Interval] = {"month": "monthly", "year": "yearly", "monthly": "monthly", "yearly": "yearly"}


class StripeWebhooks:
    """Stripe's events, signed with one of these secrets."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def read(self, body: bytes, signature: str | None, now_ms: int) -> Notice | None:
        sent_s = self._verified(body, signature)
        if abs(now_ms // 1000 - sent_s) > TOLERANCE_S:
            raise _refused("The signature is too old, or from the future.")
        try:
            event = orjson.loads(body)
            return _notice(event, sent_s)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NijaError(
                ErrorCode.VALIDATION_ERROR, "This is no event of Stripe's.", {"body": "not an event"}
            ) from error

    def _verified(self, body: bytes, signature: str | None) -> int:
        """When it was signed, by Stripe's clock, once one of the secrets fits."""
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret)
            except (stripe.SignatureVerificationError, UnicodeDecodeError):
                continue
            fields = [part.split("=", 2) for part in (signature or "").split(",")]
            return int(next(field[1] for field in fields if field[0] == "t"))
        raise _refused("The signature is missing or wrong.")


def _refused(message: str) -> NijaError:
    return NijaError(ErrorCode.VALIDATION_ERROR, message, {"Stripe-Signature": "not valid"})


def _notice(event: Json, sent_s: int) -> Notice | None:
    """The notice of an event; None where its type, or an invoice without a subscription, means nothing to us."""
    event_id, kind = str(event["id"]), KINDS.get(str(event["type"]))
    thing = event["data"]["object"]
    if kind is None:
        return None
    at_s = int(event.get("created") or sent_s)
    if kind in ("updated", "deleted"):
        details: Json = thing
        subscription_id = str(thing["id"])
    else:
        details = _subscription_details(thing)
        if not (found := _id_of(thing.get("subscription") or details.get("subscription"))):
            return None
        if kind == "failed" and thing.get("billing_reason") in NOT_RUNNING:
            return None
        subscription_id = found
    metadata = details.get("metadata") or thing.get("metadata") or {}
    return Notice(
        id=event_id,
        kind=kind,
        at_s=at_s,
        subscription_id=subscription_id,
        user_id=metadata.get("user_id"),
        customer_id=_id_of(thing.get("customer")),
        terms=_terms(thing, metadata, invoice=kind in ("paid", "failed")),
        first_hand=kind in ("updated", "deleted"),
        invoice=_invoice(thing, event_id, kind) if kind in ("paid", "failed") else None,
    )


def _subscription_details(invoice: Json) -> Json:
    parent = invoice.get("parent") or {}
    found: Json = parent.get("subscription_details") or invoice.get("subscription_details") or {}
    return found


def _id_of(value: object) -> str | None:
    """The id of something that may be expanded."""
    if isinstance(value, Mapping):
        return str(value["id"])
    return None if value is None else str(value)


def _invoice(invoice: Json, event_id: str, kind: NoticeKind) -> Invoice:
    balance = invoice.get("ending_balance")
    amount = invoice.get("amount_paid") if kind == "paid" else invoice.get("amount_due")
    error = invoice.get("last_finalization_error") or {}
    return Invoice(
        id=str(invoice.get("id") or event_id),
        amount_cents=int(amount or 0),
        credit_cents=None if balance is None else max(0, -int(balance)),
        reason=error.get("message") if kind == "failed" else None,
    )


def _terms(thing: Json, metadata: Json, *, invoice: bool) -> Terms | None:
    """The plan and its period, from items of a subscription or lines of an invoice; None where they do not say."""
    lines = (thing.get("lines") if invoice else thing.get("items")) or {}
    entries = [entry for entry in lines.get("data") or () if int(entry.get("amount") or 0) >= 0]
    entry: Json = entries[-1] if entries else {}
    plan = _plan(entry, metadata)
    period = _period(thing, entry, invoice=invoice)
    if plan is None or period is None or plan[0] is Tier.FREE:
        return None
    price = (entry.get("price") or entry.get("plan") or {}).get("unit_amount")
    return Terms(
        tier=plan[0],
        interval=plan[1],
        price_cents=plan_of(plan[0]).amount(plan[1]) if price is None else int(price),
        period_start_ms=period[0] * 1000,
        period_end_ms=period[1] * 1000,
        cancel_at_period_end=bool(thing.get("cancel_at_period_end")),
    )


def _period(thing: Json, entry: Json, *, invoice: bool) -> tuple[int, int] | None:
    if invoice:
        period = entry.get("period") or {}
        start, end = period.get("start"), period.get("end")
    else:
        start = entry.get("current_period_start") or thing.get("current_period_start")
        end = entry.get("current_period_end") or thing.get("current_period_end")
    if start is None or end is None or int(end) <= int(start):
        return None
    return int(start), int(end)


def _plan(entry: Json, metadata: Json) -> tuple[Tier, Interval] | None:
    """By the price's lookup key, else by product and interval, else by the metadata that we gave."""
    price = entry.get("price") or entry.get("plan") or {}
    price = price if isinstance(price, Mapping) else {}
    by_key = _PLANS.get(str(price.get("lookup_key")))
    if by_key is not None:
        return by_key[0], _INTERVALS[by_key[1]]
    details = (entry.get("pricing") or {}).get("price_details") or {}
    product = _id_of(price.get("product") or details.get("product"))
    tier = (None if product is None else tier_of_product(product)) or _tier(metadata.get("tier"))
    recurring = price.get("recurring") or {}
    interval = _INTERVALS.get(str(recurring.get("interval") or price.get("interval") or metadata.get("interval")))
    return None if tier is None or interval is None else (tier, interval)


def _tier(value: object) -> Tier | None:
    return next((tier for tier in Tier if tier.value == value), None)
