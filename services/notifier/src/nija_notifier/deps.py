"""What the parts of notifier work with; `wiring.py` builds it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nija_common.runtime.freshness import Freshness
from nija_common.security.sealing import Sealer
from nija_common.security.tokens import TokenVerifier
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock
from nija_notifier.domain.hub import Hub
from nija_notifier.ports import History, Mailer
from nija_notifier.settings import NotifierSettings
from nija_notifier.store import Circulars, Deliveries, Positions, Recipients


@dataclass(frozen=True, slots=True)
class Deps:
    """`hub` is this process' memory; everything else may be shared."""

    settings: NotifierSettings
    public_url: str
    clock: Clock
    work: Work
    tokens: TokenVerifier
    sealer: Sealer
    freshness: Freshness
    draining: asyncio.Event
    hub: Hub
    mailer: Mailer
    positions: Positions
    deliveries: Deliveries
    recipients: Recipients
    circulars: Circulars
    history: History
