"""Booking: what fills make of an account's positions and protections.

The step between matching and deciding, pure, and the same for the live worker and for `simulate`: an entry's
fill opens a position and counts as a trade of its day, an exit reduces or closes one, a closed trade moves the
count of losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nija_trading.domain.apex.protections import Protections, entry_filled, trade_closed
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.matching.orders import Ended, EndReason, Fill, Order, Side
from nija_trading.domain.matching.position import PositionState, level_skipped, opened_by, reduced_by


@dataclass(frozen=True, slots=True)
class Booked:
    """Open positions and protections after the fills; `closed` are the trades that ended, in order."""

    positions: Mapping[str, PositionState]
    protections: Protections
    closed: tuple[PositionState, ...]


def book(
    positions: Mapping[str, PositionState],
    protections: Protections,
    fills: Iterable[Fill],
    ended: Iterable[Ended],
    entries: Mapping[str, Order],
    rules: Rulebook,
) -> Booked:
    """Book fills and endings in their order. `entries` are the entry orders by id that may have been filled."""
    held = dict(positions)
    closed: list[PositionState] = []
    for fill in fills:
        if fill.side is Side.BUY:
            bracket = entries[fill.order_id].bracket
            market = rules.venue.rules(fill.symbol)
            atr = 0.0 if bracket is None else bracket.atr
            stop = None if bracket is None else bracket.stop_price(fill.price, market)
            held[fill.symbol] = opened_by(fill, atr_at_signal=atr, stop=stop)
            protections = entry_filled(protections, fill.market_time)
            continue
        position = reduced_by(held[fill.symbol], fill)
        if position.is_open:
            held[fill.symbol] = position
            continue
        del held[fill.symbol]
        closed.append(position)
        protections = trade_closed(protections, position.realized_pnl, fill.market_time, rules.params)
    for end in ended:
        skipped = end.reason is EndReason.BELOW_MINIMUM and end.order_id not in entries
        if skipped and end.symbol in held:
            held[end.symbol] = level_skipped(held[end.symbol])
    return Booked(held, protections, tuple(closed))
