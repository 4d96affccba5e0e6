"""Events about a user's settings. Produced by accounts."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from nija_common.events.base import Event
from nija_common.events.topics import SETTINGS

RiskLevel = Literal["low", "medium", "high"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TradingSettings(_Part):
    """What the user allows the bot. USD as numbers, as the API has them; these are the user's own values,
    before the lower of value and tier limit is taken."""

    risk_level: RiskLevel = "medium"
    max_position_size_usd: float = 500.0
    max_concurrent_positions: int = 3
    max_daily_loss_usd: float = 200.0
    allowed_pairs: tuple[str, ...] = ("BTC-USD", "ETH-USD", "SOL-USD")
    paper_trading: bool = True


class NotificationSettings(_Part):
    """Which messages the user wants."""

    email_enabled: bool = True
    push_enabled: bool = True
    trade_notifications: bool = True
    daily_summary: bool = True
    weekly_report: bool = True


class AdvancedSettings(_Part):
    """The four switches; what each does is the engine's matter."""

    enable_meta_ai: bool = False
    enable_mmin: bool = False
    enable_gmig: bool = False
    execution_intelligence: bool = False


class SettingsSnapshot(Event):
    """Emitted by accounts when a user's settings change. Whoever has none has the defaults of these classes."""

    topic = SETTINGS
    type = "settings.snapshot"
    example: ClassVar[dict[str, Any]] = {
        "user_id": "usr_01jk0000000000000000000000",
        "trading": TradingSettings().model_dump(mode="json"),
        "notifications": NotificationSettings().model_dump(mode="json"),
        "advanced": AdvancedSettings().model_dump(mode="json"),
    }

    user_id: str
    trading: TradingSettings
    notifications: NotificationSettings
    advanced: AdvancedSettings
