"""What auth does on its own."""

from __future__ import annotations

from dataclasses import dataclass

from nija_auth.deps import Deps
from nija_auth.domain.documents import LoginFailures, PasswordReset, Session
from nija_auth.handlers import keys, passwords
from nija_common.runtime.manifest import Loop
from nija_common.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class _Forget:
    rows: tuple[Session | LoginFailures | PasswordReset, ...]


async def rotate(deps: Deps) -> None:
    """A new signing key when the newest is old enough."""
    await deps.work.run(keys.rotate_keys, deps, keys.RotateKeys())


async def answer_resets(deps: Deps) -> None:
    """Asks for the mails of reset requests."""
    for request in await deps.people.reset_requests():
        await deps.work.run(passwords.answer_request, deps, request)


async def forget_expired(deps: Deps) -> None:
    """Removes sessions, locks and reset links that are over."""
    rows = await deps.people.expired(deps.clock.now_ms())
    if rows:
        await deps.work.run(_forget, deps, _Forget(tuple(rows)))


async def _forget(_: Deps, command: _Forget, uow: UnitOfWork) -> None:
    uow.delete(*command.rows)


LOOPS = (
    Loop("answer-resets", 1.0, answer_resets),
    Loop("rotate-keys", 3600.0, rotate),
    Loop("forget-expired", 60.0, forget_expired),
)
