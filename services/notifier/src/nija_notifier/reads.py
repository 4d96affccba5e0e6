"""Which documents the handlers of events get by id: read for a whole batch at once (`runtime/manifest.py`)."""

from __future__ import annotations

from collections.abc import Iterator

from nija_common.events.base import Event, Received
from nija_common.events.deliveries import MailRequested
from nija_common.events.identity import UserSnapshot
from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.preferences import SettingsSnapshot
from nija_common.events.trading import (
    KillSwitchSnapshot,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeClosed,
    TradeOpened,
)
from nija_common.runtime.manifest import Read
from nija_notifier.domain import notices
from nija_notifier.domain.circulars import Circular, Switch
from nija_notifier.domain.mail import Delivery, delivery_id
from nija_notifier.domain.positions import OpenPosition
from nija_notifier.domain.recipients import Recipient


def position(received: Received[PositionOpened | PositionChanged | PositionClosed]) -> Iterator[Read]:
    yield OpenPosition, received.event.position_id


def trade_mail(received: Received[TradeOpened | TradeClosed]) -> Iterator[Read]:
    return _mail(received, received.event.user_id, notices.TRADE)


def payment_mail(received: Received[InvoicePaymentFailed]) -> Iterator[Read]:
    return _mail(received, received.event.user_id, notices.PAYMENT_FAILED)


def mail(received: Received[MailRequested]) -> Iterator[Read]:
    yield Delivery, received.event.mail_id


def recipient(received: Received[UserSnapshot | SettingsSnapshot]) -> Iterator[Read]:
    yield Recipient, received.event.user_id


def switch(received: Received[KillSwitchSnapshot]) -> Iterator[Read]:
    yield Switch, received.event.scope
    yield Circular, received.id


def _mail(received: Received[Event], user_id: str, template: str) -> Iterator[Read]:
    """Whom it goes to, and whether it is there already."""
    yield Recipient, user_id
    yield Delivery, delivery_id(received.id, template, user_id)
