"""What broadcasts do to this process' sockets: memory only, no waiting, no store."""

from __future__ import annotations

from nija_common.events.base import Received
from nija_common.events.identity import SessionRevoked, UserSnapshot
from nija_common.events.trading import MarketMarked, PositionChanged, PositionClosed, PositionOpened
from nija_notifier.deps import Deps
from nija_notifier.domain.positions import Mark, open_position
from nija_notifier.domain.trade_updates import TradeEvent, trade_frame


def trade_happened(deps: Deps, received: Received[TradeEvent]) -> None:
    """One frame for all sockets of the user that follow `trades`."""
    user_id = received.event.user_id
    if deps.hub.follows_trades(user_id):
        deps.hub.trade(user_id, trade_frame(received.event, received.offset))


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
