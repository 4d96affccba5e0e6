"""Why a token is no good any more: its session has ended, or an administrator has suspended or disabled the account."""

from __future__ import annotations

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.identity import AccountStatus, SessionRevoked, UserSnapshot
from nija_common.security.revocations import Revocations
from nija_common.security.tokens import Claims, invalid_token


class Refusals:
    """Ended sessions, and accounts that may not sign in. Holds only exceptions: nothing for the other accounts."""

    def __init__(self) -> None:
        self._ended = Revocations()
        self._standing: dict[str, AccountStatus] = {}

    def session_ended(self, event: SessionRevoked, at_ms: int) -> None:
        """One session (`session_id`), or all that began at or before `revoked_until_ms`."""
        self._ended.add(event, at_ms)

    def user_changed(self, event: UserSnapshot, at_ms: int) -> None:
        """An account's standing, and the moment up to which its sessions have ended."""
        if event.status == "active":
            self._standing.pop(event.user_id, None)
        else:
            self._standing[event.user_id] = event.status
        if event.tokens_valid_after_ms > 0:
            self._ended.end_until(event.user_id, event.tokens_valid_after_ms, at_ms)

    def refusal(self, claims: Claims) -> NijaError | None:
        """Why these claims are no good any more; None if they are."""
        standing = self._standing.get(claims.user_id)
        if standing == "suspended":
            return NijaError(ErrorCode.ACCOUNT_SUSPENDED, "This account is suspended. Write to support.")
        if standing == "disabled":
            return NijaError(ErrorCode.ACCOUNT_DISABLED, "This account is disabled. Write to support.")
        if self._ended.ended(claims.user_id, claims.session_id, claims.session_at_ms):
            return invalid_token("This session has ended. Log in again.")
        return None

    def forget(self, now_ms: int) -> None:
        """Drops what no living token can meet."""
        self._ended.forget(now_ms)

    def __len__(self) -> int:
        return len(self._ended) + len(self._standing)
