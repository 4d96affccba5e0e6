"""Admission: one synchronous function for every edge. Token, revocation, standing, role, rate window.

On what is not in memory (a signing key, a standing, tokens of a shared window) it answers with a `Miss`:
the edge awaits it and asks again. Suspension for a failed payment is not looked at here; it refuses some
operations only, and the services that own those do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from nija_common.errors import ErrorCode, NijaError, unavailable
from nija_common.security.revocations import Revocations
from nija_common.security.tokens import Claims, TokenVerifier, UnknownKey, bearer_token, invalid_token
from nija_common.values.tiers import DEFAULTS_HOLD_MS, LIMITS, Tier
from nija_gateway.domain.routes import LimitClass
from nija_gateway.domain.standing import (
    Account,
    Allowance,
    Standings,
    default_account,
    default_allowance,
)
from nija_gateway.domain.windows import (
    CALLS,
    LOGINS,
    OPEN_CALLS,
    REGISTER_TRIES,
    REGISTRATIONS,
    STOPS,
    WEBHOOKS_REFUSED,
    RateWindows,
    Taken,
    Window,
)

ADMIN_CALLS = LIMITS[Tier.ENTERPRISE].api_calls_per_minute


@dataclass(frozen=True, slots=True)
class Allowed:
    """How often: every limit that is a setting. Calls of users are their tier's."""

    stops: int
    registrations: int
    register_tries: int
    logins: int
    open_calls: int
    webhooks_refused: int


@dataclass(frozen=True, slots=True)
class Miss:
    """Something is not in memory. Await `fetch` (raises NijaError where it cannot be had), then ask again."""

    fetch: Callable[[], Awaitable[None]]


class Refused(NamedTuple):
    """Not let in. `rate` and `claims` are there where the call was authenticated and counted."""

    error: NijaError
    rate: Taken | None = None
    claims: Claims | None = None


class Admitted(NamedTuple):
    """Let in. `held` is a token of `REGISTRATIONS` that goes back unless the call makes an account."""

    claims: Claims | None = None
    rate: Taken | None = None
    held: Taken | None = None


Outcome = Miss | Refused | Admitted


class Admission:
    """Everything a decision at the edge rests on, in memory."""

    def __init__(
        self,
        *,
        tokens: TokenVerifier,
        revocations: Revocations,
        standings: Standings,
        load_standing: Callable[[str], Awaitable[None]],
        windows: RateWindows,
        allowed: Allowed,
    ) -> None:
        self._tokens = tokens
        self._revocations = revocations
        self._standings = standings
        self._load_standing = load_standing
        self._windows = windows
        self._allowed = allowed

    def caller(self, authorization: str | None, limit: LimitClass, now_ms: int, *, admin: bool = False) -> Outcome:
        """A call that needs a signed-in user, or an administrator. `limit`: USER or STOP."""
        try:
            token = bearer_token(authorization)
            claims = self._tokens.verify_now(token)
        except UnknownKey:
            return Miss(lambda: self._fetch_keys(token))
        except NijaError as error:
            return Refused(_without_frames(error))
        return self.signed_in(claims, limit, now_ms, admin=admin)

    def header(self, authorization: bytes | None, limit: LimitClass, now_ms: int, *, admin: bool = False) -> Outcome:
        """The same for a header as it came; one that has come before costs a look-up."""
        claims = self._tokens.seen(authorization, now_ms) if authorization is not None else None
        if claims is not None:
            return self.signed_in(claims, limit, now_ms, admin=admin)
        text = authorization.decode("latin-1") if authorization is not None else None
        outcome = self.caller(text, limit, now_ms, admin=admin)
        if authorization is not None and isinstance(outcome, Admitted) and outcome.claims is not None:
            self._tokens.remember(authorization, outcome.claims)
        return outcome

    def signed_in(self, claims: Claims, limit: LimitClass, now_ms: int, *, admin: bool = False) -> Outcome:
        """Whoever holds a token that is valid: session, standing, role, rate window."""
        if self._revocations.ended(claims.user_id, claims.session_id, claims.session_at_ms):
            return Refused(_session_ended())
        known = self._halves(claims, now_ms)
        if isinstance(known, Miss | Refused):
            return known
        account, allowance = known
        if claims.session_at_ms <= account.tokens_valid_after_ms:
            return Refused(_session_ended())
        calls = ADMIN_CALLS if claims.role == "admin" else allowance.calls_per_minute(now_ms)
        window, most = (STOPS, self._allowed.stops) if limit is LimitClass.STOP else (CALLS, calls)
        rate = self._windows.take(window, claims.user_id, most)
        if rate is None:
            return self._tokens_missing(window, claims.user_id, most)
        if account.status != "active" or (admin and claims.role != "admin"):
            return Refused(_standing_refusal(account) or _not_admin(), rate, claims)
        if not rate.granted:
            return Refused(_too_many(rate), rate, claims)
        return Admitted(claims, rate)

    def _halves(self, claims: Claims, now_ms: int) -> tuple[Account, Allowance] | Miss | Refused:
        standing = self._standings.find(claims.user_id)
        if standing is not None:
            account, allowance = standing.account, standing.allowance
            if account is not None and allowance is not None:
                return account, allowance
        if standing is None or not standing.looked_up:
            return Miss(lambda: self._load_standing(claims.user_id))
        if now_ms - claims.registered_at_ms >= DEFAULTS_HOLD_MS:
            self._standings.look_again(claims.user_id)
            return Refused(unavailable("Your account is not known here yet. Try again."))
        return (
            standing.account or default_account(claims.role),
            standing.allowance or default_allowance(claims.registered_at_ms),
        )

    async def _fetch_keys(self, token: str) -> None:
        await self._tokens.verify(token)

    def address(self, limit: LimitClass, address: str) -> Outcome:
        """A call without a token, counted by address (`addresses.counted_as`)."""
        allowed = self._allowed
        if limit is LimitClass.NONE:
            return Admitted()
        if limit is LimitClass.WEBHOOK:
            full = self._windows.full(WEBHOOKS_REFUSED, address, allowed.webhooks_refused)
            return Admitted() if full is None else Refused(_too_many(full))
        if limit is LimitClass.REGISTER:
            return self._registration(address)
        window, most = (LOGINS, allowed.logins) if limit is LimitClass.LOGIN else (OPEN_CALLS, allowed.open_calls)
        return self._one_of(window, address, most)

    def _registration(self, address: str) -> Outcome:
        """A try is counted always; the account-to-be is held now, so that calls at once make no more than allowed."""
        held = self._windows.take(REGISTRATIONS, address, self._allowed.registrations)
        if held is None:
            return self._tokens_missing(REGISTRATIONS, address, self._allowed.registrations)
        tried = self._one_of(REGISTER_TRIES, address, self._allowed.register_tries)
        if isinstance(tried, Admitted) and held.granted:
            return Admitted(held=held)
        if held.granted:
            self._windows.give_back(REGISTRATIONS, address, held)
        return tried if not isinstance(tried, Admitted) else Refused(_too_many(held))

    def _one_of(self, window: Window, key: str, limit: int) -> Outcome:
        taken = self._windows.take(window, key, limit)
        if taken is None:
            return self._tokens_missing(window, key, limit)
        return Admitted() if taken.granted else Refused(_too_many(taken))

    def _tokens_missing(self, window: Window, key: str, limit: int) -> Miss:
        return Miss(lambda: self._windows.fetch(window, key, limit))

    def not_registered(self, address: str, held: Taken) -> None:
        """The call made no account: what it held goes back."""
        self._windows.give_back(REGISTRATIONS, address, held)

    async def webhook_refused(self, address: str) -> None:
        """A webhook's key was wrong."""
        await self._windows.count(WEBHOOKS_REFUSED, address, self._allowed.webhooks_refused)


def _without_frames(error: NijaError) -> NijaError:
    """An error that is kept must not keep the calls it came through: they lead back to it, and only a search for cycles
    would ever free them, with the request and its bytes."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _standing_refusal(account: Account) -> NijaError | None:
    if account.status == "suspended":
        return NijaError(ErrorCode.ACCOUNT_SUSPENDED, "This account has been suspended. Contact support.")
    if account.status == "disabled":
        return NijaError(ErrorCode.ACCOUNT_DISABLED, "This account has been disabled. Contact support.")
    return None


def _not_admin() -> NijaError:
    return NijaError(ErrorCode.UNAUTHORIZED, "Only administrators may do this.")


def _session_ended() -> NijaError:
    return invalid_token("This session has ended. Log in again.")


def _too_many(taken: Taken) -> NijaError:
    return NijaError(
        ErrorCode.RATE_LIMIT_EXCEEDED,
        f"Too many requests. Try again in {taken.retry_after_s} s.",
        {"limit": taken.limit, "retry_after": taken.retry_after_s},
        retry_after=taken.retry_after_s,
    )
