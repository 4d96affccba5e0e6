"""The third commit of a step: what the broker says of an intent, and what that makes of the desk.

The paper broker is here too, as pure functions over the matching core: its book is part of the desk, so an
outcome, its fills and the book are one commit, and an intent that the book does not know was never sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from nija_common.events.base import Event
from nija_trading.domain import facts
from nija_trading.domain.apex.guarding import stop_reason
from nija_trading.domain.booking import booked, withdrawn
from nija_trading.domain.desk import Desk, Terms, Turn
from nija_trading.domain.matching.book import PaperBook, cancel, move_stop, place
from nija_trading.domain.matching.match import Matched, fill_now
from nija_trading.domain.matching.terms import Venue
from nija_trading.domain.records import Order


@dataclass(frozen=True, slots=True)
class Reply:
    """A broker's answer about one order: accepted and at rest, or over with what `matched` holds."""

    order_id: str
    state: Literal["accepted", "done"]
    matched: Matched


def submit_on_paper(book: PaperBook, venue: Venue, order: Order) -> Reply:
    """The paper broker takes an order: filled at its mark at once, or at rest until the next open. The market's rules
    are those that the intent has left with the book."""
    value = order.value
    venue = replace(venue, markets=book.rules)
    if order.mark is not None:
        assert order.mark_ms is not None
        return Reply(order.id, "done", fill_now(book, venue, value, order.mark, order.mark_ms))
    return Reply(order.id, "accepted", Matched(place(book, value)))


def look_up_on_paper(book: PaperBook, order: Order) -> Reply | None:
    """What the paper broker knows of an order whose outcome is not recorded; None: it was never sent."""
    return Reply(order.id, "accepted", Matched(book)) if order.id in book.order_ids() else None


def outcome(desk: Desk, reply: Reply, terms: Terms, at_ms: int) -> Turn:
    """The desk with a broker's answer recorded."""
    order = desk.orders[reply.order_id]
    if reply.state == "accepted":
        accepted = order.model_copy(update={"state": "accepted"})
        return Turn(replace(desk, book=reply.matched.book, orders={**desk.orders, order.id: accepted}), (), write=True)
    after, events = booked(desk, reply.matched, terms.rules, at_ms)
    return Turn(after, events, write=True)


def refused(desk: Desk, order: Order, reason: str, terms: Terms, at_ms: int) -> Turn:
    """An intent that may not leave any more: a switch was tripped between its commit and its sending."""
    after, events = withdrawn(desk, [order], reason, terms.rules, at_ms)
    return Turn(after, events, write=True)


def stops_moved(desk: Desk, at_ms: int) -> Turn:
    """Stops at the broker put to where they were decided to be."""
    events: list[Event] = []
    work = desk
    for symbol in desk.stops_differ():
        position = work.positions[symbol]
        state = position.value
        assert state.stop is not None
        work = replace(work, book=move_stop(work.book, symbol, state.stop, stop_reason(state)))
        mark = state.best_close if state.best_close is not None else state.entry_price
        events.append(facts.changed(work, position, mark, at_ms))
    return Turn(work, tuple(events), write=True)


def orders_cancelled(
    desk: Desk, reason: str, terms: Terms, at_ms: int, *, exits: bool = False, targets: bool = False
) -> Turn:
    """Waiting entries (with `exits` waiting exits, with `targets` take-profit levels too) taken back."""
    orders = [order for order in desk.open_orders() if order.side == "buy" or exits]
    book = desk.book
    for order in orders:
        book = cancel(book, order.id)
    if targets:
        for held in desk.book.holdings.values():
            for level in held.levels:
                book = cancel(book, level.order_id)
    after, events = withdrawn(replace(desk, book=book), orders, reason, terms.rules, at_ms)
    changed = bool(orders) or book is not desk.book
    return Turn(after, events, write=changed)
