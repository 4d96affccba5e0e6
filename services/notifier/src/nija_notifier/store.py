"""How notifier keeps what it must not forget: open positions, recipients and switches (read models), deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nija_common.storage.port import Page, Range, Storage
from nija_notifier.domain.circulars import Circular, Switch
from nija_notifier.domain.mail import Delivery, Waiting
from nija_notifier.domain.positions import OpenPosition
from nija_notifier.domain.recipients import Recipient

COLLECTIONS = (OpenPosition, Delivery, Recipient, Switch, Circular)
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

    async def existing(self, mail_ids: Sequence[str]) -> frozenset[str]:
        """Those of these ids that there are."""
        return frozenset(await self.storage.get_many(Delivery, mail_ids))

    async def due(self, status: Waiting, now_ms: int, limit: int) -> list[Delivery]:
        """Those of one line to be tried now, longest due first."""
        page = await self.storage.find(Delivery, "by_due", (status,), Range(high=now_ms + 1), limit=limit)
        return list(page.items)


@dataclass(frozen=True, slots=True)
class Recipients:
    """Every account, as mails need it."""

    storage: Storage

    async def get(self, user_id: str) -> Recipient | None:
        return await self.storage.get(Recipient, user_id)

    async def active(self, limit: int, after: str | None) -> Page[Recipient]:
        """The next of the accounts that may sign in."""
        return await self.storage.find(Recipient, "by_status", ("active",), limit=limit, after=after)


@dataclass(frozen=True, slots=True)
class Circulars:
    """Notices to everybody, and the switches that cause them."""

    storage: Storage

    async def switch(self, scope: str) -> Switch | None:
        return await self.storage.get(Switch, scope)

    async def get(self, circular_id: str) -> Circular | None:
        return await self.storage.get(Circular, circular_id)

    async def under_way(self, limit: int) -> list[Circular]:
        """Those that have not reached everybody, oldest first."""
        return list((await self.storage.find(Circular, "by_done", (False,), limit=limit)).items)
