"""Everything that can move billing."""

from __future__ import annotations

from nija_billing import reads
from nija_billing.handlers import overrides, subscriptions, usage
from nija_common.events.administration import ApiUsageCounted, TierOverrideRequested
from nija_common.events.identity import UserSnapshot
from nija_common.events.topics import ADMIN, TRADING, USAGE, USERS
from nija_common.events.trading import BrokerConnected, BrokerRemoved, PositionClosed, PositionOpened, TradeOpened
from nija_common.runtime.manifest import shared

SUBSCRIPTIONS = (
    shared(USERS, {UserSnapshot: subscriptions.begin}, reads={UserSnapshot: reads.subscription}),
    shared(ADMIN, {TierOverrideRequested: overrides.set_tier}, reads={TierOverrideRequested: reads.subscription}),
    shared(USAGE, {ApiUsageCounted: usage.count_calls}, reads={ApiUsageCounted: reads.counters}),
    shared(
        TRADING,
        {
            TradeOpened: usage.count_trade,
            PositionOpened: usage.count_position,
            PositionClosed: usage.position_closed,
            BrokerConnected: usage.broker_connected,
            BrokerRemoved: usage.broker_removed,
        },
        reads={
            TradeOpened: reads.counters,
            PositionOpened: reads.counters,
            PositionClosed: reads.holdings,
            BrokerConnected: reads.holdings,
            BrokerRemoved: reads.holdings,
        },
    ),
)
