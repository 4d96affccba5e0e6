"""Which documents the handlers of events get by id: read for a whole batch at once (`runtime/manifest.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from nija_analytics.domain.aggregates import Cash, LastRun, Ledger
from nija_analytics.domain.audit import AuditHead, AuditRow, chain_of, head_id
from nija_analytics.domain.cards import AccountCard, Activity, TradingCard
from nija_analytics.domain.people import Preferences, SubscriptionCard, UserCard
from nija_analytics.domain.platform_totals import (
    ActivityTotals,
    SubscriptionTotals,
    TradingTotals,
    TrafficTotals,
    UserTotals,
    shard_id,
)
from nija_analytics.domain.results import EVERY, ResultDay, ResultMonth, day_number, month_number, period_id
from nija_analytics.domain.trades import PositionRecord, TradeRecord, ledger_id
from nija_common.events.administration import ApiUsageCounted
from nija_common.events.base import Received
from nija_common.events.deliveries import AuditRecorded
from nija_common.events.identity import UserSnapshot
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
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
from nija_common.runtime.manifest import Read


def bot(received: Received[BotStatusChanged]) -> Iterator[Read]:
    yield LastRun, received.event.user_id
    yield from _card(received.event.user_id)


def balance(received: Received[BalanceRead]) -> Iterator[Read]:
    event = received.event
    ledger = ledger_id(event.user_id, event.paper)
    yield Cash, f"{ledger}/{event.broker}"
    if event.initial:
        yield Ledger, ledger
        yield ResultMonth, period_id(ledger, EVERY, month_number(day_number(event.at_ms)))


def opened_trade(received: Received[TradeOpened]) -> Iterator[Read]:
    yield TradeRecord, received.event.trade_id
    yield TradingTotals, shard_id(received.event.user_id)


def trade(received: Received[TradeReduced]) -> Iterator[Read]:
    yield TradeRecord, received.event.trade_id


def closed_trade(received: Received[TradeClosed]) -> Iterator[Read]:
    """The trade, its position, and all that it is counted in."""
    event = received.event
    yield TradeRecord, event.trade_id
    yield PositionRecord, event.position_id
    ledger, day = ledger_id(event.user_id, event.paper), day_number(event.closed_at_ms)
    yield Ledger, ledger
    for symbol in (EVERY, event.symbol):
        yield ResultMonth, period_id(ledger, symbol, month_number(day))
        yield ResultDay, period_id(ledger, symbol, day)
    yield from _card(event.user_id)


def position(received: Received[PositionChanged]) -> Iterator[Read]:
    yield PositionRecord, received.event.position_id


def counted_position(received: Received[PositionOpened | PositionClosed]) -> Iterator[Read]:
    yield PositionRecord, received.event.position_id
    yield from _card(received.event.user_id)


def broker(received: Received[BrokerConnected | BrokerRemoved]) -> Iterator[Read]:
    return _card(received.event.user_id)


def user(received: Received[UserSnapshot]) -> Iterator[Read]:
    user_id = received.event.user_id
    yield UserCard, user_id
    yield UserTotals, shard_id(user_id)
    yield AccountCard, user_id


def subscription(received: Received[SubscriptionSnapshot]) -> Iterator[Read]:
    user_id = received.event.user_id
    yield SubscriptionCard, user_id
    yield SubscriptionTotals, shard_id(user_id)
    yield AccountCard, user_id


def preferences(received: Received[SettingsSnapshot]) -> Iterator[Read]:
    yield Preferences, received.event.user_id


def calls(received: Received[ApiUsageCounted]) -> Iterator[Read]:
    user_id = received.event.user_id
    yield TrafficTotals, shard_id(user_id)
    yield from _activity(user_id)


def audited(received: Received[AuditRecorded]) -> Iterator[Read]:
    event = received.event
    yield AuditRow, event.log_id
    yield AuditHead, head_id(chain_of(event.user_id))
    if event.event_type == "user_login":
        yield from _activity(event.user_id)


def _card(user_id: str) -> Iterator[Read]:
    yield TradingCard, user_id
    yield TradingTotals, shard_id(user_id)


def _activity(user_id: str) -> Iterator[Read]:
    yield Activity, user_id
    yield ActivityTotals, shard_id(user_id)
