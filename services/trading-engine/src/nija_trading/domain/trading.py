"""Commands on a desk between closes: alerts that open, closings by hand, halts. Pure, like a step.

An order of these is filled at once at the last mark, which its intent keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nija_common.events.base import Event
from nija_common.values.ids import derived_id
from nija_trading.domain import facts
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.step import AccountView, EntryDecision, ExitDecision, admit_alert
from nija_trading.domain.commands import Command
from nija_trading.domain.desk import Desk, Terms, Turn, recount
from nija_trading.domain.matching.orders import Reason
from nija_trading.domain.records import Order, Position
from nija_trading.domain.stepping import intent

ALERT_SCORE = 3
PRICE_AWAY = 0.02
"""An alert whose price is further from ours than this fraction opens nothing."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The last known price of a market: when it was made (market time), and the ATR of its candle. `stale`: it is too
    old to open anything at."""

    symbol: str
    price: float
    time_ms: int
    atr: float
    stale: bool = False


def open_by_alert(
    desk: Desk, command: Command, mark: Mark | None, marks: Mapping[str, float], terms: Terms, at_ms: int, now_ms: int
) -> Turn:
    """An alert's entry: its intent, or its trade cancelled with the reason. `now_ms` is the store's clock."""
    denied = _denied(desk, command, mark, terms, now_ms)
    if denied is not None:
        return _cancelled(desk, command, denied, at_ms)
    assert mark is not None
    view = AccountView(
        cash=desk.book.cash,
        positions={symbol: position.value for symbol, position in desk.positions.items()},
        protections=desk.ledger.state,
        allowed_pairs=terms.pairs,
        marks=marks,
        pending_entries={order.symbol: order.reserved for order in desk.open_orders() if order.side == "buy"},
    )
    decision = admit_alert(
        view,
        mark.symbol,
        mark=mark.price,
        atr=mark.atr,
        now_ms=mark.time_ms,
        wanted=command.size,
        score=ALERT_SCORE,
        rules=terms.rules,
    )
    if not isinstance(decision, EntryDecision):
        return _cancelled(desk, command, decision.value, at_ms)
    assert command.trade_id is not None
    order = decision.order(derived_id("ord", command.id), mark.time_ms, terms.rules.params)
    sent = intent(
        desk,
        order,
        trade_id=command.trade_id,
        source="webhook",
        at_ms=now_ms,
        reserved=decision.value,
        mark=mark.price,
        mark_ms=mark.time_ms,
    )
    book = desk.book.under(mark.symbol, terms.rules.venue.markets.get(mark.symbol))
    return Turn(_with_orders(replace(desk, book=book), sent), (), write=True)


def close_positions(
    desk: Desk, command: Command, chosen: list[Position], marks: Mapping[str, Mark], now_ms: int
) -> Turn:
    """Closing orders for these positions, one each, unless one is on its way already."""
    orders = []
    leaving = {order.symbol for order in desk.submitting() if order.side == "sell"}
    for position in chosen:
        if position.symbol in leaving:
            continue
        mark = marks[position.symbol]
        order_id = derived_id("ord", command.id, position.id)
        order = ExitDecision(position.symbol, Reason(command.reason)).order(order_id, mark.time_ms)
        sent = intent(
            desk,
            order,
            trade_id=position.trade_id,
            source=position.source,
            at_ms=now_ms,
            mark=mark.price,
            mark_ms=mark.time_ms,
        )
        orders.append(sent)
    return Turn(_with_orders(desk, *orders), (), write=bool(orders))


def _with_orders(desk: Desk, *orders: Order) -> Desk:
    after = replace(desk, orders={**desk.orders, **{order.id: order for order in orders}})
    return replace(after, account=recount(after.account, desk, after))


def _denied(desk: Desk, command: Command, mark: Mark | None, terms: Terms, now_ms: int) -> str | None:
    """Why the alert opens nothing, before limits and size are asked."""
    if command.expires_at_ms is not None and now_ms >= command.expires_at_ms:
        return "expired"
    if terms.blocked is not None and terms.blocked is not Denial.SIGNALS_ONLY:
        return terms.blocked.value
    if command.symbol in desk.positions:
        return "position_exists"
    if mark is None or mark.stale:
        return Denial.STALE_DATA.value
    if command.price is not None and abs(command.price - mark.price) > PRICE_AWAY * mark.price:
        return "price_away"
    return None


def _cancelled(desk: Desk, command: Command, reason: str, at_ms: int) -> Turn:
    assert command.trade_id is not None
    trade = desk.trades[command.trade_id]
    update = {"status": "cancelled", "reason": reason, "closed_at_ms": at_ms}
    cancelled = trade.model_copy(update=update)
    event: Event = facts.trade_cancelled(cancelled, at_ms)
    return Turn(replace(desk, trades={**desk.trades, trade.id: cancelled}), (event,), write=True)
