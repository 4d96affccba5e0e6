"""Which sessions have ended, in memory: what the last 25 hours of `nija-sessions` say. Tokens live 24 hours.

Gateway and notifier each rebuild this at their start and follow the bus from there.
"""

from __future__ import annotations

from collections import OrderedDict

from nija_common.events.identity import SessionRevoked

KEPT_MS = 25 * 3_600_000


class Revocations:
    """Ended sessions by id, and per user the moment up to which sessions have ended."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, int] = OrderedDict()
        self._users: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def add(self, event: SessionRevoked, at_ms: int) -> None:
        """Remembers it, and forgets what no living token can carry any more."""
        if event.session_id is not None:
            self._sessions[event.session_id] = at_ms
            self._sessions.move_to_end(event.session_id)
        if event.revoked_until_ms is not None:
            self.end_until(event.user_id, event.revoked_until_ms, at_ms)
        self.forget(at_ms)

    def end_until(self, user_id: str, until_ms: int, at_ms: int) -> None:
        """Every session of the user that began at or before `until_ms` has ended."""
        self._users[user_id] = (at_ms, max(until_ms, self._users.get(user_id, (0, 0))[1]))
        self._users.move_to_end(user_id)

    def __len__(self) -> int:
        return len(self._sessions) + len(self._users)

    def forget(self, now_ms: int) -> None:
        """Drops what no living token can carry any more."""
        before_ms = now_ms - KEPT_MS
        while self._sessions and next(iter(self._sessions.values())) < before_ms:
            self._sessions.popitem(last=False)
        while self._users and next(iter(self._users.values()))[0] < before_ms:
            self._users.popitem(last=False)

    def ended(self, user_id: str, session_id: str, session_at_ms: int) -> bool:
        """Whether that session, created at `session_at_ms`, has ended."""
        if session_id in self._sessions:
            return True
        entry = self._users.get(user_id)
        return entry is not None and session_at_ms <= entry[1]
