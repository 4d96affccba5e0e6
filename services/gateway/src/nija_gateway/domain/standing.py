"""What the gateway knows of an account: role, status, and the tier that sets its limit.

Two halves, each with the revision of the snapshot it came from: `Account` from auth, `Allowance` from
billing. The cache holds them in memory; a newer revision always wins, wherever it came from.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from nija_common.events.identity import AccountStatus, Role
from nija_common.values.tiers import EffectiveTier, effective_at, registration_defaults

Revision = tuple[int, int]

CAPACITY = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """Auth's half."""

    revision: Revision
    role: Role
    status: AccountStatus
    tokens_valid_after_ms: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """Billing's half: the stretches of time with the tier in force."""

    revision: Revision
    effective: tuple[EffectiveTier, ...]

    def calls_per_minute(self, now_ms: int) -> int:
        return effective_at(self.effective, now_ms).limits.api_calls_per_minute


@dataclass(frozen=True, slots=True)
class Standing:
    """Both halves, as far as they are known. `looked_up`: the store has been asked for what is missing."""

    account: Account | None = None
    allowance: Allowance | None = None
    looked_up: bool = False


def default_account(role: Role) -> Account:
    """What holds for a new account before auth's first snapshot: the role of its token, active."""
    return Account((0, 0), role, "active", 0)


def default_allowance(registered_at_ms: int) -> Allowance:
    """What holds for a new account before billing's first snapshot."""
    return Allowance((0, 0), registration_defaults(registered_at_ms))


class Standings:
    """The standings used lately, by user. Synchronous: a miss is the caller's to await."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[str, Standing] = OrderedDict()

    def find(self, user_id: str) -> Standing | None:
        """What is known; None if nothing is."""
        standing = self._known.get(user_id)
        if standing is not None:
            self._known.move_to_end(user_id)
        return standing

    def put(
        self,
        user_id: str,
        *,
        account: Account | None = None,
        allowance: Allowance | None = None,
        looked_up: bool = False,
    ) -> None:
        """Takes over each half that is newer than the known one, from a snapshot or from the store alike."""
        known = self._known.get(user_id, Standing())
        if account is None or (known.account is not None and known.account.revision >= account.revision):
            account = known.account
        if allowance is None or (known.allowance is not None and known.allowance.revision >= allowance.revision):
            allowance = known.allowance
        self._known[user_id] = Standing(account, allowance, looked_up or known.looked_up)
        self._known.move_to_end(user_id)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def look_again(self, user_id: str) -> None:
        """The next call asks the store again for what is missing."""
        known = self._known.get(user_id)
        if known is not None:
            self._known[user_id] = replace(known, looked_up=False)
