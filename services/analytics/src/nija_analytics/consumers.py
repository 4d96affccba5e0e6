"""Everything that can move analytics."""

from __future__ import annotations

from nija_analytics.handlers import counting, people
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import AUDIT, SETTINGS, SUBSCRIPTIONS, TRADING, USERS
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.runtime.manifest import shared

SHARED = (
    shared(
        TRADING,
        {
            BotStatusChanged: counting.bot_ran,
            BalanceRead: counting.balance_read,
            TradeOpened: counting.trade_opened,
            TradeReduced: counting.trade_reduced,
            TradeClosed: counting.trade_closed,
            PositionOpened: counting.position_moved,
            PositionChanged: counting.position_moved,
            PositionClosed: counting.position_closed,
        },
    ),
    shared(USERS, {UserSnapshot: people.user_changed}),
    shared(SUBSCRIPTIONS, {SubscriptionSnapshot: people.subscription_changed}),
    shared(SETTINGS, {SettingsSnapshot: people.settings_changed}),
    shared(AUDIT, {AuditRecorded: people.audit_recorded}),
)
