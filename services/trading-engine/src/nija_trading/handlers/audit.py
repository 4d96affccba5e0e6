"""Who did what: the rows that trading leaves for the audit log."""

from __future__ import annotations

from dataclasses import dataclass

from nija_common.events.deliveries import AuditRecorded
from nija_common.values.ids import new_id


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and from where."""

    user_id: str
    address: str | None = None
    user_agent: str | None = None


def audited(
    about: str, event_type: str, by: Actor, at_ms: int, **metadata: str | int | float | bool | None
) -> AuditRecorded:
    """One row, about a user or `global`."""
    return AuditRecorded(
        user_id=about,
        log_id=new_id("log"),
        event_type=event_type,
        actor=by.user_id,
        ip_address=by.address,
        user_agent=by.user_agent,
        metadata=metadata,
        at_ms=at_ms,
    )
