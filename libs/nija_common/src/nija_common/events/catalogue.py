"""Every event class there is, and the upcasters of older versions. Schemas, examples and documents come from here."""

from __future__ import annotations

from nija_common.events.administration import ApiUsageCounted, TierOverrideRequested
from nija_common.events.base import Event
from nija_common.events.codec import Codec, Upcaster
from nija_common.events.deliveries import AuditRecorded, MailRequested
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.payments import InvoicePaid, InvoicePaymentFailed
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    BrokerConnected,
    BrokerRemoved,
    CommandsWaiting,
    KillSwitchSnapshot,
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

EVENTS: tuple[type[Event], ...] = (
    UserSnapshot,
    SessionRevoked,
    SubscriptionSnapshot,
    SettingsSnapshot,
    KillSwitchSnapshot,
    CommandsWaiting,
    BotStatusChanged,
    BrokerConnected,
    BrokerRemoved,
    BalanceRead,
    TradeAccepted,
    TradeOpened,
    TradeReduced,
    TradeClosed,
    TradeCancelled,
    PositionOpened,
    PositionChanged,
    PositionClosed,
    MarketMarked,
    InvoicePaid,
    InvoicePaymentFailed,
    TierOverrideRequested,
    ApiUsageCounted,
    MailRequested,
    AuditRecorded,
)

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, version) -> payload of the next version. Empty while every event is in its first version."""


def codec() -> Codec:
    """The codec over the whole catalogue."""
    return Codec(EVENTS, UPCASTERS)
