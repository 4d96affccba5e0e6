"""The decision of one bot at one close, over all its symbols: what the strategy page says, in its order.

Pure: an account's view and the candles that closed in, a `StepDecision` out. Protections first, then open
positions (trailing, then exits by decision), then entries in the order of `allowed_pairs`. Fills of the candle
are booked before (`matching`, `position`, `protections`); sending what is decided is the caller's. The live
worker and `simulate` both call `decide`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nija_trading.domain.apex import guarding, sizing
from nija_trading.domain.apex.parameters import Limits, Parameters, RiskProfile
from nija_trading.domain.apex.protections import (
    Protections,
    at_close,
    day_of,
    entries_paused,
    size_factor,
    week_of,
)
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.signals import SignalRow
from nija_trading.domain.apex.sizing import Room
from nija_trading.domain.market.candles import Candle
from nija_trading.domain.matching.money import fee_of, portion, value_of
from nija_trading.domain.matching.orders import MarketOrder, Reason, Side
from nija_trading.domain.matching.position import PositionState
from nija_trading.domain.matching.terms import Venue


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What a bot trades by: constants, profile, the account's limits, the venue's terms."""

    params: Parameters
    profile: RiskProfile
    limits: Limits
    venue: Venue


@dataclass(frozen=True, slots=True)
class SymbolClose:
    """A symbol's candle that closed at this step, and its signals.

    `spread` is the quote's spread as a fraction of its middle, None without a quote. `stale` refuses entries.
    """

    symbol: str
    candle: Candle
    row: SignalRow
    spread: float | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as a decision sees it, the fills of the closed candles booked.

    `marks` holds the last close of each held symbol without a candle at this step. `pending_entries` are the
    values of entries that are decided and not filled, `pending_exits` the symbols whose exit is. A gate of the
    caller's (kill switch, stopped bot) is `entries_blocked`; `signal_exits` False leaves the time exit alone.
    """

    cash: int
    positions: Mapping[str, PositionState]
    protections: Protections
    allowed_pairs: Sequence[str]
    marks: Mapping[str, float] = field(default_factory=dict)
    pending_entries: Mapping[str, int] = field(default_factory=dict)
    pending_exits: frozenset[str] = frozenset()
    entries_blocked: Denial | None = None
    signal_exits: bool = True


@dataclass(frozen=True, slots=True)
class StopMove:
    """A stop to be moved to `price`, valid from the next candle."""

    symbol: str
    price: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class ExitDecision:
    """A position to be closed at the next open."""

    symbol: str
    reason: Reason

    def order(self, order_id: str, decided_ms: int) -> MarketOrder:
        """The market order of this exit: all that is left."""
        return MarketOrder(order_id, self.symbol, Side.SELL, self.reason, decided_ms)


@dataclass(frozen=True, slots=True)
class EntryDecision:
    """A long to be opened at the next open. `fraction` of equity before the clamps, `value` after them."""

    symbol: str
    score: int
    fraction: float
    value: int
    price: float
    atr: float

    def order(self, order_id: str, decided_ms: int, params: Parameters, reason: Reason = Reason.ENTRY) -> MarketOrder:
        """The market order of this entry, with its bracket (`<order_id>-stop`, `<order_id>-tp1`, ...)."""
        bracket = guarding.bracket_for(order_id, self.atr, params)
        return MarketOrder(order_id, self.symbol, Side.BUY, reason, decided_ms, value=self.value, bracket=bracket)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that the market asked for and that was not made, and why."""

    symbol: str
    reason: Denial


@dataclass(frozen=True, slots=True)
class StepDecision:
    """All that one step decided. `positions` holds the changed ones only."""

    equity: int
    protections: Protections
    positions: Mapping[str, PositionState]
    stop_moves: tuple[StopMove, ...]
    exits: tuple[ExitDecision, ...]
    entries: tuple[EntryDecision, ...]
    refusals: tuple[Refusal, ...]


def equity_of(cash: int, positions: Iterable[PositionState], marks: Mapping[str, float]) -> int:
    """Cash and the worth of all positions at their marks, without exit costs; KeyError without a mark."""
    return cash + sum(position.value_at(marks[position.symbol]) for position in positions)


def decide(view: AccountView, closes: Sequence[SymbolClose], rules: Rulebook) -> StepDecision:
    """Decide at the close of the candles of one step; `closes` must not be empty."""
    marks = {**view.marks, **{close.symbol: close.candle.close for close in closes}}
    equity = equity_of(view.cash, view.positions.values(), marks)
    open_ms = closes[0].candle.time_ms
    protections = at_close(view.protections, equity, open_ms, rules.params, rules.profile, rules.limits)
    by_symbol = {close.symbol: close for close in closes}
    ordered = [by_symbol[symbol] for symbol in view.allowed_pairs if symbol in by_symbol]
    ordered += [close for close in closes if close.symbol not in view.allowed_pairs]

    positions, moves, exits = _guard(view, ordered, rules)
    room = _room(view, equity, marks, rules)
    entries, refusals = _enter(view, ordered, protections, open_ms, room, rules)
    return StepDecision(equity, protections, positions, moves, exits, entries, refusals)


def make_up(
    view: AccountView, late: Sequence[SymbolClose], rules: Rulebook
) -> tuple[dict[str, PositionState], tuple[ExitDecision, ...]]:
    """What candles decide that came after their step was taken, oldest first: trailing and exits, no entry."""
    positions = dict(view.positions)
    exits: dict[str, ExitDecision] = {}
    for close in late:
        changed, _, found = _guard(replace(view, positions=positions), (close,), rules)
        positions.update(changed)
        exits = {**{leave.symbol: leave for leave in found}, **exits}
    changes = {symbol: state for symbol, state in positions.items() if state is not view.positions[symbol]}
    return changes, tuple(exits.values())


def admit_alert(
    view: AccountView,
    symbol: str,
    *,
    mark: float,
    atr: float,
    now_ms: int,
    wanted: int | None,
    score: int,
    rules: Rulebook,
) -> EntryDecision | Denial:
    """Whether an alert may open a long at a mark, and with what value; between closes.

    `wanted` is the alert's own size, None for that of `score`. Gates, limits, protections and clamps are those
    of an entry of APEX; the market's filters are not asked. `view.marks` needs every held symbol.
    """
    marks = {**view.marks, symbol: mark}
    equity = equity_of(view.cash, view.positions.values(), marks)
    room = _room(view, equity, marks, rules)
    refused = _refused(view, symbol, view.protections, now_ms, 0, rules)
    if refused is not None:
        return refused
    return _sized(symbol, score, wanted, mark, atr, view.protections, room, rules)


def _guard(
    view: AccountView, closes: Sequence[SymbolClose], rules: Rulebook
) -> tuple[dict[str, PositionState], tuple[StopMove, ...], tuple[ExitDecision, ...]]:
    """Trailing, then exits by decision, of every open position with a candle."""
    changed: dict[str, PositionState] = {}
    moves: list[StopMove] = []
    exits: list[ExitDecision] = []
    for close in closes:
        before = view.positions.get(close.symbol)
        if before is None:
            continue
        market = rules.venue.rules(close.symbol)
        position = guarding.followed(before, close.candle, close.row.atr, rules.params, market)
        if position != before:
            changed[close.symbol] = position
        tightened = (position.stop, position.armed) != (before.stop, before.armed)
        if position.stop is not None and tightened:
            moves.append(StopMove(close.symbol, position.stop, guarding.stop_reason(position)))
        if close.symbol in view.pending_exits:
            continue
        reason = guarding.exit_at_close(position, close.candle, close.row, rules.params, signal_exits=view.signal_exits)
        if reason is not None:
            exits.append(ExitDecision(close.symbol, reason))
    return changed, tuple(moves), tuple(exits)


def _enter(
    view: AccountView,
    closes: Sequence[SymbolClose],
    protections: Protections,
    open_ms: int,
    room: Room,
    rules: Rulebook,
) -> tuple[tuple[EntryDecision, ...], tuple[Refusal, ...]]:
    """Entries that the market asks for, in the order of `allowed_pairs`; each takes its room from the next."""
    entries: list[EntryDecision] = []
    refusals: list[Refusal] = []
    for close in closes:
        if not close.row.wants_entry or close.symbol not in view.allowed_pairs:
            continue
        outcome: EntryDecision | Denial | None = _refused(view, close.symbol, protections, open_ms, len(entries), rules)
        if outcome is None and close.stale:
            outcome = Denial.STALE_DATA
        if outcome is None and close.spread is not None and close.spread > rules.params.spread_maximum:
            outcome = Denial.SPREAD_WIDE
        if outcome is None:
            price, row = close.candle.close, close.row
            outcome = _sized(close.symbol, row.score_long, None, price, row.atr, protections, room, rules)
        if isinstance(outcome, EntryDecision):
            entries.append(outcome)
            room = room.less(outcome.value, fee_of(outcome.value, rules.venue.fees.taker))
        else:
            refusals.append(Refusal(close.symbol, outcome))
    return tuple(entries), tuple(refusals)


def _refused(
    view: AccountView, symbol: str, protections: Protections, time_ms: int, decided: int, rules: Rulebook
) -> Denial | None:
    """Gates, what is held already, protections and counted limits; `decided` entries of this step count."""
    if view.entries_blocked is not None:
        return view.entries_blocked
    if symbol in view.positions:
        return Denial.POSITION_EXISTS
    if symbol in view.pending_entries:
        return Denial.ORDER_PENDING
    day = day_of(time_ms)
    paused = entries_paused(protections, day, week_of(time_ms))
    if paused is not None:
        return paused
    coming = len(view.pending_entries) + decided
    limits = rules.limits
    if limits.daily_trades is not None and protections.trades_on(day) + coming >= limits.daily_trades:
        return Denial.DAILY_TRADES
    if limits.positions is not None and len(view.positions) + coming >= limits.positions:
        return Denial.POSITIONS
    return None


def _room(view: AccountView, equity: int, marks: Mapping[str, float], rules: Rulebook) -> Room:
    """Equity, exposure and free cash, with the entries that are on their way taken off."""
    held = sum(value_of(marks[p.symbol], p.quantity) for p in view.positions.values())
    pending = sum(view.pending_entries.values())
    fees = sum(fee_of(value, rules.venue.fees.taker) for value in view.pending_entries.values())
    return Room(equity, held + pending, view.cash - pending - fees)


def _sized(
    symbol: str,
    score: int,
    wanted: int | None,
    price: float,
    atr: float,
    protections: Protections,
    room: Room,
    rules: Rulebook,
) -> EntryDecision | Denial:
    params, profile = rules.params, rules.profile
    fraction = sizing.fraction_of(score, params, profile, size_factor(protections, params))
    sizer = sizing.Sizer(symbol, params, profile, rules.limits, rules.venue)
    value = sizer.value(portion(room.equity, fraction) if wanted is None else wanted, room, price, atr)
    if isinstance(value, Denial):
        return value
    return EntryDecision(symbol, score, fraction, value, price, atr)
