"""What the gateway is made of here: the only place that constructs adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources

import orjson

from nija_common.runtime.platform import Platform
from nija_common.security.revocations import Revocations
from nija_common.telemetry.access_log import AccessLog
from nija_gateway.adapters.asgi_upstream import AsgiUpstream
from nija_gateway.adapters.http_upstream import HttpUpstream
from nija_gateway.adapters.local_windows import LocalWindows
from nija_gateway.adapters.shared_windows import SharedWindows
from nija_gateway.deps import Deps
from nija_gateway.domain.admission import Admission, Allowed
from nija_gateway.domain.examples import Examples
from nija_gateway.domain.routes import ROUTES, Table
from nija_gateway.domain.standing import Standings
from nija_gateway.domain.usage import Usage
from nija_gateway.domain.windows import RateWindows
from nija_gateway.ports import Upstream
from nija_gateway.settings import GatewaySettings, LimitSettings
from nija_gateway.store import StandingStore


@asynccontextmanager
async def build(settings: GatewaySettings, platform: Platform) -> AsyncIterator[Deps]:
    """The gateway on this platform."""
    standings, revocations = Standings(), Revocations()
    store = StandingStore(platform.storage, standings)
    windows = _windows(settings, platform)
    upstreams = _upstreams(settings, platform)
    access_log = AccessLog()
    admission = Admission(
        tokens=platform.tokens,
        revocations=revocations,
        standings=standings,
        load_standing=store.load,
        windows=windows,
        allowed=_allowed(settings.limits),
    )
    try:
        yield Deps(
            clock=platform.clock,
            tokens=platform.tokens,
            store=store,
            standings=standings,
            revocations=revocations,
            windows=windows,
            admission=admission,
            routes=Table(ROUTES),
            upstreams=upstreams,
            trusted_proxies=settings.trusted_proxies,
            draining=platform.draining,
            public_url=platform.settings.public_url,
            examples=examples(),
            work=platform.work,
            usage=Usage(platform.clock.now_ms()),
            usage_flush_s=settings.usage_flush_s,
            access_log=access_log,
            traced=platform.settings.otlp_endpoint is not None,
        )
    finally:
        access_log.flush()
        for upstream in upstreams.values():
            await upstream.close()


def examples() -> Examples:
    """The examples of the API document, as they come with this package."""
    found: Examples = orjson.loads(resources.files("nija_gateway").joinpath("data/examples.json").read_bytes())
    return found


def _windows(settings: GatewaySettings, platform: Platform) -> RateWindows:
    """One process owns a SQLite file, so it counts alone; whoever shares a store shares the count."""
    if platform.settings.store == "sqlite" and settings.gateway_replicas == 1:
        return LocalWindows(platform.clock)
    return SharedWindows(platform.storage, platform.clock, settings.gateway_replicas)


def _upstreams(settings: GatewaySettings, platform: Platform) -> Mapping[str, Upstream]:
    """Every service of the table: by its address if it has one, else in this process."""
    found: dict[str, Upstream] = {}
    for service in {route.service for route in ROUTES}:
        address = getattr(settings.upstreams, service.replace("-", "_"))
        found[service] = (
            AsgiUpstream(service, platform.local)
            if address is None
            else HttpUpstream(service, address, platform.draining)
        )
    return found


def _allowed(limits: LimitSettings) -> Allowed:
    return Allowed(
        stops=limits.stop_per_minute,
        registrations=limits.register_per_hour,
        register_tries=limits.register_tries_per_minute,
        logins=limits.login_per_minute,
        open_calls=limits.open_per_minute,
        webhooks_refused=limits.webhook_refused_per_minute,
    )
