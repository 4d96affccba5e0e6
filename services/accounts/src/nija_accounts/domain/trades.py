"""Trades as the history shows them: pending, open, then closed or cancelled, moved by trading's facts.

No fact leads back (a closed trade stays closed). That each is applied once, in order, is the consumer's
business; partial exits rest on it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from nija_common.events.trading import TradeAccepted, TradeCancelled, TradeClosed, TradeOpened, TradeReduced
from nija_common.values.document import Collection, Document, Index
from nija_common.values.money import Units, units

Status = Literal["pending", "open", "closed", "cancelled"]
ENDED = ("closed", "cancelled")


class Trade(Document):
    """One trade; amounts in units of 1e-8. `opened_at_ms` is the receipt while nothing is filled.

    `realized_pnl` is net of fees: so far while the trade is open (null before the first exit), final once
    closed. Prices are null while nothing is filled.
    """

    collection: ClassVar[Collection] = Collection(
        "trades",
        (
            Index("by_ledger", ("user_id", "paper", "opened_at_ms")),
            Index("by_symbol", ("user_id", "paper", "symbol", "opened_at_ms")),
            Index("by_status", ("user_id", "paper", "status", "opened_at_ms")),
            Index("by_symbol_and_status", ("user_id", "paper", "symbol", "status", "opened_at_ms")),
        ),
    )

    user_id: str
    status: Status
    symbol: str
    side: Literal["long", "short"]
    broker: str
    paper: bool
    source: Literal["strategy", "webhook"]
    opened_at_ms: int
    entry_price: float | None = None
    exit_price: float | None = None
    quantity: Units = 0
    size_usd: Units = 0
    realized_pnl: Units | None = None
    realized_pnl_pct: float | None = None
    fees: Units = 0
    closed_at_ms: int | None = None
    exit_reason: str | None = None
    reason: str | None = None


def accepted(stored: Trade | None, event: TradeAccepted) -> Trade:
    """A trade that waits for its fill."""
    return stored or Trade(
        id=event.trade_id,
        user_id=event.user_id,
        status="pending",
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        paper=event.paper,
        source=event.source,
        opened_at_ms=event.at_ms,
    )


def opened(stored: Trade | None, event: TradeOpened) -> Trade:
    """The trade once its entry is filled."""
    if stored is not None and stored.status != "pending":
        return stored
    return Trade(
        id=event.trade_id,
        version=0 if stored is None else stored.version,
        user_id=event.user_id,
        status="open",
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        paper=event.paper,
        source=event.source,
        opened_at_ms=event.at_ms,
        entry_price=event.entry_price,
        quantity=units(event.quantity),
        size_usd=units(event.size_usd),
        fees=units(event.fees),
    )


def reduced(stored: Trade | None, event: TradeReduced) -> Trade | None:
    """The trade after a partial exit; None if its opening is not known here."""
    if stored is None or stored.status != "open":
        return stored
    realized = (stored.realized_pnl or 0) + units(event.realized_pnl)
    return stored.model_copy(
        update={
            "realized_pnl": realized,
            "realized_pnl_pct": 100 * realized / stored.size_usd if stored.size_usd else None,
            "fees": stored.fees + units(event.fees),
        }
    )


def closed(stored: Trade | None, event: TradeClosed) -> Trade:
    """The trade at its end; the event carries all of it."""
    if stored is not None and stored.status in ENDED:
        return stored
    return Trade(
        id=event.trade_id,
        version=0 if stored is None else stored.version,
        user_id=event.user_id,
        status="closed",
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        paper=event.paper,
        source=event.source,
        opened_at_ms=event.opened_at_ms,
        entry_price=event.entry_price,
        exit_price=event.exit_price,
        quantity=units(event.quantity),
        size_usd=units(event.size_usd),
        realized_pnl=units(event.realized_pnl),
        realized_pnl_pct=event.realized_pnl_pct,
        fees=units(event.fees),
        closed_at_ms=event.closed_at_ms,
        exit_reason=event.exit_reason,
    )


def cancelled(stored: Trade | None, event: TradeCancelled) -> Trade:
    """A trade that ended without a fill."""
    if stored is not None and stored.status != "pending":
        return stored
    return Trade(
        id=event.trade_id,
        version=0 if stored is None else stored.version,
        user_id=event.user_id,
        status="cancelled",
        symbol=event.symbol,
        side=event.side,
        broker=event.broker,
        paper=event.paper,
        source=event.source,
        opened_at_ms=event.accepted_at_ms,
        reason=event.reason,
    )
