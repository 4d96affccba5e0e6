"""How analytics keeps its aggregates; each read is by id or a named query over a declared index."""

from __future__ import annotations

from dataclasses import dataclass

from nija_analytics.domain.aggregates import Cash, ClosedTrade, Day, LastRun, Ledger, day_id
from nija_analytics.domain.people import AuditRow, SubscriptionCard, UserCard
from nija_common.storage.port import Range, Storage

COLLECTIONS = (LastRun, Ledger, Day, ClosedTrade, Cash, UserCard, SubscriptionCard, AuditRow)
PAGE = 500


@dataclass(frozen=True, slots=True)
class Results:
    """Ledgers, their days and closed trades."""

    storage: Storage

    async def last_run(self, user_id: str) -> LastRun | None:
        return await self.storage.get(LastRun, user_id)

    async def ledger(self, ledger: str) -> Ledger | None:
        return await self.storage.get(Ledger, ledger)

    async def day(self, ledger: str, day: int) -> Day:
        """The day as stored, else an empty one (version 0)."""
        return await self.storage.get(Day, day_id(ledger, day)) or Day(id=day_id(ledger, day), ledger=ledger, day=day)

    async def days(self, ledger: str, first: int, last: int) -> list[Day]:
        """The days from `first` to `last`, both included, that there is anything of; oldest first."""
        found: list[Day] = []
        after: str | None = None
        while True:
            page = await self.storage.find(Day, "by_ledger", (ledger,), Range(first, last + 1), limit=PAGE, after=after)
            found.extend(page.items)
            after = page.after
            if after is None:
                return found

    async def trade(self, trade_id: str) -> ClosedTrade | None:
        return await self.storage.get(ClosedTrade, trade_id)

    async def cash(self, ledger: str, broker: str) -> Cash | None:
        return await self.storage.get(Cash, f"{ledger}/{broker}")


@dataclass(frozen=True, slots=True)
class People:
    """Users, their subscriptions, and the audit log."""

    storage: Storage

    async def user(self, user_id: str) -> UserCard | None:
        return await self.storage.get(UserCard, user_id)

    async def subscription(self, user_id: str) -> SubscriptionCard | None:
        return await self.storage.get(SubscriptionCard, user_id)

    async def audit_row(self, log_id: str) -> AuditRow | None:
        return await self.storage.get(AuditRow, log_id)
