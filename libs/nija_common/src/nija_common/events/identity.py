"""Events about people: who there is, and which sessions have ended. Produced by auth."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nija_common.events.base import Event
from nija_common.events.topics import SESSIONS, USERS

Role = Literal["user", "admin"]
AccountStatus = Literal["active", "suspended", "disabled"]


class UserSnapshot(Event):
    """Emitted by auth whenever a user is registered or changed: role, status, name, end of sessions.

    `status` is the administrator's; suspension for a failed payment is the subscription's. Tokens whose
    session began at or before `tokens_valid_after_ms` are refused.
    """

    topic = USERS
    type = "user.snapshot"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "email": "user@example.com",
        "full_name": "John Doe",
        "role": "user",
        "status": "active",
        "registered_at_ms": 1769683320000,
        "tokens_valid_after_ms": 0,
    }

    user_id: str
    email: str
    full_name: str
    role: Role
    status: AccountStatus
    registered_at_ms: int
    tokens_valid_after_ms: int = 0


class SessionRevoked(Event):
    """Emitted by auth when sessions end: one (`session_id`), or all that began at or before `revoked_until_ms`.

    Gateway and notifier refuse the tokens and close the sockets within a second.
    """

    topic = SESSIONS
    type = "session.revoked"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "session_id": "ses_01jk0000000000000000000000",
        "revoked_until_ms": None,
        "reason": "logout",
    }

    user_id: str
    session_id: str | None
    revoked_until_ms: int | None
    reason: Literal[
        "logout", "logout_all", "password_changed", "password_reset", "role_changed", "suspended", "disabled"
    ]
