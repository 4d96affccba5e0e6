"""One trade from its entry to its last exit, over one symbol's tape.

Once it is open, a trade depends on its symbol's candles alone, so it is walked at once, however many symbols
share the account; `apex_run.py` books its fills when their steps come. A quiet candle is two comparisons; on
every other the paper broker's own `SymbolBook` meets the candle, and `guarding.py` says where the stop goes.
"""

from __future__ import annotations

from bisect import bisect_left
from math import ceil, inf
from typing import NamedTuple

from nija_trading.domain.apex import guarding
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.result import Exit, TradeRecord
from nija_trading.domain.backtest.tape import Cues, Tape
from nija_trading.domain.matching.orders import Fill, Reason
from nija_trading.domain.matching.position import paid_for
from nija_trading.domain.matching.symbol_book import Guarded, SymbolBook
from nija_trading.domain.matching.terms import MarketRules

AT_OPEN, INSIDE = 0, 1
"""When a candle's fills come: all opens of a step come before what happens inside its candles."""


_ENTRY, _TRAILING = Reason.ENTRY, Reason.TRAILING_STOP


class Moment(NamedTuple):
    """Fills of one candle's open or of its inside, and what the trade has become by then.

    `flow` is the cash that it has moved since its beginning, `quantity` what is held, `fills` their number so far.
    """

    candle: int
    phase: int
    flow: int
    quantity: int
    fills: int


# As in `symbol_book.py`: made by the thousand.
_moment, _exit, _record = Moment._make, Exit._make, TradeRecord._make


class Walk:
    """A trade as it will go. `moments` begins with the entry's; `closed` is False where candles end before it does.

    `least` and `most` bound what the trade adds to the account's equity at any close, from before its entry on;
    `floor` and `top` are the bounds of the closes while something is held. The first `booked` moments have come.
    """

    __slots__ = ("booked", "closed", "exits", "fees", "fills", "flow", "least", "moments", "most", "proceeds")

    def __init__(self, fills: list[Fill], moments: list[Moment], closed: bool, floor: float, top: float) -> None:
        self.fills = fills
        self.moments = moments
        self.closed = closed
        self.booked = 0
        self.flow = 0
        entry = fills[0]
        fees = proceeds = 0
        exits = []
        for _, _, _, price, quantity, value, fee, _, at_ms, reason in fills[1:]:
            fees += fee
            proceeds += value
            if price < floor:
                floor = price
            elif price > top:
                top = price
            exits.append(_exit((at_ms, price, quantity, fee, reason)))
        self.exits = tuple(exits)
        self.fees = fees = fees + entry.fee
        self.proceeds = proceeds
        slack = len(fills) + 1
        least = int(floor * entry.quantity) - entry.value - fees - slack
        most = int(top * entry.quantity) - entry.value + slack
        self.least = least if least < 0 else 0
        self.most = most if most > 0 else 0

    def record(self) -> TradeRecord:
        """The trade as the result tells of it."""
        fills = self.fills
        entry, last = fills[0], fills[-1]
        bought, left = entry.quantity, self.moments[-1].quantity
        paid = paid_for(bought - left, bought, entry.value + entry.fee)
        profit = self.proceeds - (self.fees - entry.fee) - paid
        closed_ms, reason = (last.market_time, last.reason) if self.closed else (None, None)
        return _record(
            (
                entry.symbol,
                entry.market_time,
                closed_ms,
                entry.price,
                bought,
                entry.value,
                self.fees,
                profit,
                reason,
                self.exits,
            )
        )


class TradeBook(SymbolBook):
    """A symbol's book for one trade: nobody asks which of its orders ended with it."""

    __slots__ = ()

    def closed(self, held: Guarded) -> None:
        """The trade is over."""


class Walker:
    """Walks the trades of one symbol under one rulebook."""

    def __init__(self, tape: Tape, cues: Cues, rules: Rulebook) -> None:
        self.tape = tape
        self.cues = cues
        self.rules = rules
        self.market: MarketRules = rules.venue.rules(tape.symbol)
        self.ladder = guarding.ladder_of("entry", rules.params)
        self.hold_ms = ceil(guarding.maximum_hold_ms(rules.params))
        self.hold_candles = self.hold_ms // tape.candles.timeframe_ms + 2

    def walk(self, value: int, index: int, cash: int) -> Walk | None:
        """The trade that an entry of `value` opens at the open of candle `index`; None where it is not filled."""
        tape, params, atr = self.tape, self.rules.params, self.cues.atr
        low, high, close = tape.low, tape.high, tape.close
        book = TradeBook(tape.symbol, self.rules.venue.fees, self.market, cash, tape.time_ms[index], [])
        bracket = guarding.bracket_of("stop", self.ladder, atr[index - 1], params)
        book.bought("entry", _ENTRY, bracket, tape.open[index], value)
        held = book.held
        if held is None or held.stop is None:
            return None
        fills, entry, stop = book.fills, book.fills[0].price, held.stop
        floor = min(stop, low[index])
        arm = top = guarding.armed_from(entry, params)
        armed, best = False, -inf
        leave = self._leave(index)
        last = min(leave + 1, len(low))
        moments = [_moment((index, AT_OPEN, book.cash - cash, held.quantity, 1))]
        here = index
        while True:
            level = held.levels[0].price if held.levels else inf
            if armed:
                here, stop, best = self._trail(here, last, stop, best, level, entry)
                held.stop, held.stop_reason = stop, _TRAILING
            else:
                trigger = level if level < arm else arm
                while here < last and low[here] > stop and high[here] < trigger:
                    here += 1
            if here == last:
                break
            if high[here] > top:
                top = high[here]
            self._meet(book, here, cash, level, moments)
            if held.quantity == 0:
                return Walk(fills, moments, True, floor, top if top > best else best)
            if armed:
                best = max(best, close[here])
                stop = guarding.trailed(stop, entry, best, atr[here], params, self.market)
            elif high[here] >= arm:
                armed, best = True, max(close[index : here + 1])
                stop = guarding.trailed(stop, entry, best, atr[here], params, self.market)
            here += 1
        if last < len(low):
            self._end(book, leave, index)
            moments.append(_moment((last, AT_OPEN, book.cash - cash, 0, len(fills))))
        return Walk(fills, moments, last < len(low), floor, top if top > best else best)

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

    def _meet(self, book: SymbolBook, here: int, cash: int, level: float, moments: list[Moment]) -> None:
        """A candle that is not quiet; the entry's own has met its open already. `cash` was before the trade."""
        tape, fills, held = self.tape, book.fills, book.held
        if held is None:
            return
        opened = tape.open[here]
        book.time_ms = tape.time_ms[here]
        filled = len(fills)
        if here > moments[0].candle and (opened > level or held.stop is None or opened <= held.stop):
            book.at_open(opened)
            if len(fills) > filled:
                filled = len(fills)
                moments.append(_moment((here, AT_OPEN, book.cash - cash, held.quantity, filled)))
        book.path(opened, tape.high[here], tape.low[here], tape.close[here])
        if len(fills) > filled:
            moments.append(_moment((here, INSIDE, book.cash - cash, held.quantity, len(fills))))

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
