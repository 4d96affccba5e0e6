"""The first administrator comes from here, never from registration."""

from __future__ import annotations

from dataclasses import dataclass, field

from nija_auth.deps import Deps
from nija_auth.domain import emails, passwords
from nija_auth.domain.documents import User
from nija_auth.handlers.auditing import Origin, audit
from nija_auth.handlers.sessions import failures_key
from nija_auth.handlers.snapshots import end_all_sessions, snapshot
from nija_auth.settings import FirstAdminSettings
from nija_common.errors import ErrorCode, NijaError, SettingsError
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.ids import new_id

FULL_NAME = "Administrator"


@dataclass(frozen=True, slots=True)
class CreateAdmin:
    """Who, and the password the account will have, also where it exists already."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Admit:
    email: str
    password_hash: str = field(repr=False)


async def create_admin(deps: Deps, command: CreateAdmin) -> User:
    """Makes an administrator, or makes an account one: its password is replaced, a lock lifted, and its sessions end.

    Raises INVALID_EMAIL, WEAK_PASSWORD.
    """
    email = emails.checked(command.email)
    passwords.check_length(command.password)
    await deps.passwords.check_strength(command.password, email, FULL_NAME)
    admit = _Admit(email, await deps.passwords.hash(command.password))
    return await deps.work.run(_admit, deps, admit)


async def ensure_first_admin(deps: Deps, settings: FirstAdminSettings) -> None:
    """Makes the administrator of the settings unless that e-mail has an account: a restart takes back no change of
    password or role. Raises SettingsError."""
    if settings.email is None and settings.password is None:
        return
    if settings.email is None or settings.password is None:
        raise SettingsError("NIJA_FIRST_ADMIN__EMAIL and NIJA_FIRST_ADMIN__PASSWORD: set both, or neither")
    if await deps.people.user_of(emails.key_of(settings.email)) is not None:
        return
    try:
        await create_admin(deps, CreateAdmin(settings.email, settings.password.get_secret_value()))
    except NijaError as error:
        if error.code not in (ErrorCode.INVALID_EMAIL, ErrorCode.WEAK_PASSWORD):
            raise
        field = "EMAIL" if error.code is ErrorCode.INVALID_EMAIL else "PASSWORD"
        raise SettingsError(f"NIJA_FIRST_ADMIN__{field}: {error.message}") from None


async def _admit(deps: Deps, command: _Admit, uow: UnitOfWork) -> User:
    now_ms = deps.clock.now_ms()
    user = await deps.people.user_of(emails.key_of(command.email))
    if user is None:
        user = User(
            id=new_id("usr"),
            email=command.email,
            email_key=emails.key_of(command.email),
            full_name=FULL_NAME,
            password_hash=command.password_hash,
            role="admin",
            registered_at_ms=now_ms,
        )
        uow.save(user)
        uow.emit(snapshot(user))
    else:
        failures = await deps.people.failures(failures_key(deps, user.email_key))
        if failures is not None:
            uow.delete(failures)
        uow.delete(*await deps.people.resets_of(user.id))
        changed = user.model_copy(update={"role": "admin", "password_hash": command.password_hash})
        user = await end_all_sessions(deps, changed, "role_changed", uow)
    uow.emit(audit("admin_created", user.id, Origin(), now_ms))
    return user
