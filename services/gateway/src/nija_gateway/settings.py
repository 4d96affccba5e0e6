"""What an operator can change about the gateway."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BeforeValidator, Field

from nija_common.runtime.settings import Block


def _networks(value: object) -> object:
    """Comma-separated CIDRs; a bare address is a network of one."""
    if not isinstance(value, str):
        return value
    return tuple(ipaddress.ip_network(part.strip()) for part in value.split(",") if part.strip())


Networks = Annotated[
    tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
    BeforeValidator(_networks),
]


class LimitSettings(Block):
    """Limits that no tier decides."""

    register_per_hour: int = Field(5, ge=1, description="New accounts an hour and address.")
    register_tries_per_minute: int = Field(30, ge=1, description="Tries to register a minute and address.")
    login_per_minute: int = Field(20, ge=1, description="Logins a minute and address.")
    open_per_minute: int = Field(60, ge=1, description="Other calls without a token a minute and address.")
    stop_per_minute: int = Field(30, ge=1, description="Stops, closes and kill switches a minute and user.")
    webhook_refused_per_minute: int = Field(
        60, ge=1, description="TradingView alerts with a wrong key a minute and address."
    )


class UpstreamSettings(Block):
    """Addresses of the services, http://host:port; unused where they run in the same process."""

    auth: str | None = Field(None, description="Address of auth.")
    trading_engine: str | None = Field(None, description="Address of the trading engine's API.")
    accounts: str | None = Field(None, description="Address of accounts.")
    billing: str | None = Field(None, description="Address of billing.")
    analytics: str | None = Field(None, description="Address of analytics.")
    notifier: str | None = Field(None, description="Address of the notifier.")


class GatewaySettings(Block):
    """The gateway's own block."""

    limits: LimitSettings = LimitSettings()
    trusted_proxies: Networks = Field(
        (), description="Networks (CIDR, comma-separated) of proxies whose X-Forwarded-For is believed."
    )
    gateway_replicas: int = Field(1, ge=1, description="Gateways that share one count; each gets a part without it.")
    usage_flush_s: int = Field(10, ge=1, le=3600, description="Seconds between two tellings of who called how often.")
    upstreams: UpstreamSettings = UpstreamSettings()
