"""What an operator can change about trading-engine."""

from __future__ import annotations

from pydantic import Field

from nija_common.runtime.settings import Block


class TradingSettings(Block):
    """Leases of the workers, and how often they look. Market and speed are the platform's own settings."""

    trading_lease_ms: int = Field(10_000, ge=200, description="How long a worker's shard is its own without renewal.")
    trading_renew_ms: int = Field(3_000, ge=50, description="How often a worker renews its leases.")
    trading_poll_ms: int = Field(1_000, ge=20, description="How often a worker looks for commands and switches.")
    trading_alerts_per_minute: int = Field(60, ge=1, description="TradingView alerts a minute and webhook key.")
