"""How auth keeps people, sessions and keys; each read is a named query over a declared index."""

from __future__ import annotations

from dataclasses import dataclass

from nija_auth.domain.documents import (
    DOCUMENTS,
    AdminNote,
    Keyring,
    LoginFailures,
    PaidTier,
    PasswordReset,
    ResetRequest,
    Session,
    TierOverride,
    User,
)
from nija_common.storage.port import Range, Storage
from nija_common.storage.remembered import IdempotentRequest
from nija_common.values.document import Document

COLLECTIONS: tuple[type[Document], ...] = (*DOCUMENTS, IdempotentRequest)
KEYRING = "keyring"
PAGE = 200


@dataclass(frozen=True, slots=True)
class People:
    """Auth's queries."""

    storage: Storage

    async def user(self, user_id: str) -> User | None:
        return await self.storage.get(User, user_id)

    async def user_of(self, email_key: str) -> User | None:
        page = await self.storage.find(User, "by_email", (email_key,), limit=1)
        return page.items[0] if page.items else None

    async def session(self, session_id: str) -> Session | None:
        return await self.storage.get(Session, session_id)

    async def session_of(self, refresh_hash: str) -> Session | None:
        page = await self.storage.find(Session, "by_refresh", (refresh_hash,), limit=1)
        return page.items[0] if page.items else None

    async def newest_session(self, user_id: str) -> Session | None:
        page = await self.storage.find(Session, "by_user", (user_id,), limit=1, descending=True)
        return page.items[0] if page.items else None

    async def standing_sessions(self, user: User) -> list[Session]:
        """Those that no "revoke all" has ended."""
        since = Range(low=user.tokens_valid_after_ms + 1)
        found: list[Session] = []
        after: str | None = None
        while True:
            page = await self.storage.find(Session, "by_user", (user.id,), since, limit=PAGE, after=after)
            found += page.items
            after = page.after
            if after is None:
                return found

    async def failures(self, key: str) -> LoginFailures | None:
        return await self.storage.get(LoginFailures, key)

    async def reset(self, token_hash: str) -> PasswordReset | None:
        return await self.storage.get(PasswordReset, token_hash)

    async def resets_of(self, user_id: str) -> list[PasswordReset]:
        page = await self.storage.find(PasswordReset, "by_user", (user_id,), limit=PAGE, descending=True)
        return list(page.items)

    async def reset_requests(self) -> list[ResetRequest]:
        page = await self.storage.find(ResetRequest, "by_time", limit=PAGE)
        return list(page.items)

    async def any_sessions(self) -> list[Session]:
        """Some, as long as there are any."""
        return list((await self.storage.find(Session, "by_expiry", limit=PAGE)).items)

    async def any_resets(self) -> list[PasswordReset]:
        """Some, as long as there are any."""
        return list((await self.storage.find(PasswordReset, "by_expiry", limit=PAGE)).items)

    async def keyring(self) -> Keyring | None:
        return await self.storage.get(Keyring, KEYRING)

    async def paid_tier(self, user_id: str) -> PaidTier | None:
        return await self.storage.get(PaidTier, user_id)

    async def tier_override(self, user_id: str) -> TierOverride | None:
        return await self.storage.get(TierOverride, user_id)

    async def notes_of(self, user_id: str) -> list[AdminNote]:
        """The newest first, at most a page."""
        page = await self.storage.find(AdminNote, "by_user", (user_id,), limit=PAGE, descending=True)
        return list(page.items)

    async def reset_request(self, request_id: str) -> ResetRequest | None:
        return await self.storage.get(ResetRequest, request_id)

    async def expired(self, now_ms: int, *, ended_before_ms: int) -> list[Session | LoginFailures | PasswordReset]:
        """Rows that nobody will ask for again, some of each kind: locks that are over by `now_ms`, sessions and links
        that ended before the other moment."""
        ended = Range(high=ended_before_ms)
        sessions = await self.storage.find(Session, "by_expiry", (), ended, limit=PAGE)
        failures = await self.storage.find(LoginFailures, "by_expiry", (), Range(high=now_ms), limit=PAGE)
        resets = await self.storage.find(PasswordReset, "by_expiry", (), ended, limit=PAGE)
        return [*sessions.items, *failures.items, *resets.items]
