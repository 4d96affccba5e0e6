"""What others are told about a user, and how sessions end."""

from __future__ import annotations

from nija_auth.deps import Deps
from nija_auth.domain.documents import User
from nija_auth.domain.sessions import sessions_end
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.storage.unit_of_work import UnitOfWork


def snapshot(user: User) -> UserSnapshot:
    """The user's state event."""
    return UserSnapshot(
        user_id=user.id,
        email=user.email,
        full_name=user.full_name,
        role=user.role,
        status=user.status,
        registered_at_ms=user.registered_at_ms,
        tokens_valid_after_ms=user.tokens_valid_after_ms,
    )


async def end_all_sessions(deps: Deps, user: User, reason: str, uow: UnitOfWork) -> User:
    """Every session of the user ends now; the user as saved."""
    # Their rows stay until they expire: who has been suspended is to hear that at the next refresh.
    latest = sessions_end(user, await deps.people.newest_session(user.id), deps.clock.now_ms())
    ended = user.model_copy(update={"tokens_valid_after_ms": latest})
    uow.save(ended)
    uow.emit(
        snapshot(ended),
        SessionRevoked.model_validate(
            {"user_id": user.id, "session_id": None, "revoked_until_ms": latest, "reason": reason}
        ),
    )
    return ended
