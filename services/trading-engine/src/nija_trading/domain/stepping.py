"""The heart: one bot's step of the market, as commits that follow each other whatever happens between them.

`next_turn` looks at a desk and at the step that is due, and answers with the next thing to do, or None when the
step is done. Its turns are the commits of a step: fills and exits; intents; and, between them and through the
broker, the outcomes (`brokering.py`). A crash before or after any of them changes nothing: the stored desk says
what has happened, and asking again goes on from there. Start, take-over and recovery are that same asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nija_common.events.base import Event
from nija_common.events.trading import TradeSource
from nija_common.values.ids import derived_id
from nija_trading.domain import account as accounts
from nija_trading.domain.account import Ledger
from nija_trading.domain.apex.protections import at_close
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.step import (
    AccountView,
    EntryDecision,
    ExitDecision,
    StepDecision,
    SymbolClose,
    decide,
    make_up,
)
from nija_trading.domain.booking import booked
from nija_trading.domain.desk import Desk, Terms, Turn, recount
from nija_trading.domain.matching import codec
from nija_trading.domain.matching.match import Matched, open_phase, rest_of_candle
from nija_trading.domain.matching.orders import MarketOrder, Side
from nija_trading.domain.matching.position import PositionState
from nija_trading.domain.records import Order


@dataclass(frozen=True, slots=True)
class Opening:
    """A candle whose open is known: its symbol, opening time and price."""

    symbol: str
    open_ms: int
    price: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step as a desk sees it.

    `closes`: the candles of its symbols that close now, in the order of `allowed_pairs`. `marks`: the last close of
    every held symbol. `openings`: candles of the step after, where their open is known already. `late`: candles of
    earlier steps, oldest first, that were not there when those were taken. `unknown`: held symbols whose candle of this
    step is not there, and may still come.
    """

    step_ms: int
    closes: tuple[SymbolClose, ...]
    marks: Mapping[str, float]
    openings: tuple[Opening, ...] = ()
    late: tuple[SymbolClose, ...] = ()
    unknown: tuple[str, ...] = ()


def next_turn(desk: Desk, step: Step, terms: Terms, at_ms: int) -> Turn | None:
    """The next turn of this step. Nothing may be waiting for the broker. `at_ms` is the wall clock."""
    if desk.ledger.matched_ms < step.step_ms:
        return meet_candles(desk, step, terms, at_ms)
    if desk.ledger.decided_ms < step.step_ms:
        return decide_at(desk, step, terms, at_ms)
    return meet_open(desk, step.openings, terms, at_ms)


def meet_candles(desk: Desk, step: Step, terms: Terms, at_ms: int) -> Turn:
    """The first commit: what the closed candles did to stops, levels and orders."""
    events: list[Event] = []
    work = desk
    venue = terms.rules.venue
    for close in step.late:
        work = _met(work, rest_of_candle(work.book, venue, close.symbol, close.candle), terms, at_ms, events)
    for close in step.closes:
        candle = close.candle
        work = _met(work, open_phase(work.book, venue, close.symbol, candle.time_ms, candle.open), terms, at_ms, events)
    for close in step.closes:
        work = _met(work, rest_of_candle(work.book, venue, close.symbol, close.candle), terms, at_ms, events)
    late = _late(desk.ledger, step)
    work = work.with_ledger(work.ledger.model_copy(update={"matched_ms": step.step_ms, "late": late}))
    return Turn(work, tuple(events), write=bool(events) or work.book is not desk.book or late != desk.ledger.late)


def meet_open(desk: Desk, openings: Sequence[Opening], terms: Terms, at_ms: int) -> Turn | None:
    """Orders that wait for an open meet it as soon as it is known; None where none waits, or nothing comes of it."""
    waiting = {order.symbol for order in desk.book.orders if isinstance(order, MarketOrder)}
    if not any(opening.symbol in waiting for opening in openings):
        return None
    events: list[Event] = []
    work = desk
    for opening in openings:
        matched = open_phase(work.book, terms.rules.venue, opening.symbol, opening.open_ms, opening.price)
        work = _met(work, matched, terms, at_ms, events)
    return Turn(work, tuple(events), write=True) if work.book is not desk.book else None


def decide_at(desk: Desk, step: Step, terms: Terms, at_ms: int) -> Turn:
    """The second commit: protections, trailing stops, and every intent of this close."""
    awaited = {symbol: late for symbol, late in desk.ledger.late.items() if late[1] is None}
    made_up = awaited != desk.ledger.late
    desk = desk.with_ledger(desk.ledger.model_copy(update={"decided_ms": step.step_ms, "late": awaited}))
    view, exits = _view(desk, step, terms), ()  # type: AccountView, tuple[ExitDecision, ...]
    if step.late:
        states, exits = make_up(view, step.late, terms.rules)
        desk = _moved(desk, states)
        leaving = view.pending_exits.union(leave.symbol for leave in exits)
        view = replace(_view(desk, step, terms), pending_exits=leaving)
    if not step.closes:
        late_exits = [_exit(desk, each, step.step_ms, at_ms) for each in exits]
        return Turn(_with_intents(desk, late_exits), write=made_up)
    decision = decide(view, step.closes, terms.rules)
    work = _followed(desk, decision)
    intents = [_exit(desk, each, step.step_ms, at_ms) for each in (*exits, *decision.exits)]
    intents += [_entry(desk, each, terms, step.step_ms, at_ms) for each in decision.entries]
    book = work.book
    for each in decision.entries:
        book = book.under(each.symbol, terms.rules.venue.markets.get(each.symbol))
    after = _with_intents(work if book is work.book else replace(work, book=book), intents)
    events: tuple[Event, ...] = ()
    reached = decision.protections.drawdown_reached and after.account.status == "running"
    if reached and after.account.current == after.key:
        reason = "The drawdown limit of the risk profile was reached; open positions stay guarded."
        account, events = accounts.end(after.account, by="drawdown", reason=reason, at_ms=at_ms)
        after = replace(after, account=account)
    write = bool(intents or events) or bool(after.stops_differ()) or made_up
    return Turn(after, events, write=write)


def fold(desk: Desk, step: Step, terms: Terms) -> Desk:
    """The desk carried over a step that was committed without it: nothing happened to it there, so peak, bases and
    best closes follow, and nothing is decided anew."""
    update = {"matched_ms": step.step_ms, "decided_ms": step.step_ms}
    moved = desk.with_ledger(desk.ledger.model_copy(update=update))
    closes = [close for close in step.closes if close.symbol not in desk.ledger.late]
    if not closes:
        return moved
    quiet = replace(terms, blocked=Denial.NOT_RUNNING, signal_exits=False)
    return _followed(moved, decide(_view(desk, step, quiet), closes, terms.rules))


def fold_flat(desk: Desk, step_ms: int, open_ms: int | None, terms: Terms) -> Desk:
    """The same over many steps at once, for a desk that holds nothing and whose last close was after its last fill: its
    equity stood still all the while."""
    ledger = desk.ledger
    state = ledger.state
    if open_ms is not None:
        rules = terms.rules
        state = at_close(state, desk.book.cash, open_ms, rules.params, rules.profile, rules.limits)
    update = {"matched_ms": step_ms, "decided_ms": step_ms, "protections": state.to_dict()}
    return desk.with_ledger(ledger.model_copy(update=update))


def _met(desk: Desk, matched: Matched, terms: Terms, at_ms: int, events: list[Event]) -> Desk:
    after, told = booked(desk, matched, terms.rules, at_ms)
    events += told
    return after


def _view(desk: Desk, step: Step, terms: Terms) -> AccountView:
    waiting = desk.open_orders()
    return AccountView(
        cash=desk.book.cash,
        positions={symbol: position.value for symbol, position in desk.positions.items()},
        protections=desk.ledger.state,
        allowed_pairs=terms.pairs,
        marks=step.marks,
        pending_entries={order.symbol: order.reserved for order in waiting if order.side == "buy"},
        pending_exits=frozenset(order.symbol for order in waiting if order.side == "sell"),
        entries_blocked=terms.blocked,
        signal_exits=terms.signal_exits,
    )


def _followed(desk: Desk, decision: StepDecision) -> Desk:
    """Protections and positions as the close leaves them."""
    ledger = desk.ledger.model_copy(update={"protections": decision.protections.to_dict()})
    return _moved(desk.with_ledger(ledger), decision.positions)


def _moved(desk: Desk, states: Mapping[str, PositionState]) -> Desk:
    """The desk with positions as a close leaves them."""
    moved = {
        symbol: desk.positions[symbol].model_copy(update={"state": state.to_dict()}) for symbol, state in states.items()
    }
    return replace(desk, positions={**desk.positions, **moved})


def _with_intents(desk: Desk, intents: list[Order]) -> Desk:
    """The desk with new intents, and what they reserve."""
    after = replace(desk, orders={**desk.orders, **{order.id: order for order in intents}})
    return replace(after, account=recount(after.account, desk, after))


def _late(ledger: Ledger, step: Step) -> dict[str, tuple[int, int | None]]:
    """What is late once this step's candles have met the book: still awaited, or made up for now."""
    found: dict[str, tuple[int, int | None]] = {}
    for symbol in step.unknown:
        found[symbol] = ledger.late.get(symbol, (ledger.decided_ms, None))
    for symbol, (since_ms, _) in ledger.late.items():
        if symbol not in found:
            found[symbol] = (since_ms, step.step_ms)
    return found


def _entry(desk: Desk, entry: EntryDecision, terms: Terms, step_ms: int, at_ms: int) -> Order:
    order_id = _order_id(desk, entry.symbol, Side.BUY, step_ms)
    order = entry.order(order_id, step_ms, terms.rules.params)
    trade_id = derived_id("trd", order_id)
    return intent(desk, order, trade_id=trade_id, source="strategy", at_ms=at_ms, reserved=entry.value)


def _exit(desk: Desk, leave: ExitDecision, step_ms: int, at_ms: int) -> Order:
    position = desk.positions[leave.symbol]
    order = leave.order(_order_id(desk, leave.symbol, Side.SELL, step_ms), step_ms)
    return intent(desk, order, trade_id=position.trade_id, source=position.source, at_ms=at_ms)


def _order_id(desk: Desk, symbol: str, side: Side, step_ms: int) -> str:
    """The same decision, the same id: what keeps a symbol, candle and side from acting twice."""
    return derived_id("ord", desk.user_id, desk.key, symbol, str(step_ms), side.value)


def intent(
    desk: Desk,
    order: MarketOrder,
    *,
    trade_id: str,
    source: TradeSource,
    at_ms: int,
    reserved: int = 0,
    mark: float | None = None,
    mark_ms: int | None = None,
) -> Order:
    """An order that is about to leave: `submitting`."""
    return Order(
        id=order.order_id,
        user_id=desk.user_id,
        broker=desk.ledger.broker,
        paper=desk.ledger.paper,
        symbol=order.symbol,
        side="buy" if order.side is Side.BUY else "sell",
        order=codec.order_to(order),
        trade_id=trade_id,
        source=source,
        reserved=reserved,
        mark=mark,
        mark_ms=mark_ms,
        created_at_ms=at_ms,
    )
