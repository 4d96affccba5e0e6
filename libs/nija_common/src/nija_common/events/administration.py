"""Events about what administrators ask of other services, and what the gateway has counted."""

from __future__ import annotations

from typing import Any, ClassVar

from nija_common.events.base import Event
from nija_common.events.topics import ADMIN, USAGE
from nija_common.values.tiers import Tier


class TierOverrideRequested(Event):
    """Emitted by auth when an administrator gives an account a tier: billing keeps it as the override in force.

    `tier` None lifts an override; `expires_at_ms` None keeps it until it is lifted.
    """

    topic = ADMIN
    type = "tier_override.requested"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "tier": "enterprise",
        "expires_at_ms": None,
        "by": "usr_01jk0000000000000000000001",
        "at_ms": 1769683320000,
    }

    user_id: str
    tier: Tier | None
    expires_at_ms: int | None
    by: str
    at_ms: int


class ApiUsageCounted(Event):
    """Emitted by every gateway each ten seconds (a setting) for each account that called, and for `global`: calls without one.

    The one for `global` comes each time, also with no calls: it shows that the gateway was up. `errors` are answers
    of 500 and above; `duration_ms` is the sum over all calls; `from_ms` to `to_ms` is the stretch of time counted:
    stretches of one gateway follow each other, those of several overlap.
    """

    topic = USAGE
    type = "api_usage.counted"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "from_ms": 1769683320000,
        "to_ms": 1769683380000,
        "calls": 42,
        "errors": 0,
        "duration_ms": 310,
    }

    user_id: str
    from_ms: int
    to_ms: int
    calls: int
    errors: int
    duration_ms: int
