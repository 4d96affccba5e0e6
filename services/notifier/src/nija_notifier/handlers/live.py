"""What broadcasts do to this process' sockets: memory only, no waiting, no store."""

from __future__ import annotations

from nija_common.events.base import Received
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.payments import InvoicePaymentFailed
from nija_common.events.subscriptions import SubscriptionSnapshot
from nija_common.events.trading import (
    BotStatusChanged,
    KillSwitchSnapshot,
    MarketMarked,
    PositionChanged,
    PositionClosed,
    PositionOpened,
)
from nija_common.telemetry.context import current_context
from nija_notifier.deps import Deps
from nija_notifier.domain import alerts
from nija_notifier.domain.outbox import Origin
from nija_notifier.domain.positions import Mark, open_position
from nija_notifier.domain.trade_updates import TradeEvent, TradeUpdate


def trade_happened(deps: Deps, received: Received[TradeEvent]) -> None:
    """Kept for who comes back; one frame for all sockets of the user that follow `trades`."""
    traceparent = current_context().traceparent or received.traceparent
    origin = Origin(received.id, received.correlation_id, received.time_ms, traceparent)
    deps.hub.trade(TradeUpdate(received.event, received.partition, received.offset, origin), deps.clock.monotonic())


def position_changed(deps: Deps, received: Received[PositionOpened | PositionChanged]) -> None:
    if deps.hub.watches_positions(received.event.user_id):
        deps.hub.position_changed(open_position(received.event, received.offset))


def position_closed(deps: Deps, received: Received[PositionClosed]) -> None:
    event = received.event
    deps.hub.position_closed(event.user_id, event.position_id, event.at_ms)


def market_marked(deps: Deps, received: Received[MarketMarked]) -> None:
    event = received.event
    deps.hub.market_marked((event.broker, event.symbol), Mark(event.price, event.at_ms))


def session_ended(deps: Deps, received: Received[SessionRevoked]) -> None:
    deps.hub.session_ended(received.event, received.time_ms)


def user_changed(deps: Deps, received: Received[UserSnapshot]) -> None:
    deps.hub.user_changed(received.event, received.time_ms)


def switch_changed(deps: Deps, received: Received[KillSwitchSnapshot]) -> None:
    """The state of a switch; an alert where it has changed."""
    deps.hub.alert(deps.hub.alarms.switch_changed(received.event))


def subscription_changed(deps: Deps, received: Received[SubscriptionSnapshot]) -> None:
    """Whether a payment is missing; an alert where it has been made good."""
    deps.hub.alert(deps.hub.alarms.subscription_changed(received.event, received.time_ms))


def payment_failed(deps: Deps, received: Received[InvoicePaymentFailed]) -> None:
    deps.hub.alert(alerts.payment_failed(received.event))


def bot_changed(deps: Deps, received: Received[BotStatusChanged]) -> None:
    """An alert where a bot cannot go on by itself."""
    deps.hub.alert(alerts.bot_trouble(received.event))
