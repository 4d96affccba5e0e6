"""What is wanted of the vendor of payments, decided and priced before it is asked, and what it answered.

An order is stored with its attempt (`attempts.py`) before any call, so it says everything that a call needs, and a
repetition after a crash says the same.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nija_billing.domain.plans import Cents
from nija_billing.domain.proration import Quote
from nija_billing.domain.subscription import CollectedBy, Part, PaymentMethod
from nija_common.events.subscriptions import Interval
from nija_common.values.tiers import Tier


class Purchase(Part):
    """A plan that begins now. `subscription_id`: the running one at the vendor that it changes, None to begin a new one.

    `replaces`: one whose payment failed, to be given up once the new one is paid. `schedule_id`: a coming change that it
    makes void. Period and amounts as decided; a vendor that keeps its own periods answers with those.
    """

    kind: Literal["purchase"] = "purchase"
    tier: Tier
    interval: Interval
    payment_method_id: str
    amount_cents: Cents
    unused_cents: Cents
    balance_cents: Cents
    subscription_id: str | None
    replaces: str | None
    schedule_id: str | None
    at_ms: int
    period_start_ms: int
    period_end_ms: int

    @property
    def quote(self) -> Quote:
        return Quote(self.amount_cents, self.unused_cents, self.balance_cents)


class Renewal(Part):
    """The coming period of a plan whose renewals we collect."""

    kind: Literal["renewal"] = "renewal"
    subscription_id: str
    tier: Tier
    interval: Interval
    payment_method_id: str
    amount_cents: Cents
    balance_cents: Cents
    at_ms: int
    anchor_ms: int
    period_start_ms: int
    period_end_ms: int

    @property
    def quote(self) -> Quote:
        return Quote(self.amount_cents, 0, self.balance_cents)


class ChangeLater(Part):
    """Another plan at the period's end; with `withdraw` the running plan goes on after all."""

    kind: Literal["change_later"] = "change_later"
    subscription_id: str
    schedule_id: str | None
    tier: Tier
    interval: Interval
    period_start_ms: int
    period_end_ms: int
    withdraw: bool


class Cancellation(Part):
    """The end of a plan: now, with a refund, or when its period ends."""

    kind: Literal["cancellation"] = "cancellation"
    subscription_id: str
    schedule_id: str | None
    immediately: bool
    refund_cents: Cents
    at_ms: int
    period_end_ms: int


Order = Annotated[Purchase | Renewal | ChangeLater | Cancellation, Field(discriminator="kind")]


class Receipt(Part):
    """A purchase or renewal that has been paid. `at_s`: the vendor's time of it."""

    kind: Literal["receipt"] = "receipt"
    subscription_id: str
    invoice_id: str
    paid_cents: Cents
    credit_left_cents: Cents
    period_start_ms: int
    period_end_ms: int
    payment_method: PaymentMethod
    collected_by: CollectedBy
    at_s: int


class Arranged(Part):
    """A change or cancellation that the vendor has taken note of. `refunded_cents`: what it gives back."""

    kind: Literal["arranged"] = "arranged"
    schedule_id: str | None
    refunded_cents: Cents
    at_s: int


class Declined(Part):
    """Refused for good; nothing has changed. `reason` is a sentence for the user, `code` a word for programs."""

    kind: Literal["declined"] = "declined"
    code: str
    reason: str


Result = Annotated[Receipt | Arranged | Declined, Field(discriminator="kind")]
