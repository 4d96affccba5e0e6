"""How billing keeps what it owns; each read is a named query over a declared index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nija_billing.domain.attempts import Attempt
from nija_billing.domain.plans import Cents
from nija_billing.domain.subscription import Subscription
from nija_billing.domain.usage import Holdings, Usage
from nija_billing.domain.vendor import VendorSubscription
from nija_common.storage.port import Range, Storage
from nija_common.storage.remembered import IdempotentRequest
from nija_common.values.document import Collection, Document
from nija_common.values.tiers import Tier


class VendorInvoice(Document):
    """An invoice that has been told of, so that it is told once; its id is the vendor's."""

    collection: ClassVar[Collection] = Collection("invoices")

    user_id: str
    amount_cents: Cents
    paid: bool
    at_ms: int


class SeenNotice(Document):
    """A webhook event that has had its effect; its id is the vendor's."""

    collection: ClassVar[Collection] = Collection("vendor_events", ttl_field="expires_at_ms")

    type: str
    received_at_ms: int
    expires_at_ms: int


class EarlyOverride(Document):
    """An override for an account that billing has not heard of yet; its id is the user's."""

    collection: ClassVar[Collection] = Collection("early_overrides")

    tier: Tier
    expires_at_ms: int | None
    by: str


COLLECTIONS: tuple[type[Document], ...] = (
    Subscription,
    VendorSubscription,
    Attempt,
    VendorInvoice,
    SeenNotice,
    EarlyOverride,
    Usage,
    Holdings,
    IdempotentRequest,
)


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Subscriptions by user, by the vendor's ids, and by when time changes them."""

    storage: Storage

    async def of(self, user_id: str) -> Subscription | None:
        return await self.storage.get(Subscription, user_id)

    async def due(self, now_ms: int, limit: int) -> list[Subscription]:
        """Those that time has something to do with, longest due first."""
        page = await self.storage.find(Subscription, "by_next_change", (), Range(low=0, high=now_ms + 1), limit=limit)
        return list(page.items)

    async def with_subscription_id(self, subscription_id: str) -> Subscription | None:
        page = await self.storage.find(Subscription, "by_subscription", (subscription_id,), limit=1)
        return next(iter(page.items), None)

    async def with_customer_id(self, customer_id: str) -> Subscription | None:
        page = await self.storage.find(Subscription, "by_customer", (customer_id,), limit=1)
        return next(iter(page.items), None)

    async def early_override(self, user_id: str) -> EarlyOverride | None:
        return await self.storage.get(EarlyOverride, user_id)


@dataclass(frozen=True, slots=True)
class Vendor:
    """What the vendor has told, and what we have asked of it."""

    storage: Storage

    async def now_ms(self) -> int:
        """The store's clock, on which leases are."""
        return await self.storage.now_ms()

    async def subscription(self, subscription_id: str) -> VendorSubscription | None:
        return await self.storage.get(VendorSubscription, subscription_id)

    async def invoice(self, invoice_id: str) -> VendorInvoice | None:
        return await self.storage.get(VendorInvoice, invoice_id)

    async def seen(self, notice_id: str) -> SeenNotice | None:
        return await self.storage.get(SeenNotice, notice_id)

    async def attempt(self, attempt_id: str) -> Attempt | None:
        return await self.storage.get(Attempt, attempt_id)

    async def running(self, user_id: str) -> Attempt | None:
        """The account's attempt that has no outcome yet."""
        page = await self.storage.find(Attempt, "by_user", (user_id, "running"), limit=1)
        return next(iter(page.items), None)

    async def left_behind(self, now_ms: int, limit: int) -> list[Attempt]:
        """Running attempts whose lease has run out, oldest first."""
        within = Range(low=0, high=now_ms + 1)
        page = await self.storage.find(Attempt, "by_state", ("running",), within, limit=limit)
        return list(page.items)


@dataclass(frozen=True, slots=True)
class Usages:
    """Counters by user and period."""

    storage: Storage

    async def of(self, user_id: str, period_start_ms: int) -> Usage | None:
        return await self.storage.get(Usage, f"{user_id}/{period_start_ms}")

    async def latest_before(self, user_id: str, at_ms: int) -> Usage | None:
        """The counters of the last period that had begun by then."""
        within = Range(low=0, high=at_ms + 1)
        page = await self.storage.find(Usage, "by_user", (user_id,), within, limit=1, descending=True)
        return next(iter(page.items), None)

    async def holdings(self, user_id: str) -> Holdings:
        return await self.storage.get(Holdings, user_id) or Holdings(id=user_id)
