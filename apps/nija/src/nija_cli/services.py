"""Every service there is, and the settings of all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from nija_accounts.service import SERVICE as ACCOUNTS
from nija_analytics.service import SERVICE as ANALYTICS
from nija_auth.service import SERVICE as AUTH
from nija_billing.service import SERVICE as BILLING
from nija_common.errors import SettingsError
from nija_common.runtime.manifest import Role, Service
from nija_common.runtime.node import Part
from nija_common.runtime.settings import PlatformSettings, environment, load, refuse_unknown
from nija_gateway.service import SERVICE as GATEWAY
from nija_notifier.service import SERVICE as NOTIFIER
from nija_trading.service import SERVICE as TRADING

SERVICES: tuple[Service, ...] = (AUTH, BILLING, ACCOUNTS, TRADING, ANALYTICS, NOTIFIER, GATEWAY)
"""In the order in which they open; the gateway, which needs the others, last."""


def read_environment() -> dict[str, str]:
    """The process's `NIJA_` variables. Raises SettingsError for one that no service knows."""
    env = environment(os.environ)
    refuse_unknown(env, [PlatformSettings, *(service.settings for service in SERVICES)])
    return env


def platform_settings(env: Mapping[str, str], **options: Any) -> PlatformSettings:
    """The settings of the process; options given on the command line win."""
    return load(PlatformSettings, env, options)


def all_parts(env: Mapping[str, str]) -> list[Part]:
    """Every role of every service."""
    return [Part(service, service.roles, load(service.settings, env)) for service in SERVICES]


def parts_served_as(name: str, env: Mapping[str, str]) -> list[Part]:
    """The part that `nija serve NAME` starts. Raises SettingsError for a name that is none."""
    for service in SERVICES:
        roles: dict[str, Role] = service.roles_served_as(name)
        if roles:
            return [Part(service, roles, load(service.settings, env))]
    raise SettingsError(f"{name}: no such service; there are {', '.join(served_names())}")


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


def served_names(services: Sequence[Service] = SERVICES) -> list[str]:
    """The names `nija serve` takes."""
    return [name for s in services for name in dict.fromkeys(s.served_as.get(r, s.name) for r in s.roles)]
