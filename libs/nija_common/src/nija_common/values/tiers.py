"""Tiers, what each allows, and the effective tier of an account.

`effective_at` is the only reader of a subscription's `effective` list: a tier changes by time alone too
(the end of a trial, of a period), so whoever asks says when.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

TRIAL_DAYS = 14
DEFAULTS_HOLD_MS = 10 * 60_000
"""How long after registration `registration_defaults` may stand in for a snapshot that has not arrived yet."""


class Tier(StrEnum):
    """What an account has paid for, lowest first."""

    FREE = "free"
    BASIC = "basic"
    PRO = "pro"
    ENTERPRISE = "enterprise"

    @property
    def rank(self) -> int:
        return list(Tier).index(self)


class TierLimits(BaseModel):
    """The numbers of one tier; `brokers` None means as many as one likes."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    max_position_size_usd: int
    max_positions: int
    max_daily_trades: int
    api_calls_per_minute: int
    brokers: int | None


class TierFeatures(BaseModel):
    """The switches of one tier."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    live_trading: bool
    webhooks: bool
    meta_ai: bool
    mmin: bool
    gmig: bool


def _limits(size: int, positions: int, trades: int, calls: int, brokers: int | None) -> TierLimits:
    return TierLimits(
        max_position_size_usd=size,
        max_positions=positions,
        max_daily_trades=trades,
        api_calls_per_minute=calls,
        brokers=brokers,
    )


LIMITS: dict[Tier, TierLimits] = {
    Tier.FREE: _limits(0, 3, 10, 10, 1),
    Tier.BASIC: _limits(500, 5, 30, 30, 2),
    Tier.PRO: _limits(2_000, 10, 100, 100, 5),
    Tier.ENTERPRISE: _limits(10_000, 50, 500, 500, None),
}


def features_of(tier: Tier) -> TierFeatures:
    """What the tier switches on. Live trading is a matter of payment, see `EffectiveTier.live`."""
    return TierFeatures(
        live_trading=tier is not Tier.FREE,
        webhooks=tier.rank >= Tier.PRO.rank,
        meta_ai=tier.rank >= Tier.PRO.rank,
        mmin=tier.rank >= Tier.PRO.rank,
        gmig=tier is Tier.ENTERPRISE,
    )


class EffectiveTier(BaseModel):
    """The tier in force from a moment on, until the next entry of the list begins."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    from_ms: int
    tier: Tier
    limits: TierLimits
    features: TierFeatures
    live: bool
    """Whether this stretch rests on a payment or an override, as live trading asks (a trial does not count)."""


def effective(tier: Tier, *, from_ms: int, live: bool) -> EffectiveTier:
    """One entry of an `effective` list with the tier's published limits."""
    return EffectiveTier(from_ms=from_ms, tier=tier, limits=LIMITS[tier], features=features_of(tier), live=live)


def for_administrators(own: EffectiveTier) -> EffectiveTier:
    """Administrators have the Enterprise limits and features; live trading still asks for a payment or an override."""
    return effective(Tier.ENTERPRISE, from_ms=own.from_ms, live=own.live)


def effective_at(stretches: Sequence[EffectiveTier], now_ms: int) -> EffectiveTier:
    """The entry in force at `now_ms`: the last that has begun, or the first if none has.

    Raises ValueError for an empty list: a subscription always has one.
    """
    if not stretches:
        raise ValueError("a subscription without an effective tier")
    if len(stretches) == 1:
        return stretches[0]
    begun = [stretch for stretch in stretches if stretch.from_ms <= now_ms]
    return begun[-1] if begun else stretches[0]


def registration_defaults(registered_at_ms: int) -> tuple[EffectiveTier, ...]:
    """What a new account has before billing's first snapshot arrives: Pro for 14 days, then Free.

    Billing's first snapshot says the same; a test holds the two equal.
    """
    return (
        effective(Tier.PRO, from_ms=registered_at_ms, live=False),
        effective(Tier.FREE, from_ms=registered_at_ms + TRIAL_DAYS * 86_400_000, live=False),
    )
