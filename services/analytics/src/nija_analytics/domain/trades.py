"""Trades and positions, one row each: kept for exports, and to count each trade and know what is open.

No fact leads back: a closed trade stays closed. Amounts and quantities are in units of 1e-8.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from nija_common.events.trading import (
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.values.document import Collection, Document, Index
from nija_common.values.money import Units, units

RowStatus = Literal["open", "closed"]


def ledger_id(user_id: str, paper: bool) -> str:
    """The id of a ledger: a user's paper or live account, all brokers together."""
    return f"{user_id}/{'paper' if paper else 'live'}"


class TradeRecord(Document):
    """One trade that was filled. `closed` says that it has been counted. `realized_pnl` is net of `fees`: of the
    exits so far while it is open."""

    collection: ClassVar[Collection] = Collection("trade_records", (Index("by_ledger", ("ledger", "opened_at_ms")),))
    ledger: str
    status: RowStatus
    symbol: str
    side: Literal["long", "short"]
    broker: str
    source: str
    entry_price: float
    exit_price: float | None = None
    quantity: Units
    size_usd: Units
    realized_pnl: Units = 0
    realized_pnl_pct: float | None = None
    fees: Units
    opened_at_ms: int
    closed_at_ms: int | None = None
    exit_reason: str | None = None

    @property
    def ended_ms(self) -> int:
        """The moment of the last exit; of the opening where there is none."""
        return self.opened_at_ms if self.closed_at_ms is None else self.closed_at_ms


class PositionRecord(Document):
    """One position: as it is while open, as it was held last once closed. `exit_price`, `realized_pnl`, `fees` and
    `exit_reason` are those of its trade, known at its end, as are the whole `quantity` and `size_usd` then."""

    collection: ClassVar[Collection] = Collection(
        "position_records",
        (Index("by_ledger", ("ledger", "opened_at_ms")), Index("by_status", ("ledger", "status", "opened_at_ms"))),
    )
    ledger: str
    status: RowStatus
    trade_id: str
    symbol: str
    side: Literal["long", "short"]
    broker: str
    entry_price: float
    exit_price: float | None = None
    quantity: Units
    size_usd: Units
    stop_loss: float | None
    take_profit: float | None
    realized_pnl: Units | None = None
    fees: Units | None = None
    opened_at_ms: int
    closed_at_ms: int | None = None
    exit_reason: str | None = None


def opened(stored: TradeRecord | None, event: TradeOpened) -> TradeRecord:
    """The trade at its entry."""
    return stored or TradeRecord(
        id=event.trade_id,
        ledger=ledger_id(event.user_id, event.paper),
        status="open",
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        source=event.source,
        entry_price=event.entry_price,
        quantity=units(event.quantity),
        size_usd=units(event.size_usd),
        fees=units(event.fees),
        opened_at_ms=event.at_ms,
    )


def reduced(stored: TradeRecord, event: TradeReduced) -> TradeRecord:
    """The trade after a partial exit."""
    if stored.status == "closed":
        return stored
    return stored.model_copy(
        update={
            "realized_pnl": stored.realized_pnl + units(event.realized_pnl),
            "fees": stored.fees + units(event.fees),
        }
    )


def closed(stored: TradeRecord | None, event: TradeClosed) -> TradeRecord:
    """The trade at its end; the event carries all of it."""
    return TradeRecord(
        id=event.trade_id,
        version=0 if stored is None else stored.version,
        ledger=ledger_id(event.user_id, event.paper),
        status="closed",
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        source=event.source,
        entry_price=event.entry_price,
        exit_price=event.exit_price,
        quantity=units(event.quantity),
        size_usd=units(event.size_usd),
        realized_pnl=units(event.realized_pnl),
        realized_pnl_pct=event.realized_pnl_pct,
        fees=units(event.fees),
        opened_at_ms=event.opened_at_ms,
        closed_at_ms=event.closed_at_ms,
        exit_reason=event.exit_reason,
    )


def position_moved(stored: PositionRecord | None, event: PositionOpened | PositionChanged) -> PositionRecord:
    """The position as it is now."""
    if stored is not None and stored.status == "closed":
        return stored
    return PositionRecord(
        id=event.position_id,
        version=0 if stored is None else stored.version,
        ledger=ledger_id(event.user_id, event.paper),
        status="open",
        trade_id=event.trade_id,
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        entry_price=event.entry_price,
        quantity=units(event.quantity),
        size_usd=units(event.size_usd),
        stop_loss=event.stop_loss,
        take_profit=event.take_profit,
        opened_at_ms=event.opened_at_ms,
    )


def position_ended(stored: PositionRecord, event: PositionClosed) -> PositionRecord:
    """The position once nothing of it is held."""
    return stored.model_copy(update={"status": "closed", "closed_at_ms": event.at_ms})


def with_outcome(stored: PositionRecord, trade: TradeRecord) -> PositionRecord:
    """The position with what its trade ended in."""
    return stored.model_copy(
        update={
            "exit_price": trade.exit_price,
            "quantity": trade.quantity,
            "size_usd": trade.size_usd,
            "realized_pnl": trade.realized_pnl,
            "fees": trade.fees,
            "exit_reason": trade.exit_reason,
        }
    )
