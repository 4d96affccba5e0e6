"""The read models of ledgers, positions and trades, moved by trading's facts in their order."""

from __future__ import annotations

from nija_accounts.deps import Deps
from nija_accounts.domain import calendar, trades
from nija_accounts.domain.ledger import Balance, after_run, balance_id
from nija_accounts.domain.positions import Mark, open_position
from nija_accounts.domain.trades import Trade
from nija_common.events.base import Received
from nija_common.events.trading import (
    BalanceRead,
    BotStatusChanged,
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
from nija_common.storage.unit_of_work import UnitOfWork
from nija_common.values.money import units


async def bot_ran(deps: Deps, received: Received[BotStatusChanged], uow: UnitOfWork) -> None:
    """Remembers which ledger a bot last ran on; a stop before any start names no broker and says nothing of it."""
    event = received.event
    if not event.broker:
        return
    stored = await deps.ledgers.last_run(event.user_id)
    last = after_run(stored, event.user_id, event.paper, event.broker)
    if last != stored:
        uow.save(last)


async def balance_read(deps: Deps, received: Received[BalanceRead], uow: UnitOfWork) -> None:
    """Keeps the cash of a ledger."""
    event = received.event
    stored = await deps.ledgers.balance(event.user_id, event.paper, event.broker)
    uow.save(
        Balance(
            id=balance_id(event.user_id, event.paper, event.broker),
            version=0 if stored is None else stored.version,
            user_id=event.user_id,
            broker=event.broker,
            paper=event.paper,
            currency=event.currency,
            cash=units(event.cash),
            at_ms=event.at_ms,
        )
    )


async def position_moved(deps: Deps, received: Received[PositionOpened | PositionChanged], uow: UnitOfWork) -> None:
    """Keeps a position as it is now."""
    stored = await deps.ledgers.position(received.event.position_id)
    uow.save(open_position(received.event, 0 if stored is None else stored.version))


async def position_closed(deps: Deps, received: Received[PositionClosed], uow: UnitOfWork) -> None:
    """Drops a closed position."""
    stored = await deps.ledgers.position(received.event.position_id)
    if stored is not None:
        uow.delete(stored)


async def trade_accepted(deps: Deps, received: Received[TradeAccepted], uow: UnitOfWork) -> None:
    stored = await deps.trades.get(received.event.trade_id)
    await _keep(deps, uow, stored, trades.accepted(stored, received.event))


async def trade_opened(deps: Deps, received: Received[TradeOpened], uow: UnitOfWork) -> None:
    stored = await deps.trades.get(received.event.trade_id)
    await _keep(deps, uow, stored, trades.opened(stored, received.event))


async def trade_reduced(deps: Deps, received: Received[TradeReduced], uow: UnitOfWork) -> None:
    stored = await deps.trades.get(received.event.trade_id)
    await _keep(deps, uow, stored, trades.reduced(stored, received.event))


async def trade_closed(deps: Deps, received: Received[TradeClosed], uow: UnitOfWork) -> None:
    stored = await deps.trades.get(received.event.trade_id)
    await _keep(deps, uow, stored, trades.closed(stored, received.event))


async def trade_cancelled(deps: Deps, received: Received[TradeCancelled], uow: UnitOfWork) -> None:
    stored = await deps.trades.get(received.event.trade_id)
    await _keep(deps, uow, stored, trades.cancelled(stored, received.event))


def market_marked(deps: Deps, received: Received[MarketMarked]) -> None:
    """Takes over a market's last price."""
    event = received.event
    deps.marks.moved((event.broker, event.symbol), Mark(event.price, event.at_ms))


async def _keep(deps: Deps, uow: UnitOfWork, stored: Trade | None, trade: Trade | None) -> None:
    """Saves what has changed, and counts a trade where it now belongs."""
    if trade is None or trade == stored:
        return
    uow.save(trade)
    before = None if stored is None else (calendar.day_of(stored.opened_at_ms), calendar.kind_of(stored))
    now = (calendar.day_of(trade.opened_at_ms), calendar.kind_of(trade))
    if before == now:
        return
    ledger = calendar.ledger_of(trade.user_id, trade.paper)
    if before is not None:
        await _count(deps, uow, ledger, *before, -1)
    await _count(deps, uow, ledger, *now, 1)


async def _count(deps: Deps, uow: UnitOfWork, ledger: str, day: int, kind: str, by: int) -> None:
    of_day = await deps.calendar.day(ledger, day)
    of_month = await deps.calendar.month(ledger, calendar.month_of(day))
    uow.save(
        of_day.model_copy(update={"counts": calendar.moved(of_day.counts, kind, by)}),
        of_month.model_copy(update={"counts": calendar.moved(of_month.counts, kind, by)}),
    )
