"""Trading's facts counted into ledgers, months and days; each trade and each broker's first balance counts once."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain import trades
from nija_analytics.domain.aggregates import Cash, LastRun, Ledger, with_closed, with_initial
from nija_analytics.domain.results import (
    EVERY,
    day_number,
    day_with_trade,
    month_number,
    month_with_deposit,
    month_with_trade,
)
from nija_analytics.domain.trades import TradeRecord, ledger_id
from nija_common.events.base import Received
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.money import units


async def bot_ran(deps: Deps, received: Received[BotStatusChanged], uow: UnitOfWork) -> None:
    """Remembers which ledger a bot last ran on; a stop before any start names no broker and says nothing of it."""
    event = received.event
    if not event.broker:
        return
    stored = await deps.results.last_run(event.user_id)
    if stored is None or stored.paper != event.paper:
        uow.save(LastRun(id=event.user_id, version=0 if stored is None else stored.version, paper=event.paper))


async def balance_read(deps: Deps, received: Received[BalanceRead], uow: UnitOfWork) -> None:
    """Keeps the cash, and counts what a broker's account began with."""
    event = received.event
    name = ledger_id(event.user_id, event.paper)
    amount = units(event.cash)
    stored = await deps.results.cash(name, event.broker)
    uow.save(
        Cash(
            id=f"{name}/{event.broker}",
            version=0 if stored is None else stored.version,
            ledger=name,
            broker=event.broker,
            amount=amount,
            at_ms=event.at_ms,
        )
    )
    if not event.initial:
        return
    day = day_number(event.at_ms)
    ledger = await _ledger(deps, event.user_id, event.paper, day)
    if event.broker in ledger.initial:
        return
    month = await deps.results.month(name, EVERY, month_number(day))
    uow.save(with_initial(ledger, day, event.broker, amount), month_with_deposit(month, day, amount))


async def trade_opened(deps: Deps, received: Received[TradeOpened], uow: UnitOfWork) -> None:
    """Adds the trade's row."""
    stored = await deps.rows.trade(received.event.trade_id)
    uow.save(trades.opened(stored, received.event))


async def trade_reduced(deps: Deps, received: Received[TradeReduced], uow: UnitOfWork) -> None:
    """Keeps what a partial exit brought; it is counted with its trade's last exit."""
    stored = await deps.rows.trade(received.event.trade_id)
    if stored is not None:
        uow.save(trades.reduced(stored, received.event))


async def trade_closed(deps: Deps, received: Received[TradeClosed], uow: UnitOfWork) -> None:
    """Counts a closed trade, once, in all that it belongs to."""
    event = received.event
    stored = await deps.rows.trade(event.trade_id)
    if stored is not None and stored.status == "closed":
        return
    trade = trades.closed(stored, event)
    day = day_number(event.closed_at_ms)
    uow.save(trade, with_closed(await _ledger(deps, event.user_id, event.paper, day), day, trade))
    await _count(deps, trade, day, uow)
    position = await deps.rows.position(event.position_id)
    if position is not None:
        uow.save(trades.with_outcome(position, trade))


async def position_moved(deps: Deps, received: Received[PositionOpened | PositionChanged], uow: UnitOfWork) -> None:
    """Keeps the position as it is now."""
    stored = await deps.rows.position(received.event.position_id)
    uow.save(trades.position_moved(stored, received.event))


async def position_closed(deps: Deps, received: Received[PositionClosed], uow: UnitOfWork) -> None:
    """Notes that nothing of the position is held."""
    stored = await deps.rows.position(received.event.position_id)
    if stored is not None:
        uow.save(trades.position_ended(stored, received.event))


async def _count(deps: Deps, trade: TradeRecord, day: int, uow: UnitOfWork) -> None:
    for symbol in (EVERY, trade.symbol):
        month = await deps.results.month(trade.ledger, symbol, month_number(day))
        uow.save(
            month_with_trade(month, trade),
            day_with_trade(await deps.results.day(trade.ledger, symbol, day), trade),
        )


async def _ledger(deps: Deps, user_id: str, paper: bool, day: int) -> Ledger:
    name = ledger_id(user_id, paper)
    return await deps.results.ledger(name) or Ledger(id=name, user_id=user_id, paper=paper, first_day=day, initial={})
