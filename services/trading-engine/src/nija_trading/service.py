"""Trading-engine on one screen: bots, orders, positions, trades, broker connections, webhook keys, kill switches."""

from __future__ import annotations

from nija_common.events.topics import AUDIT, CONTROLS, MARKET_MARKS, TRADING, TRADING_COMMANDS
from nija_common.runtime.manifest import Role, SealedIn, Service, StateOf
from nija_trading import consumers, loops, store, wiring
from nija_trading.api import admin, brokers, trading, webhooks
from nija_trading.domain.account import Account, present_latch
from nija_trading.domain.connections import BrokerConnection
from nija_trading.domain.controls import GlobalSwitch
from nija_trading.handlers.key_checks import rewrapped
from nija_trading.settings import TradingSettings

SERVICE = Service(
    name="trading-engine",
    settings=TradingSettings,
    build=wiring.build,
    roles={
        "api": Role(
            routers=(trading.router, brokers.router, webhooks.router, admin.router),
            subscriptions=consumers.SUBSCRIPTIONS_OF_API,
        ),
        "worker": Role(subscriptions=consumers.BROADCASTS_OF_WORKER, tasks=(loops.WORKER,)),
    },
    collections=store.COLLECTIONS,
    produces=(TRADING, CONTROLS, TRADING_COMMANDS, MARKET_MARKS, AUDIT),
    states=(
        StateOf(CONTROLS, GlobalSwitch, GlobalSwitch.present),
        StateOf(CONTROLS, Account, present_latch),
    ),
    sealed=(SealedIn(BrokerConnection, rewrapped, index="by_user"),),
    served_as={"worker": "trading-worker"},
)
