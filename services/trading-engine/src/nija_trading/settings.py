"""What an operator can change about trading-engine."""

from __future__ import annotations

from pydantic import Field

from nija_common.runtime.settings import Block


class BrokerSettings(Block):
    """One exchange."""

    base_url: str | None = Field(
        None, pattern=r"^https?://[^/?#]+$", description="Where the exchange is, instead of its own address."
    )


class BrokersSettings(Block):
    """Every exchange that a key may be for; the names are those of `domain/connections.py`."""

    coinbase: BrokerSettings = BrokerSettings()
    kraken: BrokerSettings = BrokerSettings()
    binance: BrokerSettings = BrokerSettings()
    binancecoinm: BrokerSettings = BrokerSettings()
    binanceusdm: BrokerSettings = BrokerSettings()
    bingx: BrokerSettings = BrokerSettings()
    bitget: BrokerSettings = BrokerSettings()
    bybit: BrokerSettings = BrokerSettings()
    cryptocom: BrokerSettings = BrokerSettings()
    gate: BrokerSettings = BrokerSettings()
    hashkey: BrokerSettings = BrokerSettings()
    kucoin: BrokerSettings = BrokerSettings()
    kucoinfutures: BrokerSettings = BrokerSettings()
    mexc: BrokerSettings = BrokerSettings()
    okx: BrokerSettings = BrokerSettings()
    woofipro: BrokerSettings = BrokerSettings()

    def base_url(self, name: str) -> str | None:
        """The address that an operator has set for an exchange. AttributeError for a name that is none."""
        found: BrokerSettings = getattr(self, name)
        return found.base_url


class TradingSettings(Block):
    """Leases of the workers, how often they look, where exchanges are. Market and speed are the platform's settings."""

    trading_lease_ms: int = Field(10_000, ge=200, description="How long a worker's shard is its own without renewal.")
    trading_renew_ms: int = Field(3_000, ge=50, description="How often a worker renews its leases.")
    trading_poll_ms: int = Field(1_000, ge=20, description="How often a worker looks for commands and switches.")
    trading_alerts_per_minute: int = Field(60, ge=1, description="TradingView alerts a minute and webhook key.")
    trading_key_check_ms: int = Field(10_000, ge=100, description="How long a caller waits for a broker key's check.")
    brokers: BrokersSettings = BrokersSettings()
