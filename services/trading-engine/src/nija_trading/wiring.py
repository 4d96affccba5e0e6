"""What trading-engine is made of here: the only place that constructs its adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nija_common.errors import SettingsError
from nija_common.runtime.platform import Platform
from nija_trading.adapters.candle_files import CandleFileError, bundled_folder
from nija_trading.adapters.exchange_keys import ExchangeKeys
from nija_trading.adapters.live_market import LiveMarket
from nija_trading.adapters.live_venue import LiveVenue
from nija_trading.adapters.paper_broker import PaperBroker
from nija_trading.adapters.public_exchange import PublicExchange
from nija_trading.adapters.replay_market import ReplayMarket
from nija_trading.deps import Deps
from nija_trading.domain.matching.terms import VENUES
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
    market = market or await market_of(settings, platform)
    exchange_keys = ExchangeKeys(settings.brokers, platform.clock)
    deps = Deps(
        settings=settings,
        clock=platform.clock,
        storage=platform.storage,
        store=TradingStore(platform.storage),
        work=platform.work,
        bus=platform.bus,
        freshness=platform.freshness,
        market=market,
        broker=broker or PaperBroker(),
        keys=keys or exchange_keys,
        sealer=platform.sealer,
        finishing=platform.finishing,
        holder=platform.holder,
        looks=asyncio.Event(),
    )
    try:
        yield deps
    finally:
        await exchange_keys.close()
        await market.close()


async def market_of(settings: TradingSettings, platform: Platform) -> Market:
    """The exchanges as they trade, or the replay of a folder. Raises SettingsError for bad candles."""
    if platform.settings.market == "live":
        exchanges = [PublicExchange(name, platform.clock, settings.brokers.base_url(name)) for name in VENUES]
        return LiveMarket([LiveVenue(exchange, platform.clock) for exchange in exchanges], platform.clock)
    folder = platform.settings.candles or bundled_folder()
    try:
        return await asyncio.to_thread(ReplayMarket.of_folder, folder, platform.settings.speed)
    except CandleFileError as error:
        raise SettingsError(f"NIJA_CANDLES: {error}") from None
