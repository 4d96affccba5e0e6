"""The audit events of auth, in one shape."""

from __future__ import annotations

from dataclasses import dataclass

from nija_common.events.deliveries import AuditRecorded
from nija_common.values.ids import new_id


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from."""

    address: str | None = None
    user_agent: str | None = None


def audit(
    event_type: str,
    user_id: str,
    origin: Origin,
    at_ms: int,
    *,
    actor: str | None = None,
    **metadata: str | int | float | bool | None,
) -> AuditRecorded:
    """What was done to the user, by `actor`; None: by the user."""
    return AuditRecorded(
        user_id=user_id,
        log_id=new_id("log"),
        event_type=event_type,
        actor=actor or user_id,
        ip_address=origin.address,
        user_agent=origin.user_agent,
        metadata=metadata,
        at_ms=at_ms,
    )
