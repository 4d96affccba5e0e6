"""After a restore nobody is signed in: what was ended after the backup would otherwise stand again.

A session that somebody has logged out of, a reset link that was used, a refresh token of an account that is not there any
more: the restored rows know nothing of it. So all of them go, and new signing keys end every access token.
"""

from __future__ import annotations

from nija_auth.deps import Deps
from nija_auth.handlers import keys
from nija_common.storage.unit_of_work import UnitOfWork


async def end_everything(deps: Deps) -> int:
    """Ends every session and reset link, in bounded commits; how many sessions. Broken off, it can be run again."""
    await deps.work.run(keys.replace_keys, deps, None)
    ended = 0
    while True:
        sessions, links = await deps.work.run(_end_some, deps, None)
        ended += sessions
        if not sessions and not links:
            return ended


async def _end_some(deps: Deps, _: None, uow: UnitOfWork) -> tuple[int, int]:
    sessions = await deps.people.any_sessions()
    links = [*await deps.people.any_resets(), *await deps.people.reset_requests()]
    uow.delete(*sessions, *links)
    return len(sessions), len(links)
