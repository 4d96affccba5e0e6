"""What the vendor of payments has told of one of its subscriptions, in whatever order it arrived.

`heard` keeps of each kind of news the latest by the vendor's own time, and an end for good, so that any order of the
same notices, with any repetitions, leaves the same record. What follows from a record for the account: `changes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from nija_billing.domain.plans import Cents
from nija_billing.domain.subscription import Part
from nija_common.events.subscriptions import Interval
from nija_common.values.document import Collection, Document
from nija_common.values.tiers import Tier

NoticeKind = Literal["paid", "failed", "updated", "deleted"]


class Terms(Part):
    """Which plan a vendor's subscription is on, for which period."""

    tier: Tier
    interval: Interval
    price_cents: Cents
    period_start_ms: int
    period_end_ms: int
    cancel_at_period_end: bool = False


class Invoice(Part):
    """One invoice. `credit_cents` is what the customer has left afterwards, where the vendor says so."""

    id: str
    amount_cents: Cents
    credit_cents: Cents | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """News of a vendor's subscription. `at_s` is the vendor's own time of it.

    `own`: the answer to a call of ours. Of the same second it yields to the vendor's event, which is never older.
    `first_hand`: the terms are those of the subscription itself, not of an invoice's line.
    """

    id: str
    kind: NoticeKind
    at_s: int
    subscription_id: str
    user_id: str | None = None
    customer_id: str | None = None
    terms: Terms | None = None
    first_hand: bool = True
    invoice: Invoice | None = None
    own: bool = False


class HeardTerms(Part):
    """Terms, and what makes one newer than another."""

    first_hand: bool
    at_s: int
    event: bool
    notice_id: str
    terms: Terms

    @property
    def order(self) -> tuple[bool, int, bool, str]:
        return self.first_hand, self.at_s, self.event, self.notice_id


class HeardPayment(Part):
    """The outcome of a payment, and what makes one newer than another: paid beats failed within a second."""

    at_s: int
    event: bool
    paid: bool
    notice_id: str
    invoice: Invoice

    @property
    def order(self) -> tuple[int, bool, bool, str]:
        return self.at_s, self.event, self.paid, self.notice_id


class VendorSubscription(Document):
    """One subscription at the vendor; its id is the vendor's. `ended_at_s` is final."""

    collection: ClassVar[Collection] = Collection("vendor_subscriptions")

    user_id: str
    customer_id: str | None = None
    terms: HeardTerms | None = None
    payment: HeardPayment | None = None
    first_paid_s: int | None = None
    ended_at_s: int | None = None


def heard(record: VendorSubscription, notice: Notice) -> VendorSubscription:
    """The record with that news in it, if it is news."""
    update: dict[str, object] = {}
    if record.customer_id is None and notice.customer_id is not None:
        update["customer_id"] = notice.customer_id
    if notice.kind == "deleted":
        update["ended_at_s"] = min(notice.at_s, notice.at_s if record.ended_at_s is None else record.ended_at_s)
    if notice.kind == "paid":
        known = record.first_paid_s
        update["first_paid_s"] = notice.at_s if known is None else min(known, notice.at_s)
    if notice.terms is not None:
        terms = HeardTerms(
            first_hand=notice.first_hand,
            at_s=notice.at_s,
            event=not notice.own,
            notice_id=notice.id,
            terms=notice.terms,
        )
        if record.terms is None or terms.order > record.terms.order:
            update["terms"] = terms
    if notice.invoice is not None:
        payment = HeardPayment(
            at_s=notice.at_s,
            event=not notice.own,
            paid=notice.kind == "paid",
            notice_id=notice.id,
            invoice=notice.invoice,
        )
        if record.payment is None or payment.order > record.payment.order:
            update["payment"] = payment
    return record.model_copy(update=update) if update else record
