"""What the parts of trading work with; `wiring.py` builds it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nija_common.bus.port import Bus
from nija_common.runtime.freshness import Freshness
from nija_common.security.sealing import Sealer
from nija_common.storage.port import Storage
from nija_common.storage.unit_of_work import Work
from nija_common.values.clock import Clock
from nija_trading.ports import Broker, BrokerKeys, Market
from nija_trading.settings import TradingSettings
from nija_trading.store import TradingStore


@dataclass(frozen=True, slots=True)
class Deps:
    """`looks` is set by whoever knows that the worker should look at switches and commands now."""

    settings: TradingSettings
    clock: Clock
    storage: Storage
    store: TradingStore
    work: Work
    bus: Bus
    freshness: Freshness
    market: Market
    broker: Broker
    keys: BrokerKeys
    sealer: Sealer
    finishing: asyncio.Event
    holder: str
    looks: asyncio.Event
