"""The port to the outside: who takes payments, and how its notices are read.

Two adapters take payments: an offline stand-in, and Stripe. Every call carries a key under which it happens once.
"""

from __future__ import annotations

from typing import Protocol

from nija_billing.domain.orders import Arranged, Cancellation, ChangeLater, Purchase, Receipt, Renewal
from nija_billing.domain.vendor import Notice

CALL_DEADLINE_S = 20.0
"""No call below takes longer; shorter than an attempt's lease."""


class PaymentDeclined(Exception):
    """Refused for good, and nothing has changed: a card that is declined or needs its owner, an unknown method.

    `reason` is a sentence for the user; it never holds card data.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class PaymentsUnavailable(Exception):
    """The vendor did not answer, or could not: whether the call took effect is not known. Try again, under its key."""


class PaymentsMisused(Exception):
    """The vendor refused the call itself (a wrong key, a request that it does not know): nothing has changed."""


class Payments(Protocol):
    """Raises PaymentDeclined, PaymentsUnavailable, PaymentsMisused. `key` is the attempt's, the same for every try."""

    async def customer(self, user_id: str) -> str:
        """The vendor's id of this user, made if it is not there yet. Without effect on anything that is paid."""
        ...

    async def buy(self, customer_id: str, user_id: str, purchase: Purchase, key: str) -> Receipt:
        """Takes what is due and begins the plan, both or neither."""
        ...

    async def collect(self, customer_id: str, renewal: Renewal, key: str) -> Receipt:
        """Takes what is due for the coming period."""
        ...

    async def change_later(self, change: ChangeLater, key: str) -> Arranged:
        """Has another plan take over at the period's end, or withdraws what had been arranged."""
        ...

    async def cancel(self, cancellation: Cancellation, key: str) -> Arranged:
        """Ends a plan. One that is gone already is no error; the refund is given once."""
        ...

    async def find(self, customer_id: str, purchase: Purchase, key: str) -> Receipt | None:
        """The receipt of a purchase under this key, if it was taken. Asks only."""
        ...


class Webhooks(Protocol):
    """Reads what the vendor sends to us."""

    def read(self, body: bytes, signature: str | None, now_ms: int) -> Notice | None:
        """The notice of a signed body; None for a type that means nothing to us.

        Raises VALIDATION_ERROR for a wrong, old or missing signature, or a body that cannot be read.
        """
        ...
