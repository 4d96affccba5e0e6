"""What trading-engine is made of here: the only place that constructs its adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_common.errors import SettingsError
from nija_common.runtime.platform import Platform
from nija_common.runtime.settings import PlatformSettings
from nija_trading.adapters.candle_files import CandleFileError, bundled_folder
from nija_trading.adapters.exchange_keys import ExchangeKeys
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.adapters.replay_market import ReplayMarket
from nija_trading.deps import Deps
from nija_trading.ports import Broker, BrokerKeys, Market
from nija_trading.settings import TradingSettings
from nija_trading.store import TradingStore


@asynccontextmanager
async def build(
    settings: TradingSettings,
    platform: Platform,
    market: Market | None = None,
    broker: Broker | None = None,
    keys: BrokerKeys | None = None,
) -> AsyncIterator[Deps]:
    """The deps. `market`, `broker` and `keys` replace those that the settings name. Raises SettingsError for bad candles."""
    exchange_keys = ExchangeKeys(settings.brokers, platform.clock)
    deps = Deps(
        settings=settings,
        clock=platform.clock,
        storage=platform.storage,
        store=TradingStore(platform.storage),
        work=platform.work,
        bus=platform.bus,
        freshness=platform.freshness,
        market=market or await market_of(platform.settings),
        broker=broker or PaperBroker(),
        keys=keys or exchange_keys,
        sealer=platform.sealer,
        draining=platform.draining,
        holder=platform.holder,
        looks=asyncio.Event(),
    )
    try:
        yield deps
    finally:
        await exchange_keys.close()


async def market_of(settings: PlatformSettings) -> Market | None:
    """The replay of the settings' folder; None for live candles, which are not available yet."""
    if settings.market != "replay":
        return None
    folder = settings.candles or bundled_folder()
    try:
        return await asyncio.to_thread(ReplayMarket.of_folder, folder, settings.speed)
    except CandleFileError as error:
        raise SettingsError(f"NIJA_CANDLES: {error}") from None
