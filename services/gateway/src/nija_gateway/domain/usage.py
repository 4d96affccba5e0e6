"""Calls counted in memory, by account, until they are told. Synchronous: counting costs a request one look-up."""

from __future__ import annotations

from dataclasses import dataclass

GLOBAL = "global"
"""The key of calls without an account."""

CAPACITY = 20_000
"""Accounts that are counted apart between two tellings; calls of further ones are counted without an account."""

FAILED_FROM = 500
"""Answers from this status on are errors: ours, not the caller's."""


@dataclass(slots=True)
class _Tally:
    calls: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """What one account (or `GLOBAL`) called from `from_ms` to `to_ms` (UTC milliseconds)."""

    user_id: str
    from_ms: int
    to_ms: int
    calls: int
    errors: int
    duration_ms: int


class Usage:
    """The counts since the last `take`."""

    def __init__(self, started_ms: int, capacity: int = CAPACITY) -> None:
        self._from_ms = started_ms
        self._capacity = capacity
        self._everybody = _Tally()
        self._users: dict[str, _Tally] = {}

    def count(self, user_id: str | None, status: int, seconds: float) -> None:
        """One call that has been answered."""
        tally = self._tally_of(user_id)
        tally.calls += 1
        tally.errors += status >= FAILED_FROM
        tally.seconds += seconds

    def _tally_of(self, user_id: str | None) -> _Tally:
        if user_id is None:
            return self._everybody
        tally = self._users.get(user_id)
        if tally is None and len(self._users) < self._capacity:
            tally = self._users[user_id] = _Tally()
        return self._everybody if tally is None else tally

    def take(self, now_ms: int) -> list[Counted]:
        """Everything counted since the last time, `GLOBAL` first and always there; counting begins anew."""
        begun, ended = self._from_ms, max(now_ms, self._from_ms)
        tallies = [(GLOBAL, self._everybody), *self._users.items()]
        self._from_ms, self._everybody, self._users = ended, _Tally(), {}
        return [
            Counted(user_id, begun, ended, tally.calls, tally.errors, round(tally.seconds * 1000))
            for user_id, tally in tallies
        ]
