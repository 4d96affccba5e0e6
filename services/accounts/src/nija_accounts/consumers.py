"""Everything that can move accounts."""

from __future__ import annotations

from nija_accounts import reads
from nija_accounts.handlers import allowances, following
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.topics import HOUR_MS, MARKET_MARKS, SUBSCRIPTIONS, TRADING
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    MarketMarked,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeAccepted,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.runtime.manifest import broadcast, shared

SHARED = (
    shared(SUBSCRIPTIONS, {SubscriptionSnapshot: allowances.remember}, reads={SubscriptionSnapshot: reads.allowance}),
    shared(
        TRADING,
        {
            BotStatusChanged: following.bot_ran,
            BalanceRead: following.balance_read,
            PositionOpened: following.position_moved,
            PositionChanged: following.position_moved,
            PositionClosed: following.position_closed,
            TradeAccepted: following.trade_accepted,
            TradeOpened: following.trade_opened,
            TradeReduced: following.trade_reduced,
            TradeClosed: following.trade_closed,
            TradeCancelled: following.trade_cancelled,
        },
        reads={
            BotStatusChanged: reads.last_run,
            BalanceRead: reads.balance,
            PositionOpened: reads.position,
            PositionChanged: reads.position,
            PositionClosed: reads.position,
            TradeAccepted: reads.counted_trade,
            TradeOpened: reads.counted_trade,
            TradeReduced: reads.trade,
            TradeClosed: reads.counted_trade,
            TradeCancelled: reads.counted_trade,
        },
    ),
)

BROADCASTS = (broadcast(MARKET_MARKS, {MarketMarked: following.market_marked}, back_ms=HOUR_MS),)
