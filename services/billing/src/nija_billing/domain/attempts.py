"""A payment attempt: one order to the vendor of payments, from the wish to the outcome.

It is committed `running` before the vendor is called and `done` after, so a crash in between leaves a row whose lease
runs out, and whoever finds it goes on with the same vendor key. One account has one running attempt at most.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from nija_billing.domain.orders import Order, Result
from nija_billing.domain.subscription import Part
from nija_common.values.document import Collection, Document, Index

LEASE_MS = 30_000
"""Longer than the vendor's deadline (`ports.py`), so a living holder has ended before it runs out."""
SEND_AGAIN_MS = 10 * 60_000
"""For so long a purchase is sent again under its key; later the vendor is only asked whether it had taken it."""


class By(Part):
    """Who asked, for the audit log."""

    user_id: str
    address: str | None = None
    user_agent: str | None = None
    reason: str | None = None


class Attempt(Document):
    """`lease_until_ms` is on the store's clock. `result` is there once the state is `done`."""

    collection: ClassVar[Collection] = Collection(
        "payment_attempts",
        (
            Index("by_state", ("state", "lease_until_ms")),
            Index("by_user", ("user_id", "state")),
            Index("one_running", ("user_id",), unique=True, where=("state", "running")),
        ),
    )

    user_id: str
    customer_id: str | None
    state: Literal["running", "done"] = "running"
    lease_until_ms: int
    created_at_ms: int
    tries: int = 1
    by: By
    order: Order
    result: Result | None = None

    @property
    def vendor_key(self) -> str:
        """The vendor's idempotency key: the same for every try of this attempt."""
        return f"nija-{self.id}"
