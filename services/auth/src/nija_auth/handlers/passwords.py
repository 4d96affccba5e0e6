"""Changing a password, and resetting one that was forgotten."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from nija_auth.deps import Deps
from nija_auth.domain import emails
from nija_auth.domain import passwords as policy
from nija_auth.domain import sessions as rules
from nija_auth.domain.documents import PasswordReset, ResetRequest, User
from nija_auth.handlers.auditing import Origin, audit
from nija_auth.handlers.sessions import failures_key, secret_hash, wrong_credentials
from nija_auth.handlers.snapshots import end_all_sessions
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.deliveries import MailRequested
from nija_common.events.identity import SessionRevoked
from nija_common.security.tokens import invalid_token
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id

ONE_MAIL_MS = 60_000
"""At most one reset mail a minute and account."""


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """The signed-in user's wish."""

    user_id: str
    session_id: str
    current_password: str = field(repr=False)
    new_password: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class AskReset:
    """Somebody's wish for this e-mail."""

    email: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class AnswerReset:
    """A stored wish is to be answered."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ConfirmReset:
    """The mailed token, and the new password."""

    token: str = field(repr=False)
    new_password: str = field(repr=False)
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Replace:
    user_id: str
    verified_hash: str = field(repr=False)
    new_hash: str = field(repr=False)
    keep_session: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Reset:
    token_hash: str
    new_hash: str = field(repr=False)
    origin: Origin


async def change(deps: Deps, command: ChangePassword) -> None:
    """Every other session of the user ends. Raises INVALID_CREDENTIALS, WEAK_PASSWORD, TOKEN_INVALID."""
    user = await deps.people.user(command.user_id)
    if not await deps.passwords.verify(command.current_password, None if user is None else user.password_hash):
        await deps.work.run(_note_refusal, deps, command)
        raise wrong_credentials()
    assert user is not None
    new_hash = await _accepted(deps, command.new_password, user)
    replace = _Replace(user.id, user.password_hash, new_hash, command.session_id, command.origin)
    await deps.work.run(_replace, deps, replace, queue=user.id, published=True)


async def ask_reset(deps: Deps, command: AskReset, uow: UnitOfWork) -> None:
    """Stores the wish; the loop looks up whether there is such an account. Alike for everybody."""
    uow.save(
        ResetRequest(
            id=new_id("rrq"),
            email_key=emails.key_of(command.email),
            asked_ms=deps.clock.now_ms(),
            address=command.origin.address,
            user_agent=command.origin.user_agent,
        )
    )


async def answer_request(deps: Deps, command: AnswerReset, uow: UnitOfWork) -> None:
    """Asks for the mail if there is such an account; the token is in it, sealed, and here as a hash."""
    request = await deps.people.reset_request(command.request_id)
    if request is None:
        return
    uow.delete(request)
    user = await deps.people.user_of(request.email_key)
    if user is None or user.status == "disabled":
        return
    now_ms = deps.clock.now_ms()
    earlier = await deps.people.resets_of(user.id)
    if earlier and now_ms - earlier[0].created_ms < ONE_MAIL_MS:
        return
    token, mail_id = secrets.token_urlsafe(32), new_id("mail")
    expires = now_ms + rules.RESET_MS
    uow.save(PasswordReset(id=secret_hash(token), user_id=user.id, created_ms=now_ms, expires_at_ms=expires))
    origin = Origin(request.address, request.user_agent)
    uow.emit(
        MailRequested(
            user_id=user.id,
            mail_id=mail_id,
            template="reset_password",
            to=user.email,
            fields={"full_name": user.full_name},
            sealed=deps.sealer.seal(token.encode(), bound_to=mail_id),
            expires_at_ms=expires,
        ),
        audit("password_reset_requested", user.id, origin, now_ms),
    )


async def confirm_reset(deps: Deps, command: ConfirmReset) -> None:
    """Sets the password, ends every session, lifts a lock. Raises TOKEN_INVALID, TOKEN_EXPIRED, WEAK_PASSWORD."""
    token_hash = secret_hash(command.token)
    _, user = await _valid_reset(deps, token_hash)
    new_hash = await _accepted(deps, command.new_password, user)
    await deps.work.run(_reset, deps, _Reset(token_hash, new_hash, command.origin), queue=user.id, published=True)


async def _valid_reset(deps: Deps, token_hash: str) -> tuple[PasswordReset, User]:
    reset = await deps.people.reset(token_hash)
    user = None if reset is None else await deps.people.user(reset.user_id)
    if reset is None or user is None:
        raise NijaError(ErrorCode.TOKEN_INVALID, "This link is not valid, or has been used. Ask for a new one.")
    if deps.clock.now_ms() >= reset.expires_at_ms:
        raise NijaError(ErrorCode.TOKEN_EXPIRED, "This link has expired. Ask for a new one.")
    return reset, user


async def _accepted(deps: Deps, password: str, user: User) -> str:
    policy.check_length(password)
    await deps.passwords.check_strength(password, user.email, user.full_name)
    return await deps.passwords.hash(password)


async def _note_refusal(deps: Deps, command: ChangePassword, uow: UnitOfWork) -> None:
    """Somebody who is signed in does not know the password: a stolen session looks like that."""
    uow.emit(audit("password_change_refused", command.user_id, command.origin, deps.clock.now_ms()))


async def _replace(deps: Deps, command: _Replace, uow: UnitOfWork) -> None:
    user = await deps.people.user(command.user_id)
    if user is None or user.password_hash != command.verified_hash:
        raise wrong_credentials()
    sessions = await deps.people.standing_sessions(user)
    kept = [session for session in sessions if session.id == command.keep_session]
    if not kept:
        raise invalid_token("This session has ended. Log in again.")
    uow.guard(*kept)
    for session in sessions:
        if session not in kept:
            uow.delete(session)
            uow.emit(
                SessionRevoked(user_id=user.id, session_id=session.id, revoked_until_ms=None, reason="password_changed")
            )
    # A link that was mailed before would undo the change.
    uow.delete(*await deps.people.resets_of(user.id))
    uow.save(user.model_copy(update={"password_hash": command.new_hash}))
    uow.emit(audit("password_changed", user.id, command.origin, deps.clock.now_ms()))


async def _reset(deps: Deps, command: _Reset, uow: UnitOfWork) -> None:
    _, user = await _valid_reset(deps, command.token_hash)
    uow.delete(*await deps.people.resets_of(user.id))
    failures = await deps.people.failures(failures_key(deps, user.email_key))
    if failures is not None:
        uow.delete(failures)
    changed = user.model_copy(update={"password_hash": command.new_hash})
    await end_all_sessions(deps, changed, "password_reset", uow)
    uow.emit(audit("password_reset_confirmed", user.id, command.origin, deps.clock.now_ms()))
