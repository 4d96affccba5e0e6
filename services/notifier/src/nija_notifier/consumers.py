"""Everything that can move notifier: what it keeps, and what its sockets are told."""

from __future__ import annotations

from nija_common.events.deliveries import MailRequested
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import (
    CONTROLS,
    HOUR_MS,
    MAIL,
    MARKET_MARKS,
    PAYMENTS,
    SESSIONS,
    SETTINGS,
    SUBSCRIPTIONS,
    TRADING,
    USERS,
)
from nija_common.events.trading import (
    BotStatusChanged,
    KillSwitchSnapshot,
    MarketMarked,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.runtime.manifest import broadcast, shared
from nija_common.security.revocations import KEPT_MS
from nija_notifier import reads
from nija_notifier.domain.recent import KEPT_S
from nija_notifier.handlers import live, mail, notices, positions, recipients

SHARED = (
    shared(
        TRADING,
        {
            PositionOpened: positions.remember,
            PositionChanged: positions.remember,
            PositionClosed: positions.forget,
            TradeOpened: notices.trade_opened,
            TradeClosed: notices.trade_closed,
        },
        reads={
            PositionOpened: reads.position,
            PositionChanged: reads.position,
            PositionClosed: reads.position,
            TradeOpened: reads.trade_mail,
            TradeClosed: reads.trade_mail,
        },
    ),
    shared(MAIL, {MailRequested: mail.want}, reads={MailRequested: reads.mail}),
    shared(USERS, {UserSnapshot: recipients.user_changed}, reads={UserSnapshot: reads.recipient}),
    shared(SETTINGS, {SettingsSnapshot: recipients.settings_changed}, reads={SettingsSnapshot: reads.recipient}),
    shared(PAYMENTS, {InvoicePaymentFailed: notices.payment_failed}, reads={InvoicePaymentFailed: reads.payment_mail}),
    shared(CONTROLS, {KillSwitchSnapshot: notices.switch_changed}, reads={KillSwitchSnapshot: reads.switch}),
)

BROADCASTS = (
    broadcast(
        TRADING,
        {
            TradeOpened: live.trade_happened,
            TradeReduced: live.trade_happened,
            TradeClosed: live.trade_happened,
            TradeCancelled: live.trade_happened,
            PositionOpened: live.position_changed,
            PositionChanged: live.position_changed,
            PositionClosed: live.position_closed,
            BotStatusChanged: live.bot_changed,
        },
        back_ms=KEPT_S * 1000,
    ),
    broadcast(CONTROLS, {KillSwitchSnapshot: live.switch_changed}),
    broadcast(PAYMENTS, {InvoicePaymentFailed: live.payment_failed}),
    broadcast(SUBSCRIPTIONS, {SubscriptionSnapshot: live.subscription_changed}),
    broadcast(MARKET_MARKS, {MarketMarked: live.market_marked}, back_ms=HOUR_MS),
    broadcast(SESSIONS, {SessionRevoked: live.session_ended}, back_ms=KEPT_MS),
    broadcast(USERS, {UserSnapshot: live.user_changed}),
)
