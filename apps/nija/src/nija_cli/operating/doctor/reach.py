"""What the platform needs from outside: does somebody answer there? No credential is sent anywhere."""

from __future__ import annotations

import asyncio
import smtplib
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from nija_billing.settings import BillingSettings
from nija_cli.operating.doctor.findings import Finding, fail, ok, shown, warn
from nija_common.errors import SettingsError
from nija_common.runtime.settings import PlatformSettings, load
from nija_gateway.settings import GatewaySettings
from nija_notifier.adapters.mailers import smtp_server
from nija_trading.settings import TradingSettings

ANSWER_S = 5.0
EXCHANGES = {"coinbase": "https://api.coinbase.com", "kraken": "https://api.kraken.com"}


async def reach_findings(settings: PlatformSettings, env: Mapping[str, str], *, exchanges: bool) -> list[Finding]:
    """Everything that is configured, at the same time."""
    looks = [_keys(settings), _mail(settings), _collector(settings), _upstreams(env), _stripe(env)]
    if exchanges:
        looks.append(_exchanges(env))
    return [finding for found in await asyncio.gather(*looks) for finding in found]


async def _keys(settings: PlatformSettings) -> list[Finding]:
    if settings.store == "sqlite":
        return []
    if settings.jwks_url is None:
        return [fail("jwks", "NIJA_JWKS_URL is not set", "set it: services verify tokens with auth's public keys")]
    error = await _http_error(settings.jwks_url, must_succeed=True)
    return [
        _answered("jwks", settings.jwks_url, error, "is auth running? tokens are refused with 503 without its keys")
    ]


async def _mail(settings: PlatformSettings) -> list[Finding]:
    if settings.smtp_url is None:
        return [
            ok("mail", f"no SMTP server is set: mail is written to {settings.mail_dir or settings.data_dir / 'mail'}")
        ]
    try:
        server = smtp_server(settings.smtp_url)
    except SettingsError as wrong:
        return [fail("mail", str(wrong), "correct it")]

    def greet() -> str | None:
        kind = smtplib.SMTP_SSL if server.tls else smtplib.SMTP
        try:
            with kind(server.host, server.port, timeout=ANSWER_S) as connection:
                connection.ehlo()
        except (OSError, smtplib.SMTPException) as caught:
            return str(caught) or type(caught).__name__
        return None

    error = await asyncio.to_thread(greet)
    return [_answered("mail", f"{server.host}:{server.port}", error, "mail waits and is tried again for a day")]


async def _collector(settings: PlatformSettings) -> list[Finding]:
    if settings.otlp_endpoint is None:
        return []
    parts = urlsplit(settings.otlp_endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where, error = f"{parts.hostname}:{port}", None
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
            writer.close()
    except (OSError, TimeoutError) as caught:
        error = str(caught) or type(caught).__name__
    if error is None:
        return [ok("traces", f"{where} answers")]
    return [warn("traces", f"{where}: {error}", "traces are lost meanwhile; nothing else is")]


async def _upstreams(env: Mapping[str, str]) -> list[Finding]:
    addresses = load(GatewaySettings, env).upstreams.model_dump()
    given = {name.replace("_", "-"): address for name, address in addresses.items() if address}
    errors = await asyncio.gather(*(_http_error(f"{address}/readyz", must_succeed=True) for address in given.values()))
    todo = "start it, or read what its /readyz says; the gateway answers 503 in its place"
    return [_answered(name, address, error, todo) for (name, address), error in zip(given.items(), errors, strict=True)]


async def _stripe(env: Mapping[str, str]) -> list[Finding]:
    billing = load(BillingSettings, env)
    if billing.stripe_api_key is None:
        return [ok("stripe", "no key is set: payments are an offline stand-in that charges nobody")]
    error = await _http_error(billing.stripe_api_base)
    return [_answered("stripe", billing.stripe_api_base, error, "purchases are refused with 503 meanwhile")]


async def _exchanges(env: Mapping[str, str]) -> list[Finding]:
    brokers = load(TradingSettings, env).brokers
    set_ones = {name: brokers.base_url(name) for name in type(brokers).model_fields}
    addresses = EXCHANGES | {name: address for name, address in set_ones.items() if address}
    errors = await asyncio.gather(*(_http_error(address) for address in addresses.values()))
    todo = "bots of this exchange wait; their stops at the exchange stay"
    return [
        _answered(name, address, error, todo) for (name, address), error in zip(addresses.items(), errors, strict=True)
    ]


def _answered(area: str, where: str, error: str | None, todo: str) -> Finding:
    return ok(area, f"{shown(where)} answers") if error is None else fail(area, f"{shown(where)}: {error}", todo)


async def _http_error(url: str, *, must_succeed: bool = False) -> str | None:
    """Why nobody answers there; None if somebody does, with whatever status unless it must be a success."""

    def ask() -> str | None:
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_S):
                return None
        except urllib.error.HTTPError as error:
            with error:
                return f"it answers {error.code}" if must_succeed else None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            return str(reason) or type(error).__name__

    return await asyncio.to_thread(ask)
