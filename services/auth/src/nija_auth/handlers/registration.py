"""A person registers."""

from __future__ import annotations

from dataclasses import dataclass, field

from nija_auth.deps import Deps
from nija_auth.domain import emails, passwords
from nija_auth.domain.documents import User
from nija_auth.handlers.auditing import Origin, audit
from nija_auth.handlers.snapshots import snapshot
from nija_common.errors import ErrorCode, NijaError
from nija_common.events.deliveries import MailRequested
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import derived_id, new_id
from nija_common.values.tiers import registration_defaults
from nija_common.values.times import DAY_MS, day_of

WELCOME_MS = 3 * DAY_MS
"""How long a greeting is worth sending."""


@dataclass(frozen=True, slots=True)
class Register:
    """What the person sent."""

    email: str
    password: str = field(repr=False)
    full_name: str
    accept_terms: bool
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Insert:
    email: str
    full_name: str
    password_hash: str = field(repr=False)
    origin: Origin


async def register(deps: Deps, command: Register) -> User:
    """The new user.

    Raises TERMS_NOT_ACCEPTED, INVALID_EMAIL, WEAK_PASSWORD, EMAIL_ALREADY_EXISTS.
    """
    if not command.accept_terms:
        raise NijaError(ErrorCode.TERMS_NOT_ACCEPTED, "Accept the terms of service to register.")
    email = emails.checked(command.email)
    passwords.check_length(command.password)
    await deps.passwords.check_strength(command.password, email, command.full_name)
    if await deps.people.user_of(emails.key_of(email)) is not None:
        raise already_registered()
    password_hash = await deps.passwords.hash(command.password)
    insert = _Insert(email, command.full_name, password_hash, command.origin)
    return await deps.work.run(_insert, deps, insert, published=True)


async def _insert(deps: Deps, command: _Insert, uow: UnitOfWork) -> User:
    if await deps.people.user_of(emails.key_of(command.email)) is not None:
        raise already_registered()
    user = User(
        id=new_id("usr"),
        email=command.email,
        email_key=emails.key_of(command.email),
        full_name=command.full_name,
        password_hash=command.password_hash,
        registered_at_ms=deps.clock.now_ms(),
    )
    uow.save(user)
    uow.emit(
        snapshot(user),
        _welcome(user),
        audit("user_registered", user.id, command.origin, user.registered_at_ms),
    )
    return user


def _welcome(user: User) -> MailRequested:
    """The mail that greets a new account. An account that has the address by mistake shows itself this way too."""
    trial_ends_ms = registration_defaults(user.registered_at_ms)[-1].from_ms
    return MailRequested(
        user_id=user.id,
        mail_id=derived_id("mail", "welcome", user.id),
        template="welcome",
        to=user.email,
        fields={"full_name": user.full_name, "trial_ends": day_of(trial_ends_ms)},
        sealed=None,
        expires_at_ms=user.registered_at_ms + WELCOME_MS,
    )


def already_registered() -> NijaError:
    return NijaError(ErrorCode.EMAIL_ALREADY_EXISTS, "This e-mail address is registered already. Log in instead.")
