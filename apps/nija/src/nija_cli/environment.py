"""The settings of a process, without the services: one that serves a single service does not import the others.

`_PACKAGES` says where each is; a test holds it against the manifests.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from nija_common.errors import SettingsError
from nija_common.runtime.manifest import Role, Service
from nija_common.runtime.node import Part
from nija_common.runtime.settings import Block, PlatformSettings, environment, load, refuse_unknown

_PACKAGES: dict[str, tuple[str, str]] = {
    "auth": ("nija_auth", "AuthSettings"),
    "billing": ("nija_billing", "BillingSettings"),
    "accounts": ("nija_accounts", "AccountsSettings"),
    "trading-engine": ("nija_trading", "TradingSettings"),
    "trading-worker": ("nija_trading", "TradingSettings"),
    "analytics": ("nija_analytics", "AnalyticsSettings"),
    "notifier": ("nija_notifier", "NotifierSettings"),
    "gateway": ("nija_gateway", "GatewaySettings"),
}
"""By the names that `nija serve` takes: the package, and the class of its settings."""


def settings_of(name: str) -> type[Block]:
    """The class of a service's settings."""
    package, settings = _PACKAGES[name]
    found: type[Block] = getattr(importlib.import_module(f"{package}.settings"), settings)
    return found


def read_environment() -> dict[str, str]:
    """The process's `NIJA_` variables. Raises SettingsError for one that no service knows."""
    env = environment(os.environ)
    refuse_unknown(env, [PlatformSettings, *(settings_of(name) for name in _PACKAGES)])
    return env


def platform_settings(env: Mapping[str, str], **options: Any) -> PlatformSettings:
    """The settings of the process; options given on the command line win."""
    return load(PlatformSettings, env, options)


def part_served_as(name: str, env: Mapping[str, str]) -> Part:
    """What `nija serve NAME` starts. Raises SettingsError for a name that is none."""
    if name not in _PACKAGES:
        raise SettingsError(f"{name}: no such service; there are {', '.join(served_names())}")
    service: Service = importlib.import_module(f"{_PACKAGES[name][0]}.service").SERVICE
    roles: dict[str, Role] = service.roles_served_as(name)
    return Part(service, roles, load(service.settings, env))


def served_names() -> list[str]:
    """The names `nija serve` takes."""
    return list(_PACKAGES)
