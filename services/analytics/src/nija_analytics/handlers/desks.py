"""Trading's facts on trading cards and in the platform's totals; the consumer hands each fact over once."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain import platform_totals, trading_cards
from nija_analytics.domain.cards import TradingCard
from nija_common.events.base import Received
from nija_common.events.trading import (
    BotStatusChanged,
    BrokerConnected,
    BrokerRemoved,
    PositionClosed,
    PositionOpened,
    TradeClosed,
    TradeOpened,
)
from nija_common.storage.unit_of_work import UnitOfWork


async def bot_changed(deps: Deps, received: Received[BotStatusChanged], uow: UnitOfWork) -> None:
    """Whether the bot runs, and on which ledger it last did."""
    before = await deps.cards.trading(received.event.user_id)
    await _saved(deps, before, trading_cards.with_status(before, received.event), uow)


async def position_opened(deps: Deps, received: Received[PositionOpened], uow: UnitOfWork) -> None:
    """One more open position."""
    before = await deps.cards.trading(received.event.user_id)
    await _saved(deps, before, trading_cards.with_opened(before, received.event), uow)


async def position_closed(deps: Deps, received: Received[PositionClosed], uow: UnitOfWork) -> None:
    """One open position fewer."""
    before = await deps.cards.trading(received.event.user_id)
    await _saved(deps, before, trading_cards.with_closed(before, received.event), uow)


async def trade_opened(deps: Deps, received: Received[TradeOpened], uow: UnitOfWork) -> None:
    """A filled entry in its hour."""
    totals = await deps.totals.trading(received.event.user_id)
    uow.save(platform_totals.with_entry(totals, received.event, deps.clock.now_ms()))


async def trade_closed(deps: Deps, received: Received[TradeClosed], uow: UnitOfWork) -> None:
    """A closed trade in the results of its ledger."""
    before = await deps.cards.trading(received.event.user_id)
    await _saved(deps, before, trading_cards.with_trade(before, received.event), uow)


async def broker_connected(deps: Deps, received: Received[BrokerConnected], uow: UnitOfWork) -> None:
    """A connection more."""
    before = await deps.cards.trading(received.event.user_id)
    await _saved(deps, before, trading_cards.with_broker(before, received.event), uow)


async def broker_removed(deps: Deps, received: Received[BrokerRemoved], uow: UnitOfWork) -> None:
    """A connection fewer."""
    before = await deps.cards.trading(received.event.user_id)
    await _saved(deps, before, trading_cards.without_broker(before, received.event), uow)


async def _saved(deps: Deps, before: TradingCard, after: TradingCard, uow: UnitOfWork) -> None:
    if after is before:
        return
    uow.save(after)
    totals = await deps.totals.trading(after.id)
    counted = platform_totals.with_trading(totals, before, after)
    if counted is not totals:
        uow.save(counted)
