"""Every service there is."""

from __future__ import annotations

from collections.abc import Mapping

from nija_accounts.service import SERVICE as ACCOUNTS
from nija_analytics.service import SERVICE as ANALYTICS
from nija_auth.service import SERVICE as AUTH
from nija_billing.service import SERVICE as BILLING
from nija_common.errors import SettingsError
from nija_common.runtime.manifest import Service
from nija_common.runtime.node import Part
from nija_common.runtime.settings import load
from nija_gateway.service import SERVICE as GATEWAY
from nija_notifier.service import SERVICE as NOTIFIER
from nija_trading.service import SERVICE as TRADING

SERVICES: tuple[Service, ...] = (AUTH, BILLING, ACCOUNTS, TRADING, ANALYTICS, NOTIFIER, GATEWAY)
"""In the order in which they open; the gateway, which needs the others, last."""


def all_parts(env: Mapping[str, str]) -> list[Part]:
    """Every role of every service."""
    return [Part(service, service.roles, load(service.settings, env)) for service in SERVICES]


def without_roles(name: str, env: Mapping[str, str]) -> Part:
    """A service opened for a command: its deps, none of what it runs."""
    service = named(name)
    return Part(service, {}, load(service.settings, env))


def named(name: str) -> Service:
    """Raises SettingsError."""
    for service in SERVICES:
        if service.name == name:
            return service
    raise SettingsError(f"{name}: no such service; there are {', '.join(s.name for s in SERVICES)}")
