"""How billing keeps subscriptions; each read is a named query over a declared index."""

from __future__ import annotations

from dataclasses import dataclass

from nija_billing.domain.subscription import Subscription
from nija_common.storage.port import Range, Storage

COLLECTIONS = (Subscription,)


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Subscriptions by user, and by when time changes them."""

    storage: Storage

    async def of(self, user_id: str) -> Subscription | None:
        return await self.storage.get(Subscription, user_id)

    async def due(self, now_ms: int, limit: int) -> list[Subscription]:
        """Those that time has changed and nobody has been told of, longest due first."""
        page = await self.storage.find(Subscription, "by_next_change", (), Range(low=0, high=now_ms + 1), limit=limit)
        return list(page.items)
