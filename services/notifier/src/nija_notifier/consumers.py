"""Everything that can move notifier: what it keeps, and what its sockets are told."""

from __future__ import annotations

from nija_common.events.deliveries import MailRequested
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.topics import HOUR_MS, MAIL, MARKET_MARKS, SESSIONS, TRADING, USERS
from nija_common.events.trading import (
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
from nija_notifier.handlers import live, mail, positions

SUBSCRIPTIONS = (
    shared(
        TRADING,
        {
            PositionOpened: positions.remember,
            PositionChanged: positions.remember,
            PositionClosed: positions.forget,
        },
    ),
    shared(MAIL, {MailRequested: mail.want}),
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
        },
    ),
    broadcast(MARKET_MARKS, {MarketMarked: live.market_marked}, back_ms=HOUR_MS),
    broadcast(SESSIONS, {SessionRevoked: live.session_ended}, back_ms=KEPT_MS),
    broadcast(USERS, {UserSnapshot: live.user_changed}),
)
