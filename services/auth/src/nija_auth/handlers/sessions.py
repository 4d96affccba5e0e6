"""Login, refresh, logout."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from nija_auth.deps import Deps
from nija_auth.domain import emails
from nija_auth.domain import sessions as rules
from nija_auth.domain.documents import LoginFailures, Session, User
from nija_auth.handlers import keys
from nija_auth.handlers.auditing import Origin, audit
from nija_auth.handlers.snapshots import end_all_sessions
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.identity import SessionRevoked
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id


@dataclass(frozen=True, slots=True)
class LogIn:
    """What the person sent."""

    email: str
    password: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session's tokens. The refresh token is shown once and kept as a hash."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogOut:
    """End this session, or all."""

    user_id: str
    session_id: str
    everywhere: bool
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Failed:
    key: str
    user_id: str | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Refused:
    user_id: str
    code: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Open:
    user_id: str
    key: str
    verified_hash: str = field(repr=False)
    new_hash: str | None = field(repr=False)
    refresh_hash: str = field(repr=False)
    origin: Origin


def secret_hash(token: str) -> str:
    """How refresh and reset tokens are kept: they are random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def failures_key(deps: Deps, email_key: str) -> str:
    """The id of an e-mail's failed logins. Keyed, because whoever reads the table could guess addresses otherwise."""
    return deps.sealer.keyed_hash(email_key.encode(), purpose="auth/login-failures")


async def log_in(deps: Deps, command: LogIn) -> SignedIn:
    """A new session.

    Raises INVALID_CREDENTIALS alike for unknown e-mails and wrong passwords, RATE_LIMIT_EXCEEDED while locked,
    ACCOUNT_SUSPENDED, ACCOUNT_DISABLED.
    """
    email_key = emails.key_of(command.email)
    key = failures_key(deps, email_key)
    rules.check_lock(await deps.people.failures(key), deps.clock.now_ms())
    user = await deps.people.user_of(email_key)
    right = await deps.passwords.verify(command.password, None if user is None else user.password_hash)
    if user is None or not right:
        failed = _Failed(key, None if user is None else user.id, command.origin)
        await deps.work.run(_count_failure, deps, failed, queue=key)
        raise wrong_credentials()
    try:
        rules.may_sign_in(user)
    except NijaError as refusal:
        await deps.work.run(_note_refusal, deps, _Refused(user.id, refusal.code.value, command.origin))
        raise
    new_hash = await deps.passwords.hash(command.password) if deps.passwords.outdated(user.password_hash) else None
    refresh_token = secrets.token_urlsafe(32)
    opened = _Open(user.id, key, user.password_hash, new_hash, secret_hash(refresh_token), command.origin)
    owner, session = await deps.work.run(_open_session, deps, opened, queue=user.id)
    return SignedIn(owner, await keys.access_token(deps, owner, session), refresh_token)


async def refresh(deps: Deps, refresh_token: str) -> str:
    """A new access token of the session. Raises TOKEN_INVALID, TOKEN_EXPIRED, ACCOUNT_SUSPENDED, ACCOUNT_DISABLED."""
    found = await deps.people.session_of(secret_hash(refresh_token))
    owner = None if found is None else await deps.people.user(found.user_id)
    user, session = rules.may_refresh(owner, found, deps.clock.now_ms())
    return await keys.access_token(deps, user, session)


async def log_out(deps: Deps, command: LogOut, uow: UnitOfWork) -> None:
    """Ends the session, or every one; saying it again changes nothing."""
    now_ms = deps.clock.now_ms()
    if command.everywhere:
        user = await deps.people.user(command.user_id)
        if user is not None:
            await end_all_sessions(deps, user, "logout_all", uow)
    else:
        session = await deps.people.session(command.session_id)
        if session is not None and session.user_id == command.user_id:
            uow.delete(session)
        uow.emit(
            SessionRevoked(
                user_id=command.user_id, session_id=command.session_id, revoked_until_ms=None, reason="logout"
            )
        )
    uow.emit(audit("user_logout", command.user_id, command.origin, now_ms, everywhere=command.everywhere))


async def _count_failure(deps: Deps, command: _Failed, uow: UnitOfWork) -> None:
    now_ms = deps.clock.now_ms()
    failures = await deps.people.failures(command.key)
    uow.save(rules.one_more_failure(failures, command.key, now_ms))
    # Nobody's failure is recorded as well, so that both take the same time.
    about = command.user_id or "global"
    uow.emit(audit("user_login", about, command.origin, now_ms, login_method="email_password", success=False))


async def _note_refusal(deps: Deps, command: _Refused, uow: UnitOfWork) -> None:
    """The password was right, the account may not sign in."""
    uow.emit(
        audit(
            "user_login",
            command.user_id,
            command.origin,
            deps.clock.now_ms(),
            login_method="email_password",
            success=False,
            refused=command.code,
        )
    )


async def _open_session(deps: Deps, command: _Open, uow: UnitOfWork) -> tuple[User, Session]:
    now_ms = deps.clock.now_ms()
    user = await deps.people.user(command.user_id)
    if user is None or user.password_hash != command.verified_hash:
        raise wrong_credentials()
    rules.may_sign_in(user)
    failures: LoginFailures | None = await deps.people.failures(command.key)
    rules.check_lock(failures, now_ms)
    if failures is not None:
        uow.delete(failures)
    if command.new_hash is not None:
        user = user.model_copy(update={"password_hash": command.new_hash})
    # Written even where nothing changed: whoever ends this user's sessions in another process meanwhile reads again.
    uow.save(user)
    created = rules.session_start(user, now_ms)
    session = Session(
        id=new_id("ses"),
        user_id=user.id,
        refresh_hash=command.refresh_hash,
        created_ms=created,
        expires_at_ms=now_ms + rules.REFRESH_MS,
    )
    uow.save(session)
    uow.emit(audit("user_login", user.id, command.origin, now_ms, login_method="email_password", success=True))
    return user, session


def wrong_credentials() -> NijaError:
    return NijaError(ErrorCode.INVALID_CREDENTIALS, "E-mail or password is incorrect.")
