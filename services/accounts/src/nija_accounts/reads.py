"""Which documents the handlers of events get by id: read for a whole batch at once (`runtime/manifest.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from nija_accounts.domain import calendar
from nija_accounts.domain.allowance import Allowance
from nija_accounts.domain.ledger import Balance, LastRun, balance_id
from nija_accounts.domain.positions import OpenPosition
from nija_accounts.domain.trades import Trade
from nija_common.events.base import Received
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeAccepted,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.runtime.manifest import Read


def allowance(received: Received[SubscriptionSnapshot]) -> Iterator[Read]:
    yield Allowance, received.event.user_id


def last_run(received: Received[BotStatusChanged]) -> Iterator[Read]:
    yield LastRun, received.event.user_id


def balance(received: Received[BalanceRead]) -> Iterator[Read]:
    event = received.event
    yield Balance, balance_id(event.user_id, event.paper, event.broker)


def position(received: Received[PositionOpened | PositionChanged | PositionClosed]) -> Iterator[Read]:
    yield OpenPosition, received.event.position_id


def trade(received: Received[TradeReduced]) -> Iterator[Read]:
    yield Trade, received.event.trade_id


def counted_trade(received: Received[TradeAccepted | TradeOpened | TradeClosed | TradeCancelled]) -> Iterator[Read]:
    """The trade, and what trades of its day and month are counted in."""
    event = received.event
    yield Trade, event.trade_id
    match event:
        case TradeClosed():
            at_ms = event.opened_at_ms
        case TradeCancelled():
            at_ms = event.accepted_at_ms
        case _:
            at_ms = event.at_ms
    ledger, day = calendar.ledger_of(event.user_id, event.paper), calendar.day_of(at_ms)
    yield calendar.DayOfTrades, calendar.period_id(ledger, day)
    yield calendar.MonthOfTrades, calendar.period_id(ledger, calendar.month_of(day))
