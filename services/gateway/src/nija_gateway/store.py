"""The gateway's own database: the standings of accounts, kept from auth's and billing's snapshots.

Two collections, one a half, because the two topics are applied side by side: one document for both would
make their commits conflict for every new account.
"""

from __future__ import annotations

from typing import ClassVar

from nija_common.events.identity import AccountStatus, Role
from nija_common.storage.port import Storage
from nija_common.values.document import Collection, Document
from nija_common.values.tiers import EffectiveTier
from nija_gateway.domain.standing import Account, Allowance, Standings


class StandingDocument(Document):
    """Auth's half, by user id."""

    collection: ClassVar[Collection] = Collection("standings")

    incarnation: int
    number: int
    role: Role
    status: AccountStatus
    tokens_valid_after_ms: int

    def account(self) -> Account:
        return Account((self.incarnation, self.number), self.role, self.status, self.tokens_valid_after_ms)


class AllowanceDocument(Document):
    """Billing's half, by user id."""

    collection: ClassVar[Collection] = Collection("allowances")

    incarnation: int
    number: int
    effective: tuple[EffectiveTier, ...]

    def allowance(self) -> Allowance:
        return Allowance((self.incarnation, self.number), self.effective)


COLLECTIONS = (StandingDocument, AllowanceDocument)


class StandingStore:
    """Named reads of standings, and the way from the store into memory."""

    def __init__(self, storage: Storage, memory: Standings) -> None:
        self._storage = storage
        self._memory = memory

    async def standing_of(self, user_id: str) -> StandingDocument | None:
        return await self._storage.get(StandingDocument, user_id)

    async def allowance_of(self, user_id: str) -> AllowanceDocument | None:
        return await self._storage.get(AllowanceDocument, user_id)

    async def load(self, user_id: str) -> None:
        """Takes what the store has into memory; what a broadcast has brought meanwhile stays if it is newer."""
        standing = await self.standing_of(user_id)
        allowance = await self.allowance_of(user_id)
        self._memory.put(
            user_id,
            account=standing.account() if standing is not None else None,
            allowance=allowance.allowance() if allowance is not None else None,
            looked_up=True,
        )
