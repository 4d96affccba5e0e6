"""What a service is given to build itself from: the ports, wired for the platform it runs on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from nija_common.bus.port import Bus
from nija_common.runtime.freshness import Freshness
from nija_common.runtime.manifest import AsgiApp
from nija_common.runtime.settings import PlatformSettings
from nija_common.security.sealing import Sealer
from nija_common.security.tokens import TokenVerifier
from nija_common.storage.blobs import Blobs
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock


@dataclass(slots=True)
class LocalApps:
    """The ASGI apps of the services in this process, by service name; filled as they start. Empty under `nija serve`."""

    apps: dict[str, AsgiApp] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Platform:
    """One service's view of the platform. `storage` is its own database only, `blobs` its own files.

    `local` holds the other services' apps where they run in this process (`nija up`), else it stays empty
    and the gateway goes by the addresses of its settings.
    """

    service: str
    settings: PlatformSettings
    clock: Clock
    storage: Storage
    blobs: Blobs
    bus: Bus
    work: Work
    tokens: TokenVerifier
    sealer: Sealer
    freshness: Freshness
    local: LocalApps
    draining: asyncio.Event
    """Set when the process has been told to stop: take nothing new, close sockets."""
    finishing: asyncio.Event
    """Set after that, when the last request has been answered: finish what is in hand."""
    holder: str
    """This process, as it is named in leases."""
