"""Everything that can move analytics."""

from __future__ import annotations

from nija_analytics import reads
from nija_analytics.deps import Deps
from nija_analytics.handlers import audit, counting, desks, people, usage
from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Event, Received
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import AUDIT, SETTINGS, SUBSCRIPTIONS, TRADING, USAGE, USERS
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    BrokerConnected,
    BrokerRemoved,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.runtime.manifest import SharedHandler, shared
from nija_common.storage.unit_of_work import UnitOfWork


def both(first: SharedHandler, second: SharedHandler) -> SharedHandler:
    """One event, two read models, one unit of work."""

    async def handle(deps: Deps, received: Received[Event], uow: UnitOfWork) -> None:
        await first(deps, received, uow)
        await second(deps, received, uow)

    return handle


SHARED = (
    shared(
        TRADING,
        {
            BotStatusChanged: both(counting.bot_ran, desks.bot_changed),
            BalanceRead: counting.balance_read,
            TradeOpened: both(counting.trade_opened, desks.trade_opened),
            TradeReduced: counting.trade_reduced,
            TradeClosed: both(counting.trade_closed, desks.trade_closed),
            PositionOpened: both(counting.position_moved, desks.position_opened),
            PositionChanged: counting.position_moved,
            PositionClosed: both(counting.position_closed, desks.position_closed),
            BrokerConnected: desks.broker_connected,
            BrokerRemoved: desks.broker_removed,
        },
        reads={
            BotStatusChanged: reads.bot,
            BalanceRead: reads.balance,
            TradeOpened: reads.opened_trade,
            TradeReduced: reads.trade,
            TradeClosed: reads.closed_trade,
            PositionOpened: reads.counted_position,
            PositionChanged: reads.position,
            PositionClosed: reads.counted_position,
            BrokerConnected: reads.broker,
            BrokerRemoved: reads.broker,
        },
    ),
    shared(USERS, {UserSnapshot: people.user_changed}, reads={UserSnapshot: reads.user}),
    shared(
        SUBSCRIPTIONS,
        {SubscriptionSnapshot: people.subscription_changed},
        reads={SubscriptionSnapshot: reads.subscription},
    ),
    shared(SETTINGS, {SettingsSnapshot: people.settings_changed}, reads={SettingsSnapshot: reads.preferences}),
    shared(USAGE, {ApiUsageCounted: usage.calls_counted}, reads={ApiUsageCounted: reads.calls}),
    shared(AUDIT, {AuditRecorded: both(audit.audit_recorded, usage.signed_in)}, reads={AuditRecorded: reads.audited}),
)
