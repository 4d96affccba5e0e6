"""Events of trades and positions, made from the documents in the commit that makes them true."""

from __future__ import annotations

from typing import Any

from nija_common.events.deliveries import AuditRecorded
from nija_common.events.trading import (
    BalanceRead,
    PositionChanged,
    PositionClosed,
    PositionOpened,
    TradeAccepted,
    TradeCancelled,
    TradeClosed,
    TradeOpened,
    TradeReduced,
)
from nija_common.values.ids import derived_id
from nija_common.values.money import text_of, usd
from nija_trading.domain.desk import Desk
from nija_trading.domain.matching.money import value_of
from nija_trading.domain.matching.orders import Fill
from nija_trading.domain.matching.position import PositionState
from nija_trading.domain.matching.terms import VENUES
from nija_trading.domain.records import Position, Trade

EXECUTOR = "trading-engine"
"""Who did it, where no person asked for the order at hand."""


def balance_read(desk: Desk, at_ms: int, *, initial: bool = False) -> BalanceRead:
    """The cash of a paper book."""
    return BalanceRead(
        user_id=desk.user_id,
        broker=desk.ledger.broker,
        paper=desk.ledger.paper,
        currency="USD",
        cash=text_of(desk.book.cash),
        at_ms=at_ms,
        initial=initial,
    )


def trade_accepted(trade: Trade) -> TradeAccepted:
    """An alert that has been stored."""
    return TradeAccepted(
        user_id=trade.user_id,
        trade_id=trade.id,
        symbol=trade.symbol,
        side="long",
        broker=trade.broker,
        paper=trade.paper,
        source=trade.source,
        at_ms=trade.accepted_at_ms,
    )


def trade_cancelled(trade: Trade, at_ms: int) -> TradeCancelled:
    """A trade that ended without a fill."""
    return TradeCancelled(
        user_id=trade.user_id,
        trade_id=trade.id,
        symbol=trade.symbol,
        side="long",
        broker=trade.broker,
        paper=trade.paper,
        source=trade.source,
        reason=trade.reason or "",
        accepted_at_ms=trade.accepted_at_ms,
        at_ms=at_ms,
    )


def opened(desk: Desk, position: Position, fill: Fill, at_ms: int) -> tuple[TradeOpened, PositionOpened]:
    """An entry's fill."""
    trade = TradeOpened(
        **_trade(position),
        source=position.source,
        entry_price=fill.price,
        quantity=text_of(fill.quantity),
        size_usd=text_of(fill.value),
        fees=text_of(fill.fee),
        at_ms=at_ms,
        market_time_ms=fill.market_time,
    )
    return trade, PositionOpened(**position_fields(desk, position, fill.price, at_ms))


def reduced(
    desk: Desk, position: Position, before: PositionState, fill: Fill, at_ms: int
) -> tuple[TradeReduced, PositionChanged]:
    """The fill of a partial exit; `position` is what is left, `before` what there was."""
    after = position.value
    trade = TradeReduced(
        **_trade(position),
        price=fill.price,
        quantity=text_of(fill.quantity),
        remaining_quantity=text_of(after.quantity),
        realized_pnl=text_of(after.realized_pnl - before.realized_pnl),
        fees=text_of(fill.fee),
        reason=fill.reason.value,
        at_ms=at_ms,
        market_time_ms=fill.market_time,
    )
    return trade, PositionChanged(**position_fields(desk, position, fill.price, at_ms))


def closed(position: Position, after: PositionState, fill: Fill, at_ms: int) -> tuple[TradeClosed, PositionClosed]:
    """The fill of the last exit; `after` is the position with nothing left."""
    trade = TradeClosed(
        **_trade(position),
        source=position.source,
        entry_price=after.entry_price,
        exit_price=after.proceeds / after.entry_quantity,
        quantity=text_of(after.entry_quantity),
        size_usd=text_of(after.cost),
        realized_pnl=text_of(after.realized_pnl),
        realized_pnl_pct=100 * after.realized_pnl / after.cost,
        fees=text_of(after.fees),
        opened_at_ms=position.opened_at_ms,
        closed_at_ms=at_ms,
        market_time_ms=fill.market_time,
        exit_reason=fill.reason.value,
    )
    gone = PositionClosed(
        user_id=position.user_id,
        position_id=position.id,
        trade_id=position.trade_id,
        symbol=position.symbol,
        broker=position.broker,
        paper=position.paper,
        at_ms=at_ms,
    )
    return trade, gone


def executed(position: Position, quantity_before: int, fill: Fill, at_ms: int) -> AuditRecorded:
    """A fill for the audit log. No two fills of a position begin with the same quantity, so its id is its own."""
    return AuditRecorded(
        user_id=position.user_id,
        log_id=derived_id("log", position.id, fill.side.value, str(quantity_before)),
        event_type="trade_executed",
        actor=EXECUTOR,
        ip_address=None,
        user_agent=None,
        metadata={
            "symbol": position.symbol,
            "side": fill.side.value,
            "size_usd": usd(fill.value),
            "broker": position.broker,
            "paper": position.paper,
            "trade_id": position.trade_id,
            "reason": fill.reason.value,
        },
        at_ms=at_ms,
    )


def changed(desk: Desk, position: Position, mark: float, at_ms: int) -> PositionChanged:
    """A moved stop."""
    return PositionChanged(**position_fields(desk, position, mark, at_ms))


def position_fields(desk: Desk, position: Position, mark: float, at_ms: int) -> dict[str, Any]:
    """The fields of `position.opened` and `position.changed`, as the book has them."""
    state = position.value
    held = desk.book.holdings.get(position.symbol)
    stop = None if held is None or held.stop is None else held.stop.price
    target = held.levels[0].price if held is not None and held.levels else None
    return {
        "user_id": position.user_id,
        "position_id": position.id,
        "trade_id": position.trade_id,
        "symbol": position.symbol,
        "side": "long",
        "broker": position.broker,
        "paper": position.paper,
        "entry_price": state.entry_price,
        "quantity": text_of(state.quantity),
        "size_usd": text_of(value_of(state.entry_price, state.quantity)),
        "stop_loss": stop,
        "take_profit": target,
        "mark_price": mark,
        "tick": desk.book.ruled(VENUES[position.broker]).rules(position.symbol).tick,
        "protected": stop is not None,
        "opened_at_ms": position.opened_at_ms,
        "at_ms": at_ms,
    }


def _trade(position: Position) -> dict[str, Any]:
    return {
        "user_id": position.user_id,
        "trade_id": position.trade_id,
        "position_id": position.id,
        "symbol": position.symbol,
        "side": "long",
        "broker": position.broker,
        "paper": position.paper,
    }
