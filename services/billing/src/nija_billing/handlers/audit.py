"""Who did what: the rows that billing leaves for the audit log."""

from __future__ import annotations

from nija_billing.domain.attempts import By
from nija_common.events.deliveries import AuditRecorded
from nija_common.values.ids import new_id

VENDOR = By(user_id="stripe")
CLOCK = By(user_id="billing")


def audited(
    about: str, event_type: str, by: By, at_ms: int, **metadata: str | int | float | bool | None
) -> AuditRecorded:
    """One row about a user."""
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
