"""Everything that can move analytics."""

from __future__ import annotations

from nija_analytics.handlers import counting, people
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import AUDIT, SUBSCRIPTIONS, TRADING, USERS
from nija_common.events.trading import BalanceRead, BotStatusChanged, TradeClosed
from nija_common.runtime.manifest import shared

SHARED = (
    shared(
        TRADING,
        {
            BotStatusChanged: counting.bot_ran,
            BalanceRead: counting.balance_read,
            TradeClosed: counting.trade_closed,
        },
    ),
    shared(USERS, {UserSnapshot: people.user_changed}),
    shared(SUBSCRIPTIONS, {SubscriptionSnapshot: people.subscription_changed}),
    shared(AUDIT, {AuditRecorded: people.audit_recorded}),
)
