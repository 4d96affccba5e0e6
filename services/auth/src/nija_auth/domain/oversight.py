"""Rules of what an administrator may change about an account."""

from __future__ import annotations

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.identity import AccountStatus
from nija_common.values.tiers import Tier


def check_tier(sets_tier: bool, tier: Tier | None, expires_at_ms: int | None, now_ms: int) -> None:
    """An end belongs to a tier, and has not passed. Raises VALIDATION_ERROR."""
    if expires_at_ms is None:
        return
    if not sets_tier or tier is None:
        raise _refusal("expires_at", "only together with a subscription_tier")
    if expires_at_ms <= now_ms:
        raise _refusal("expires_at", "lies in the past")


def check_status(status: AccountStatus | None, user_id: str, by: str) -> None:
    """Nobody shuts themself out: there may be no other administrator. Raises VALIDATION_ERROR."""
    if status in ("suspended", "disabled") and user_id == by:
        raise _refusal("status", "administrators cannot suspend or disable themselves")


def check_something(asked: bool) -> None:
    """Raises VALIDATION_ERROR."""
    if not asked:
        raise _refusal("body", "name at least one of subscription_tier, status, notes")


def _refusal(name: str, why: str) -> NijaError:
    return NijaError(ErrorCode.VALIDATION_ERROR, f"Not valid: {name}: {why}.", {name: why})
