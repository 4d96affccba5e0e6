"""Read models of what other services say about a user, and the limits and gates that follow from them."""

from __future__ import annotations

from typing import ClassVar, Literal

from nija_common.errors import ErrorCode, NijaError
from nija_common.events.preferences import AdvancedSettings, TradingSettings
from nija_common.values.document import Collection, Document
from nija_common.values.money import units
from nija_common.values.tiers import (
    EffectiveTier,
    Tier,
    effective,
    effective_at,
    for_administrators,
    registration_defaults,
)
from nija_trading.domain.apex.parameters import Limits

Revision = tuple[int, int]
SwitchState = Literal["off", "unavailable"]


class Standing(Document):
    """Role, status and tier of a user, each part with the revision that it came with."""

    collection: ClassVar[Collection] = Collection("standings")

    role: Literal["user", "admin"] = "user"
    status: Literal["active", "suspended", "disabled"] = "active"
    user_revision: Revision | None = None
    past_due: bool = False
    effective: tuple[EffectiveTier, ...] = ()
    subscription_revision: Revision | None = None

    @property
    def complete(self) -> bool:
        """Whether the subscription is known."""
        return bool(self.effective)

    def tier(self, now_ms: int) -> EffectiveTier:
        """The tier in force; the lowest where none is known."""
        own = effective_at(self.effective, now_ms) if self.effective else effective(Tier.FREE, from_ms=0, live=False)
        return for_administrators(own) if self.role == "admin" else own


class Preferences(Document):
    """A user's own trading settings, and the switches that are on."""

    collection: ClassVar[Collection] = Collection("preferences")

    trading: TradingSettings = TradingSettings()
    advanced: AdvancedSettings = AdvancedSettings()
    revision: Revision | None = None

    def advanced_states(self) -> dict[str, SwitchState]:
        """Each of the `advanced` switches by name. One that is on is `unavailable`: there is nothing yet that it could
        read, so it multiplies by 1.0."""
        switches = self.advanced.model_dump().items()
        return {name: "unavailable" if enabled else "off" for name, enabled in switches}


def newcomer(user_id: str, registered_at_ms: int) -> Standing:
    """What holds for an account of the last minutes whose snapshots are still on their way."""
    return Standing(id=user_id, effective=registration_defaults(registered_at_ms))


def refuse_suspended(standing: Standing) -> None:
    """Raises ACCOUNT_SUSPENDED or ACCOUNT_DISABLED."""
    if standing.status == "disabled":
        raise NijaError(ErrorCode.ACCOUNT_DISABLED, "This account is disabled. Contact support.")
    if standing.status == "suspended":
        raise NijaError(ErrorCode.ACCOUNT_SUSPENDED, "This account is suspended. Contact support.")
    if standing.past_due:
        raise NijaError(
            ErrorCode.ACCOUNT_SUSPENDED, "The last payment failed. Update the payment method to open positions again."
        )


def may_enter(standing: Standing) -> bool:
    """Whether the account may open positions."""
    return standing.status == "active" and not standing.past_due


def limits_of(settings: TradingSettings, tier: EffectiveTier) -> Limits:
    """The lower of the user's values and the tier's. A tier's size of 0 forbids live orders only: it limits nothing here."""
    size = settings.max_position_size_usd
    if tier.limits.max_position_size_usd > 0:
        size = min(size, tier.limits.max_position_size_usd)
    return Limits(
        position_value=units(size),
        positions=min(settings.max_concurrent_positions, tier.limits.max_positions),
        daily_trades=tier.limits.max_daily_trades,
        daily_loss=units(settings.max_daily_loss_usd),
    )
