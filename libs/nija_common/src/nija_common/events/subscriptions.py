"""Events about what an account has paid for. Produced by billing."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nija_common.events.base import Event
from nija_common.events.topics import SUBSCRIPTIONS
from nija_common.values.tiers import EffectiveTier, Tier, registration_defaults

Interval = Literal["monthly", "yearly"]
SubscriptionStatus = Literal["none", "trialing", "active", "past_due", "cancelled"]


class SubscriptionSnapshot(Event):
    """Emitted by billing for every account at registration, and whenever tier, status or period change.

    `tier` is the stored tier (`free` during a trial); limits and features follow `effective`, the stretches of
    time with the tier in force, known future changes included, read by `effective_at` only. `past_due` means
    suspended for a failed payment: entries are refused, everything else works.
    """

    topic = SUBSCRIPTIONS
    type = "subscription.snapshot"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "subscription_id": None,
        "tier": "free",
        "interval": None,
        "status": "trialing",
        "trial_ends_at_ms": 1770892920000,
        "period_start_ms": None,
        "period_end_ms": None,
        "cancel_at_period_end": False,
        "amount_cents": None,
        "ended_at_ms": None,
        "effective": [e.model_dump(mode="json") for e in registration_defaults(1769683320000)],
    }

    user_id: str
    subscription_id: str | None
    tier: Tier
    interval: Interval | None
    status: SubscriptionStatus
    trial_ends_at_ms: int | None
    period_start_ms: int | None
    period_end_ms: int | None
    cancel_at_period_end: bool
    effective: tuple[EffectiveTier, ...]
    amount_cents: int | None = None
    """What a period costs, in cents of USD; None where nothing is paid (free, trial, override)."""
    ended_at_ms: int | None = None
    """When the last paid subscription ended; None while one runs, or where there was none."""
