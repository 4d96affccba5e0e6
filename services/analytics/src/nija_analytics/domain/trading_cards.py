"""Trading's facts in a trading card: each function answers the card after one fact, and the same card where it says
nothing new."""

from __future__ import annotations

from typing import Any

from nija_analytics.domain.cards import LedgerResults, TradingCard
from nija_common.events.trading import (
    BotStatusChanged,
    BrokerConnected,
    BrokerRemoved,
    PositionClosed,
    PositionOpened,
    TradeClosed,
)
from nija_common.values.money import units


def with_status(card: TradingCard, event: BotStatusChanged) -> TradingCard:
    """A bot's status. A stop before any start names no broker and says nothing of the ledger."""
    paper = event.paper if event.broker else card.paper
    return _changed(card, running=event.status == "running", paper=paper)


def with_opened(card: TradingCard, event: PositionOpened) -> TradingCard:
    """One more open position."""
    return _changed(card, open_positions={**card.open_positions, event.position_id: event.paper})


def with_closed(card: TradingCard, event: PositionClosed) -> TradingCard:
    """One open position fewer; one that was never told of changes nothing."""
    left = {name: paper for name, paper in card.open_positions.items() if name != event.position_id}
    return _changed(card, open_positions=left)


def with_trade(card: TradingCard, event: TradeClosed) -> TradingCard:
    """One more closed trade in its ledger."""
    if event.paper:
        return _changed(card, paper_results=_counted(card.paper_results, event))
    return _changed(card, live_results=_counted(card.live_results, event))


def with_broker(card: TradingCard, event: BrokerConnected) -> TradingCard:
    """A connection that was made, or made anew."""
    return _changed(card, brokers={**card.brokers, event.broker_id: event.broker})


def without_broker(card: TradingCard, event: BrokerRemoved) -> TradingCard:
    """A connection that is gone."""
    return _changed(card, brokers={n: broker for n, broker in card.brokers.items() if n != event.broker_id})


def _counted(results: LedgerResults, event: TradeClosed) -> LedgerResults:
    net = units(event.realized_pnl)
    return LedgerResults(trades=results.trades + 1, wins=results.wins + (net > 0), net=results.net + net)


def _changed(card: TradingCard, **fields: Any) -> TradingCard:
    after = card.model_copy(update=fields)
    return card if after == card else after
