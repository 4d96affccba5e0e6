"""How notifier keeps what it must not forget: open positions (a read model) and deliveries."""

from __future__ import annotations

from dataclasses import dataclass

from nija_common.storage.port import Range, Storage
from nija_notifier.domain.mail import Delivery
from nija_notifier.domain.positions import OpenPosition

COLLECTIONS = (OpenPosition, Delivery)
PAGE = 200


@dataclass(frozen=True, slots=True)
class Positions:
    """Open positions by user."""

    storage: Storage

    async def of_user(self, user_id: str) -> list[OpenPosition]:
        """Every open position of a user, oldest first."""
        found: list[OpenPosition] = []
        after: str | None = None
        while True:
            page = await self.storage.find(OpenPosition, "by_user", (user_id,), limit=PAGE, after=after)
            found.extend(page.items)
            after = page.after
            if after is None:
                return found

    async def get(self, position_id: str) -> OpenPosition | None:
        return await self.storage.get(OpenPosition, position_id)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Mails that are wanted, and what became of them."""

    storage: Storage

    async def get(self, mail_id: str) -> Delivery | None:
        return await self.storage.get(Delivery, mail_id)

    async def due(self, now_ms: int, limit: int) -> list[Delivery]:
        """Those to be tried now, longest due first."""
        page = await self.storage.find(Delivery, "by_due", ("wanted",), Range(high=now_ms + 1), limit=limit)
        return list(page.items)
