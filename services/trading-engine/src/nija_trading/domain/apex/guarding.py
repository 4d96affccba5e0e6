"""Guarding a position: its bracket, its trailing stop, and the exits that a close decides.

Pure functions of a position and a closed candle. Stops and levels themselves are filled by the matching core
or the exchange; nothing here asks whether entries are allowed.
"""

from __future__ import annotations

from dataclasses import replace

from nija_trading.domain.apex.parameters import Parameters
from nija_trading.domain.apex.signals import SignalRow
from nija_trading.domain.market.candles import HOUR_MS, Candle
from nija_trading.domain.matching.orders import Bracket, BracketLevel, Reason, first_stop
from nija_trading.domain.matching.position import PositionState
from nija_trading.domain.matching.terms import MarketRules


def bracket_for(entry_order_id: str, atr: float, params: Parameters) -> Bracket:
    """The stop and the ladder of an entry. Their order ids are the entry's with `-stop`, `-tp1`, `-tp2`, ..."""
    return Bracket(
        f"{entry_order_id}-stop",
        atr,
        params.stop_atr,
        params.stop_minimum,
        params.stop_maximum,
        ladder_of(entry_order_id, params),
        params.gross_levels,
    )


def ladder_of(entry_order_id: str, params: Parameters) -> tuple[BracketLevel, ...]:
    """The take-profit levels of an entry."""
    return tuple(
        BracketLevel(f"{entry_order_id}-tp{number}", gain, share)
        for number, (gain, share) in enumerate(zip(params.level_gains, params.level_shares, strict=True), start=1)
    )


def followed(
    position: PositionState, candle: Candle, atr: float, params: Parameters, rules: MarketRules
) -> PositionState:
    """The position after a close: best close, arming, and the trailing stop, which only tightens.

    The candle that arms it already moves the stop at its close; the new stop meets the next candle. A candle
    that opened before the entry changes nothing.
    """
    if candle.time_ms < position.opened_ms:
        return position
    best = candle.close if position.best_close is None else max(position.best_close, candle.close)
    armed = position.armed or candle.high >= armed_from(position.entry_price, params)
    stop = position.stop
    if armed and stop is not None:
        stop = trailed(stop, position.entry_price, best, atr, params, rules)
    first = position.entry_candle_ms
    return replace(
        position,
        best_close=best,
        armed=armed,
        stop=stop,
        entry_candle_ms=candle.time_ms if first is None else first,
    )


def armed_from(entry: float, params: Parameters) -> float:
    """The price that arms the trailing stop once a high has reached it."""
    return entry * (1 + params.trailing_arm)


def trailed(stop: float, entry: float, best: float, atr: float, params: Parameters, rules: MarketRules) -> float:
    """The stop of an armed position after a close: the tightest of the old one, the entry, and best close - ATRs."""
    trail = best - params.trailing_atr * atr
    if trail < entry:
        trail = entry
    if rules.tick is not None:
        trail = rules.price_down(trail)
    return trail if trail > stop else stop


def first_stop_of(entry: float, atr: float, params: Parameters, rules: MarketRules) -> float:
    """The price of the stop that comes to life with an entry at `entry`."""
    return first_stop(entry, atr, params.stop_atr, params.stop_minimum, params.stop_maximum, rules)


def stop_reason(position: PositionState) -> Reason:
    """What the stop of this position is called when it fires."""
    return Reason.TRAILING_STOP if position.armed else Reason.STOP_LOSS


def exit_at_close(
    position: PositionState, candle: Candle, row: SignalRow, params: Parameters, *, signal_exits: bool = True
) -> Reason | None:
    """Why this close ends the position at the next open: opposite signal, trend break, time; or None.

    `signal_exits` False leaves only the time, as for a stopped bot or one that trades alerts alone.
    """
    first = position.entry_candle_ms
    if first is None:
        return None
    opposite, trend_break = signal_exits and row.opposite, signal_exits and row.trend_break
    return exit_reason(opposite, trend_break, candle.time_ms - first, params)


def exit_reason(opposite: bool, trend_break: bool, held_ms: int, params: Parameters) -> Reason | None:
    """The first reason that ends a position whose entry candle opened `held_ms` before the one just closed."""
    if opposite:
        return Reason.OPPOSITE_SIGNAL
    if trend_break:
        return Reason.TREND_BREAK
    if held_ms >= maximum_hold_ms(params):
        return Reason.MAX_HOLD
    return None


def maximum_hold_ms(params: Parameters) -> float:
    """How long a position is held at most, in milliseconds of the market."""
    return params.maximum_hold_hours * HOUR_MS
