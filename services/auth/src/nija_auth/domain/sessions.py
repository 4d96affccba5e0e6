"""Rules of sessions, lockout and signing keys."""

from __future__ import annotations

from nija_auth.domain.documents import Keyring, LoginFailures, Session, SigningKey, User
from nija_common.errors import ErrorCode, NijaError
from nija_common.security.tokens import Claims
from nija_common.values.times import DAY_MS

ACCESS_SECONDS = 86_400
REFRESH_MS = 30 * DAY_MS
RESET_MS = 3_600_000
FAILURES_ALLOWED = 10
LOCK_MS = 15 * 60_000
PUBLISH_AHEAD_MS = 10 * 60_000
"""A new key is in the key set this long before it signs, twice as long as verifiers keep theirs."""
RETIRE_MARGIN_MS = 10 * 60_000
REMEMBERED_MS = 7 * DAY_MS
"""Sessions and reset links are kept this long after their end, so that the answer says "expired", not "unknown"."""


def session_start(user: User, now_ms: int) -> int:
    """`sat` of a new session: now, and in any case after the last "revoke all"."""
    return max(now_ms, user.tokens_valid_after_ms + 1)


def claims_of(user: User, session: Session, now_ms: int) -> Claims:
    """The claims of an access token issued now."""
    issued = now_ms // 1000
    return Claims(
        user_id=user.id,
        session_id=session.id,
        role=user.role,
        issued_at=issued,
        expires_at=issued + ACCESS_SECONDS,
        session_at_ms=session.created_ms,
        registered_at_ms=user.registered_at_ms,
    )


def may_sign_in(user: User) -> None:
    """Raises ACCOUNT_SUSPENDED or ACCOUNT_DISABLED: an administrator's decision, not a failed payment."""
    if user.status == "suspended":
        raise NijaError(ErrorCode.ACCOUNT_SUSPENDED, "This account has been suspended. Write to support.")
    if user.status == "disabled":
        raise NijaError(ErrorCode.ACCOUNT_DISABLED, "This account has been disabled. Write to support.")


def may_refresh(user: User | None, session: Session | None, now_ms: int) -> tuple[User, Session]:
    """Both, if the session still stands. Raises TOKEN_INVALID, TOKEN_EXPIRED, ACCOUNT_SUSPENDED, ACCOUNT_DISABLED."""
    if session is None or user is None:
        raise _no_session()
    # First of all the account: suspending ends its sessions as well, and the person is to learn why.
    may_sign_in(user)
    if session.created_ms <= user.tokens_valid_after_ms:
        raise _no_session()
    if now_ms >= session.expires_at_ms:
        raise NijaError(ErrorCode.TOKEN_EXPIRED, "This refresh token has expired. Log in again.")
    return user, session


def _no_session() -> NijaError:
    return NijaError(ErrorCode.TOKEN_INVALID, "This refresh token is not valid. Log in again.")


def sessions_end(user: User, newest: Session | None, now_ms: int) -> int:
    """The moment up to which sessions have ended after a "revoke all": now, and no earlier than any of them began.

    A session's `sat` lies ahead of the clock where it began in the millisecond of the last "revoke all", or where
    the clock has been set back since.
    """
    return max(now_ms, user.tokens_valid_after_ms, 0 if newest is None else newest.created_ms)


def check_lock(failures: LoginFailures | None, now_ms: int) -> None:
    """Raises RATE_LIMIT_EXCEEDED while locked, whatever the password."""
    if failures is not None and now_ms < failures.locked_until_ms:
        seconds = -(-(failures.locked_until_ms - now_ms) // 1000)
        raise NijaError(
            ErrorCode.RATE_LIMIT_EXCEEDED,
            "Too many failed logins. Wait, or reset the password.",
            retry_after=seconds,
        )


def one_more_failure(failures: LoginFailures | None, key: str, now_ms: int) -> LoginFailures:
    """The tenth failure locks for 15 minutes; a quarter of an hour without one forgets them.

    Raises RATE_LIMIT_EXCEEDED while locked: a failure that was on its way when the lock fell must not lift it.
    """
    check_lock(failures, now_ms)
    version = 0 if failures is None else failures.version
    count = 1 if failures is None or now_ms >= failures.expires_at_ms else failures.count + 1
    locked = count >= FAILURES_ALLOWED
    return LoginFailures(
        id=key,
        version=version,
        count=0 if locked else count,
        locked_until_ms=now_ms + LOCK_MS if locked else 0,
        expires_at_ms=now_ms + LOCK_MS,
    )


def active_key(keyring: Keyring, now_ms: int) -> SigningKey | None:
    """The newest key that may sign."""
    begun = [key for key in keyring.keys if key.active_from_ms <= now_ms]
    return begun[-1] if begun else None


def rotated(keyring: Keyring, fresh: SigningKey) -> Keyring:
    """With a new key that signs from its `active_from_ms` on; older ones stay until their last token has expired."""
    retire = fresh.active_from_ms + ACCESS_SECONDS * 1000 + RETIRE_MARGIN_MS
    kept = [
        key if key.retire_at_ms is not None else key.model_copy(update={"retire_at_ms": retire})
        for key in keyring.keys
        if key.retire_at_ms is None or key.retire_at_ms > fresh.created_ms
    ]
    return keyring.model_copy(update={"keys": (*kept, fresh)})


def published(keyring: Keyring, now_ms: int) -> list[dict[str, str]]:
    """The public halves that verifiers may need."""
    return [key.public for key in keyring.keys if key.retire_at_ms is None or key.retire_at_ms > now_ms]
