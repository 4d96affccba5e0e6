"""How accounts keeps settings and its read models; each read is a named query over a declared index."""

from __future__ import annotations

from dataclasses import dataclass

from nija_accounts.domain.allowance import Allowance
from nija_accounts.domain.settings import Settings
from nija_common.storage.port import Storage

COLLECTIONS = (Settings, Allowance)


@dataclass(frozen=True, slots=True)
class UserSettings:
    """Settings by user, and the tier that bounds them."""

    storage: Storage

    async def of(self, user_id: str) -> Settings:
        """The stored settings, else the defaults of a new account (version 0)."""
        return await self.storage.get(Settings, user_id) or Settings(id=user_id)

    async def allowance(self, user_id: str) -> Allowance | None:
        return await self.storage.get(Allowance, user_id)
