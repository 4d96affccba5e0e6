"""What fills make of a desk: positions, trades, orders, and the events that tell of them.

The rules are `apex.booking`'s, one fill at a time, so that each event says what was true after its fill. Every
fill of a ledger, whoever caused it, comes through `booked`.
"""

from __future__ import annotations

from dataclasses import replace

from nija_common.events.base import Event
from nija_common.values.ids import derived_id
from nija_trading.domain import facts
from nija_trading.domain.apex.booking import Booked
from nija_trading.domain.apex.booking import book as book_fills
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.desk import Desk, recount
from nija_trading.domain.matching.match import Matched
from nija_trading.domain.matching.orders import Ended, Fill, Side
from nija_trading.domain.records import Order, Position, Trade


def booked(desk: Desk, matched: Matched, rules: Rulebook, at_ms: int) -> tuple[Desk, tuple[Event, ...]]:
    """The desk after these fills and endings, with their events."""
    if not matched.fills and not matched.ended:
        return (desk if matched.book is desk.book else replace(desk, book=matched.book)), ()
    work = _Booking(replace(desk, book=matched.book), rules, at_ms)
    for fill in matched.fills:
        work.fill(fill)
    work.end(matched.ended)
    account = recount(work.desk.account, desk, work.desk)
    after = replace(work.desk, account=account)
    events = tuple(work.events)
    if matched.fills:
        events = (*events, facts.balance_read(after, at_ms))
    return after, events


class _Booking:
    """One batch of fills on its way into a desk."""

    def __init__(self, desk: Desk, rules: Rulebook, at_ms: int) -> None:
        self.desk = desk
        self.rules = rules
        self.at_ms = at_ms
        self.events: list[Event] = []
        self.entries = desk.waiting_entries()

    def fill(self, fill: Fill) -> None:
        """One execution."""
        before = self.desk.positions.get(fill.symbol)
        result = self._book((fill,), ())
        order = self.desk.orders.get(fill.order_id)
        if fill.side is Side.BUY:
            assert order is not None
            self._open(order, fill, result)
        else:
            assert before is not None
            self._reduce(before, fill, result)
        held = self.desk.positions[fill.symbol] if before is None else before
        self.events.append(facts.executed(held, 0 if before is None else before.value.quantity, fill, self.at_ms))
        if order is not None:
            self._order(order.over("filled", self.at_ms))

    def end(self, ended: tuple[Ended, ...]) -> None:
        """Orders that are over without a fill, and levels that were too small to sell."""
        if not ended:
            return
        result = self._book((), ended)
        for symbol, state in result.positions.items():
            position = self.desk.positions[symbol]
            if state != position.value:
                self._position(position.model_copy(update={"state": state.to_dict()}))
        for each in ended:
            order = self.desk.orders.get(each.order_id)
            if order is not None and order.open:
                self.cancel(order, each.reason.value)

    def cancel(self, order: Order, reason: str) -> None:
        """An order that will not be filled; with an entry ends the trade that waits for it."""
        self._order(order.over("cancelled", self.at_ms, reason))
        trade = self.desk.trades.get(order.trade_id)
        if trade is not None and trade.status == "pending":
            cancelled = trade.model_copy(update={"status": "cancelled", "reason": reason, "closed_at_ms": self.at_ms})
            self._trade(cancelled)
            self.events.append(facts.trade_cancelled(cancelled, self.at_ms))

    def _book(self, fills: tuple[Fill, ...], ended: tuple[Ended, ...]) -> Booked:
        ledger = self.desk.ledger
        states = {symbol: position.value for symbol, position in self.desk.positions.items()}
        result = book_fills(states, ledger.state, fills, ended, self.entries, self.rules)
        update = {"protections": result.protections.to_dict()}
        self.desk = self.desk.with_ledger(ledger.model_copy(update=update))
        return result

    def _open(self, order: Order, fill: Fill, result: Booked) -> None:
        position = Position(
            id=derived_id("pos", order.id),
            user_id=order.user_id,
            trade_id=order.trade_id,
            broker=order.broker,
            paper=order.paper,
            symbol=order.symbol,
            source=order.source,
            state=result.positions[fill.symbol].to_dict(),
            opened_at_ms=self.at_ms,
        )
        trade = self.desk.trades.get(order.trade_id) or Trade(
            id=order.trade_id,
            user_id=order.user_id,
            status="open",
            broker=order.broker,
            paper=order.paper,
            symbol=order.symbol,
            source=order.source,
            accepted_at_ms=self.at_ms,
        )
        update = {"status": "open", "opened_at_ms": self.at_ms, "position_id": position.id}
        self._trade(trade.model_copy(update=update).with_fill(fill))
        self._position(position)
        self.events += facts.opened(self.desk, position, fill, self.at_ms)

    def _reduce(self, position: Position, fill: Fill, result: Booked) -> None:
        before = position.value
        trade = self.desk.trades[position.trade_id].with_fill(fill)
        state = result.positions.get(fill.symbol)
        if state is not None:
            left = position.model_copy(update={"state": state.to_dict()})
            self._trade(trade)
            self._position(left)
            self.events += facts.reduced(self.desk, left, before, fill, self.at_ms)
            return
        positions = {symbol: held for symbol, held in self.desk.positions.items() if symbol != fill.symbol}
        self.desk = replace(self.desk, positions=positions)
        update = {"status": "closed", "closed_at_ms": self.at_ms, "exit_reason": fill.reason.value}
        self._trade(trade.model_copy(update=update))
        self.events += facts.closed(position, result.closed[0], fill, self.at_ms)

    def _order(self, order: Order) -> None:
        self.desk = replace(self.desk, orders={**self.desk.orders, order.id: order})

    def _trade(self, trade: Trade) -> None:
        self.desk = replace(self.desk, trades={**self.desk.trades, trade.id: trade})

    def _position(self, position: Position) -> None:
        self.desk = replace(self.desk, positions={**self.desk.positions, position.symbol: position})


def withdrawn(
    desk: Desk, orders: list[Order], reason: str, rules: Rulebook, at_ms: int
) -> tuple[Desk, tuple[Event, ...]]:
    """The desk with these orders cancelled; they must not rest in the book any more."""
    work = _Booking(desk, rules, at_ms)
    for order in orders:
        work.cancel(order, reason)
    return replace(work.desk, account=recount(work.desk.account, desk, work.desk)), tuple(work.events)
