"""What auth does on its own."""

from __future__ import annotations

from nija_auth.deps import Deps
from nija_auth.domain.sessions import REMEMBERED_MS
from nija_auth.handlers import keys, passwords
from nija_common.runtime.manifest import Loop
from nija_common.storage.unit_of_work import UnitOfWork


async def rotate(deps: Deps) -> None:
    """A new signing key when the newest is old enough."""
    await deps.work.run(keys.rotate_keys, deps, keys.RotateKeys())


async def answer_resets(deps: Deps) -> None:
    """Asks for the mails of reset requests."""
    for request in await deps.people.reset_requests():
        await deps.work.run(passwords.answer_request, deps, passwords.AnswerReset(request.id))


async def forget_expired(deps: Deps) -> None:
    """Removes sessions, locks and reset links that are over."""
    while await deps.work.run(_forget_some, deps, deps.clock.now_ms()):
        continue


async def _forget_some(deps: Deps, now_ms: int, uow: UnitOfWork) -> bool:
    """Whether there were any. Read here, so that a row that comes to life again is not removed."""
    rows = await deps.people.expired(now_ms, ended_before_ms=now_ms - REMEMBERED_MS)
    uow.delete(*rows)
    return bool(rows)


LOOPS = (
    Loop("answer-resets", 1.0, answer_resets),
    Loop("rotate-keys", 3600.0, rotate),
    Loop("forget-expired", 60.0, forget_expired),
)
