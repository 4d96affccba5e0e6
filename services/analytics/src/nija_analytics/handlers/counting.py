"""Trading's facts counted into ledgers and days; each trade and each broker's first balance counts once."""

from __future__ import annotations

from nija_analytics.deps import Deps
from nija_analytics.domain.aggregates import (
    Cash,
    LastRun,
    Ledger,
    closed_trade,
    day_number,
    ledger_id,
    with_closed,
    with_initial,
)
from nija_common.events.base import Received
from nija_common.events.trading import BalanceRead, BotStatusChanged, TradeClosed
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
    ledger = ledger_id(event.user_id, event.paper)
    stored = await deps.results.cash(ledger, event.broker)
    uow.save(
        Cash(
            id=f"{ledger}/{event.broker}",
            version=0 if stored is None else stored.version,
            ledger=ledger,
            broker=event.broker,
            amount=units(event.cash),
            at_ms=event.at_ms,
        )
    )
    if event.initial:
        day = day_number(event.at_ms)
        totals = await _ledger(deps, event.user_id, event.paper, day)
        uow.save(*with_initial(totals, await deps.results.day(ledger, day), event.broker, units(event.cash)))


async def trade_closed(deps: Deps, received: Received[TradeClosed], uow: UnitOfWork) -> None:
    """Counts a closed trade, once."""
    event = received.event
    if await deps.results.trade(event.trade_id) is not None:
        return
    trade = closed_trade(event)
    day = day_number(trade.closed_at_ms)
    totals = await _ledger(deps, event.user_id, event.paper, day)
    uow.save(trade, *with_closed(totals, await deps.results.day(trade.ledger, day), trade))


async def _ledger(deps: Deps, user_id: str, paper: bool, day: int) -> Ledger:
    name = ledger_id(user_id, paper)
    return await deps.results.ledger(name) or Ledger(id=name, user_id=user_id, paper=paper, first_day=day, initial={})
