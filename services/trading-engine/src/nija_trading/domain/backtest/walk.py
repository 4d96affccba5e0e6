"""One trade from its entry to its last exit, over one symbol's tape.

Once it is open, a trade depends on its symbol's candles alone, so it is walked at once, however many symbols
share the account; `apex_run.py` books its fills when their steps come. A quiet candle is two comparisons; on
every other the paper broker's own `SymbolBook` meets the candle, and `guarding.py` says where the stop goes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil, inf

from nija_trading.domain.apex import guarding
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.tape import Cues, Tape
from nija_trading.domain.matching.book import Holding
from nija_trading.domain.matching.orders import Fill, Reason, RestingStop
from nija_trading.domain.matching.symbol_book import SymbolBook
from nija_trading.domain.matching.terms import MarketRules

AT_OPEN, INSIDE = 0, 1
"""When a candle's fills come: all opens of a step come before what happens inside its candles."""


_TRAILING = Reason.TRAILING_STOP

Moment = tuple[int, int, int]
"""Fills of one candle's open or of its inside: (candle, phase, number of the trade's fills up to then)."""


class Walk:
    """A trade as it will go. `moments` begins with the entry's; `closed` is False where candles end before it does.

    `least` and `most` bound what the trade adds to the account's equity at any close, from before its entry on;
    `floor` and `top` are the bounds of the closes while something is held.
    """

    __slots__ = ("booked", "closed", "fills", "flow", "least", "moments", "most", "quantity")

    def __init__(self, fills: list[Fill], moments: list[Moment], closed: bool, floor: float, top: float) -> None:
        self.fills = fills
        self.moments = moments
        self.closed = closed
        self.booked = 0
        """Moments that are booked; `flow` is the cash that they moved, `quantity` what is held after them."""
        self.flow = 0
        self.quantity = 0
        fees = 0
        for fill in fills:
            fees += fill.fee
            if fill.price < floor:
                floor = fill.price
            elif fill.price > top:
                top = fill.price
        entry = fills[0]
        slack = len(fills) + 1
        least = int(floor * entry.quantity) - entry.value - fees - slack
        most = int(top * entry.quantity) - entry.value + slack
        self.least = least if least < 0 else 0
        self.most = most if most > 0 else 0


class TradeBook(SymbolBook):
    """A symbol's book for one trade: nobody asks which of its orders ended with it."""

    __slots__ = ()

    def closed(self, held: Holding) -> None:
        """The trade is over."""


class Walker:
    """Walks the trades of one symbol under one rulebook."""

    def __init__(self, tape: Tape, cues: Cues, rules: Rulebook) -> None:
        self.tape = tape
        self.cues = cues
        self.rules = rules
        self.market: MarketRules = rules.venue.rules(tape.symbol)
        self.ladder = guarding.ladder_of("entry", rules.params)
        self.hold_ms = guarding.maximum_hold_ms(rules.params)
        self.hold_candles = ceil(self.hold_ms / tape.candles.timeframe_ms) + 1

    def walk(self, value: int, index: int, cash: int) -> Walk | None:
        """The trade that an entry of `value` opens at the open of candle `index`; None where it is not filled."""
        tape, params, atr = self.tape, self.rules.params, self.cues.atr
        low, high, close = tape.low, tape.high, tape.close
        book = TradeBook(tape.symbol, self.rules.venue.fees, self.market, cash, time_ms=tape.time_ms[index])
        bracket = guarding.bracket_of("stop", self.ladder, atr[index - 1], params)
        book.bought("entry", Reason.ENTRY, bracket, tape.open[index], value)
        held = book.held
        if held is None or held.stop is None:
            return None
        fills, entry, stop = book.fills, book.fills[0].price, held.stop.price
        floor = min(stop, low[index])
        arm = top = guarding.armed_from(entry, params)
        armed, best = False, -inf
        leave = self._leave(index)
        last = min(leave + 1, len(low))
        moments = [(index, AT_OPEN, 1)]
        here = index
        while True:
            level = _lowest(held)
            if armed:
                here, stop, best = self._trail(here, last, stop, best, level, entry)
            else:
                here = _touch(low, high, here, last, stop, level if level < arm else arm)
            if here == last:
                break
            if high[here] > top:
                top = high[here]
            if armed:
                book.held = _guarded(held, stop)
            self._meet(book, here, here > index, moments)
            held = book.held
            if held is None:
                return Walk(fills, moments, True, floor, max(top, best))
            if armed or high[here] >= arm:
                best = max(best, close[here]) if armed else max(close[index : here + 1])
                armed = True
                stop = guarding.trailed(stop, entry, best, atr[here], params, self.market)
            here += 1
        if last < len(low):
            if armed:
                book.held = _guarded(held, stop)
            self._end(book, leave, index)
            moments.append((last, AT_OPEN, len(fills)))
        return Walk(fills, moments, last < len(low), floor, max(top, best))

    def _leave(self, index: int) -> int:
        """The first candle, from the entry's on, whose close ends the trade by signal or time."""
        leaves, times = self.cues.leaves, self.tape.time_ms
        number = bisect_left(leaves, index)
        # Candles lie a timeframe apart at least.
        latest = min(index + self.hold_candles, len(times))
        over = bisect_left(times, times[index] + self.hold_ms, index, latest)
        return min(leaves[number], over) if number < len(leaves) else over

    def _trail(
        self, start: int, last: int, stop: float, best: float, level: float, entry: float
    ) -> tuple[int, float, float]:
        """(first candle that touches something or `last`, stop, best close) of an armed trade."""
        low, high, close, atr = self.tape.low, self.tape.high, self.tape.close, self.cues.atr
        params, market = self.rules.params, self.market
        distance = params.trailing_atr
        for here in range(start, last):
            if low[here] <= stop or high[here] > level:
                return here, stop, best
            if close[here] > best:
                best = close[here]
            if best - distance * atr[here] > stop:
                stop = guarding.trailed(stop, entry, best, atr[here], params, market)
        return last, stop, best

    def _meet(self, book: SymbolBook, here: int, opens: bool, moments: list[Moment]) -> None:
        """A candle that is not quiet; the entry's own has met its open already."""
        tape = self.tape
        book.time_ms = tape.time_ms[here]
        filled = len(book.fills)
        if opens:
            book.at_open(tape.open[here])
            if len(book.fills) > filled:
                filled = len(book.fills)
                moments.append((here, AT_OPEN, filled))
            if book.held is None:
                return
        book.path(tape.open[here], tape.high[here], tape.low[here], tape.close[here])
        if len(book.fills) > filled:
            moments.append((here, INSIDE, len(book.fills)))

    def _end(self, book: SymbolBook, leave: int, index: int) -> None:
        """The open behind a close that decided to leave: the stop and the levels still come first."""
        times, leaves = self.tape.time_ms, self.cues.leaves
        number = bisect_left(leaves, leave)
        signalled = number < len(leaves) and leaves[number] == leave
        opposite = signalled and bool(self.cues.opposite[leave])
        held_ms = times[leave] - times[index]
        reason = guarding.exit_reason(opposite, signalled and not opposite, held_ms, self.rules.params)
        if reason is None:
            raise ValueError(f"nothing ends the trade at candle {leave}")
        opened = self.tape.open[leave + 1]
        book.time_ms = times[leave + 1]
        book.at_open(opened)
        if book.held is not None:
            book.sold(book.held, "exit", reason, opened)


def _touch(low: Sequence[float], high: Sequence[float], start: int, last: int, stop: float, trigger: float) -> int:
    """The first candle that touches the stop or reaches the trigger; `last` where none does."""
    for here in range(start, last):
        if low[here] <= stop or high[here] >= trigger:
            return here
    return last


def _lowest(held: Holding) -> float:
    """The lowest of the levels that rest."""
    lowest = inf
    for level in held.levels:
        if level.price < lowest:
            lowest = level.price
    return lowest


def _guarded(held: Holding, price: float) -> Holding:
    """What is held, with the stop of an armed trade, as `move_stop` leaves it in the paper book."""
    return Holding(held.quantity, held.active_from, RestingStop("stop", price, _TRAILING), held.levels)
