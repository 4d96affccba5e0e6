"""Which sessions have ended, in memory: rebuilt at each start from the last 25 hours of the bus.

A token lives 24 hours, so an end that is older than 25 has nothing left to refuse.
"""

from __future__ import annotations

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.identity import AccountStatus, SessionRevoked, UserSnapshot
from nija_common.security.tokens import Claims, invalid_token

KEPT_MS = 25 * 3_600_000

_REFUSED: dict[AccountStatus, NijaError] = {
    "suspended": NijaError(ErrorCode.ACCOUNT_SUSPENDED, "This account is suspended. Write to support."),
    "disabled": NijaError(ErrorCode.ACCOUNT_DISABLED, "This account is disabled. Write to support."),
}


class Revocations:
    """Ended sessions, and accounts whose sessions all ended. Holds only exceptions: nothing for the other accounts."""

    def __init__(self) -> None:
        self._sessions: dict[str, int] = {}
        self._until: dict[str, tuple[int, int]] = {}
        self._standing: dict[str, AccountStatus] = {}

    def session_ended(self, event: SessionRevoked, at_ms: int) -> None:
        """One session (`session_id`), or all that began at or before `revoked_until_ms`."""
        if event.session_id is not None:
            self._sessions[event.session_id] = at_ms
        if event.revoked_until_ms is not None:
            self._revoke_until(event.user_id, event.revoked_until_ms, at_ms)

    def user_changed(self, event: UserSnapshot, at_ms: int) -> None:
        """An account's standing, and the moment before which its tokens end."""
        if event.status == "active":
            self._standing.pop(event.user_id, None)
        else:
            self._standing[event.user_id] = event.status
        if event.tokens_valid_after_ms > 0:
            self._revoke_until(event.user_id, event.tokens_valid_after_ms - 1, at_ms)

    def _revoke_until(self, user_id: str, until_ms: int, at_ms: int) -> None:
        known = self._until.get(user_id)
        if known is None or known[0] <= until_ms:
            self._until[user_id] = (until_ms, at_ms)

    def refusal(self, claims: Claims) -> NijaError | None:
        """Why these claims are no good any more; None if they are."""
        standing = self._standing.get(claims.user_id)
        if standing is not None:
            return _REFUSED[standing]
        until = self._until.get(claims.user_id)
        if claims.session_id in self._sessions or (until is not None and claims.session_at_ms <= until[0]):
            return invalid_token("This session has ended. Log in again.")
        return None

    def forget(self, now_ms: int) -> None:
        """Drops what no living token can meet."""
        oldest = now_ms - KEPT_MS
        for session_id in [s for s, at_ms in self._sessions.items() if at_ms < oldest]:
            del self._sessions[session_id]
        for user_id in [u for u, (_, at_ms) in self._until.items() if at_ms < oldest]:
            del self._until[user_id]

    def __len__(self) -> int:
        return len(self._sessions) + len(self._until) + len(self._standing)
