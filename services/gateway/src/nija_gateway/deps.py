"""What the gateway is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from nija_common.security.revocations import Revocations
from nija_common.security.tokens import TokenVerifier
from nija_common.storage.unit_of_work import Work
from nija_common.telemetry.access_log import AccessLog
from nija_common.values.clock import Clock
from nija_gateway.domain.addresses import Network
from nija_gateway.domain.admission import Admission
from nija_gateway.domain.examples import Examples
from nija_gateway.domain.routes import Table
from nija_gateway.domain.standing import Standings
from nija_gateway.domain.usage import Usage
from nija_gateway.domain.windows import RateWindows
from nija_gateway.ports import Upstream
from nija_gateway.store import StandingStore


@dataclass(frozen=True, slots=True)
class Times:
    """Deadlines of a call, in seconds."""

    answer: float = 30.0
    """Until the answer has begun, the request's body included; then between any two pieces of it."""
    linger: float = 1.0
    """How long the rest of a body that is too large is read, so that the client gets to see the refusal."""


@dataclass(frozen=True, slots=True)
class Deps:
    """Built once by `wiring.build`."""

    clock: Clock
    tokens: TokenVerifier
    store: StandingStore
    standings: Standings
    revocations: Revocations
    windows: RateWindows
    admission: Admission
    routes: Table
    upstreams: Mapping[str, Upstream]
    trusted_proxies: tuple[Network, ...]
    draining: asyncio.Event
    public_url: str
    examples: Examples
    work: Work
    usage: Usage
    usage_flush_s: int
    access_log: AccessLog
    traced: bool
    """Whether spans are sent anywhere; if not, ids alone are passed on."""
    times: Times = Times()
