"""A user's settings: what may be changed, by whom, and what is in force under a tier.

Stored are the user's own values; in force, and shown, is the lower of value and tier limit, so that an
upgrade brings back what a downgrade had lowered. What the settings do to trading is the engine's matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.preferences import AdvancedSettings, NotificationSettings, SettingsSnapshot, TradingSettings
from nija_common.values.document import Collection, Document
from nija_common.values.tiers import EffectiveTier

SIZE_CEILING_USD = 1_000_000_000.0
"""Above this an amount is a slip of the hand, also where no tier says so."""

_PAIR = re.compile(r"([A-Z0-9]{1,15})[-/]([A-Z0-9]{2,10})")
_OTHER_NAMES = {"XBT": "BTC"}

S = TypeVar("S", bound=BaseModel)


class Settings(Document):
    """The stored settings of one user; its id is the user's. Whoever has none has the defaults."""

    collection: ClassVar[Collection] = Collection("settings")

    trading: TradingSettings = TradingSettings()
    notifications: NotificationSettings = NotificationSettings()
    advanced: AdvancedSettings = AdvancedSettings()

    def snapshot(self) -> SettingsSnapshot:
        """What the other services are told: the user's own values."""
        return SettingsSnapshot(
            user_id=self.id, trading=self.trading, notifications=self.notifications, advanced=self.advanced
        )


@dataclass(frozen=True, slots=True)
class Change:
    """The fields somebody wants changed, by section; types are right already, limits are not looked at."""

    trading: Mapping[str, Any] = field(default_factory=dict)
    notifications: Mapping[str, Any] = field(default_factory=dict)
    advanced: Mapping[str, Any] = field(default_factory=dict)


def normal_pair(text: str) -> str:
    """`btc/usd` and `XBT-USD` as `BTC-USD`. Raises ValueError for what is no pair."""
    match = _PAIR.fullmatch(text.strip().upper()) if text.isascii() else None
    if match is None:
        raise ValueError("a pair is written like BTC-USD")
    base, quote = (_OTHER_NAMES.get(part, part) for part in match.groups())
    if base == quote:
        raise ValueError("a pair has two different currencies")
    return f"{base}-{quote}"


def in_force(settings: Settings, tier: EffectiveTier) -> Settings:
    """The settings with the lower of value and tier limit. A size limit of 0 (Free: no live orders) lowers nothing."""
    limits, features = tier.limits, tier.features
    trading, advanced = settings.trading, settings.advanced
    size = trading.max_position_size_usd
    return settings.model_copy(
        update={
            "trading": trading.model_copy(
                update={
                    "max_position_size_usd": min(size, float(limits.max_position_size_usd or size)),
                    "max_concurrent_positions": min(trading.max_concurrent_positions, limits.max_positions),
                }
            ),
            "advanced": advanced.model_copy(
                update={
                    "enable_meta_ai": advanced.enable_meta_ai and features.meta_ai,
                    "enable_mmin": advanced.enable_mmin and features.mmin,
                    "enable_gmig": advanced.enable_gmig and features.gmig,
                }
            ),
        }
    )


def beyond_tier(change: Change, tier: EffectiveTier) -> dict[str, str]:
    """What the tier does not allow of a change: field -> why. Empty if it allows all of it."""
    limits, features, name = tier.limits, tier.features, tier.tier.value
    found: dict[str, str] = {}
    size = change.trading.get("max_position_size_usd")
    if size is not None and limits.max_position_size_usd and size > limits.max_position_size_usd:
        found["trading.max_position_size_usd"] = f"at most {limits.max_position_size_usd} on the {name} tier"
    positions = change.trading.get("max_concurrent_positions")
    if positions is not None and positions > limits.max_positions:
        found["trading.max_concurrent_positions"] = f"at most {limits.max_positions} on the {name} tier"
    switches = {"enable_meta_ai": features.meta_ai, "enable_mmin": features.mmin, "enable_gmig": features.gmig}
    for switch, allowed in switches.items():
        if change.advanced.get(switch) and not allowed:
            found[f"advanced.{switch}"] = f"not part of the {name} tier"
    return found


def changed(settings: Settings, change: Change, tier: EffectiveTier) -> tuple[Settings, list[str]]:
    """The settings after the change, and the names of the fields that are different now.

    Raises EXCEEDS_TIER_LIMIT, or VALIDATION_ERROR for an amount that nobody means.
    """
    refused = beyond_tier(change, tier)
    if refused:
        raise NijaError(
            ErrorCode.EXCEEDS_TIER_LIMIT,
            f"Your subscription does not allow this: {', '.join(sorted(refused))}. Nothing was changed.",
            refused,
        )
    for name in ("max_position_size_usd", "max_daily_loss_usd"):
        if change.trading.get(name, 0.0) > SIZE_CEILING_USD:
            raise NijaError(ErrorCode.VALIDATION_ERROR, f"Not valid: {name}.", {f"trading.{name}": "too large"})
    after = settings.model_copy(
        update={
            "trading": _with(settings.trading, change.trading),
            "notifications": _with(settings.notifications, change.notifications),
            "advanced": _with(settings.advanced, change.advanced),
        }
    )
    names = [
        name
        for section in ("trading", "notifications", "advanced")
        for name in type(getattr(after, section)).model_fields
        if getattr(getattr(after, section), name) != getattr(getattr(settings, section), name)
    ]
    return after, names


def _with(section: S, fields: Mapping[str, Any]) -> S:
    return section.model_copy(update=dict(fields))
