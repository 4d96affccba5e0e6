"""One trade from its entry to its last exit, over one symbol's tape.

Once it is open, a trade depends on its symbol's candles alone, so it is walked at once, however many symbols
share the account; `apex_run.py` books its fills when their steps come. A quiet candle is two comparisons; on
every other the paper broker's own `SymbolBook` meets the candle, and `guarding.py` says where the stop goes.
"""

from __future__ import annotations

from bisect import bisect_left
from math import inf

from nija_trading.domain.apex import guarding
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.result import Exit, TradeRecord
from nija_trading.domain.backtest.tape import Cues, Tape
from nija_trading.domain.matching.orders import Fill, Reason
from nija_trading.domain.matching.position import paid_for
from nija_trading.domain.matching.symbol_book import SymbolBook
from nija_trading.domain.matching.terms import MarketRules

AT_OPEN, INSIDE = 0, 1
"""When a candle's fills come: all opens of a step come before what happens inside its candles."""


_ENTRY, _TRAILING = Reason.ENTRY, Reason.TRAILING_STOP


Moment = tuple[int, int, int, int, int]
"""Fills of one candle's open or of its inside: (candle, phase, cash that the trade has moved since its beginning,
quantity that is held then, number of its fills by then)."""

# As in `symbol_book.py`: made by the thousand.
_exit, _record = Exit._make, TradeRecord._make


class Walk:
    """A trade as it will go. `moments` begins with the entry's; `closed` is False where candles end before it does.

    `least` and `most` bound what the trade adds to the account's equity at any close, from before its entry on;
    `floor` and `top` are the bounds of the closes while something is held, and of all but the last fill. The first
    `booked` moments have come, and have moved the cash `flow`.
    """

    __slots__ = ("booked", "closed", "fees", "fills", "flow", "least", "moments", "most")

    def __init__(
        self, fills: list[Fill], fees: int, moments: list[Moment], closed: bool, floor: float, top: float
    ) -> None:
        self.fills = fills
        self.fees = fees
        self.moments = moments
        self.closed = closed
        self.booked = 0
        self.flow = 0
        entry, last = fills[0], fills[-1]
        if last.price < floor:
            floor = last.price
        elif last.price > top:
            top = last.price
        quantity, slack = entry.quantity, len(fills) + 1
        least = int(floor * quantity) - entry.value - fees - slack
        most = int(top * quantity) - entry.value + slack
        self.least = least if least < 0 else 0
        self.most = most if most > 0 else 0

    def record(self) -> TradeRecord:
        """The trade as the result tells of it."""
        fills = self.fills
        _, symbol, _, price, bought, cost, fee, _, opened_ms, _ = fills[0]
        _, _, flow, left, _ = self.moments[-1]
        profit = flow + cost + fee - paid_for(bought - left, bought, cost + fee)
        closed_ms, reason = (fills[-1].market_time, fills[-1].reason) if self.closed else (None, None)
        exits = [_exit((at_ms, got, sold, paid, why)) for _, _, _, got, sold, _, paid, _, at_ms, why in fills[1:]]
        return _record((symbol, opened_ms, closed_ms, price, bought, cost, self.fees, profit, reason, tuple(exits)))


class TradeBook(SymbolBook):
    """A symbol's book for one trade at a time: nobody asks which of its orders ended with it."""

    __slots__ = ()

    def closed(self) -> None:
        """The trade is over."""
        self.levels = []


class Walker:
    """Walks the trades of one symbol under one rulebook."""

    def __init__(self, tape: Tape, cues: Cues, rules: Rulebook) -> None:
        self.tape = tape
        self.cues = cues
        self.params = rules.params
        self.market: MarketRules = rules.venue.rules(tape.symbol)
        self.book = TradeBook(tape.symbol, rules.venue.fees, self.market, [])
        self.ladder = guarding.ladder_of("entry", rules.params)

    def walk(self, value: int, candidate: int, cash: int) -> Walk | None:
        """The trade that an entry of `value` opens behind the signal of `entries[candidate]`; None where it is not filled."""
        index = self.cues.entries[candidate] + 1
        tape, params, atr, book = self.tape, self.params, self.cues.atr, self.book
        low, high, close = tape.low, tape.high, tape.close
        book.begin(cash, tape.time_ms[index])
        book.bought(
            "entry", _ENTRY, guarding.bracket_of("stop", self.ladder, atr[index - 1], params), tape.open[index], value
        )
        stop = book.stop
        if stop is None:
            return None
        fills = book.fills
        entry = fills[0].price
        floor = stop if stop < low[index] else low[index]
        arm = top = guarding.armed_from(entry, params)
        armed, best = False, -inf
        leave = self.cues.ends[candidate]
        last = leave + 1 if leave < len(low) else leave
        moments: list[Moment] = [(index, AT_OPEN, book.cash - cash, book.quantity, 1)]
        here = index
        while True:
            level = book.levels[0][1] if book.levels else inf
            if armed:
                here, stop, best = self._trail(here, last, stop, best, level, entry)
                book.stop, book.stop_reason = stop, _TRAILING
            else:
                trigger = level if level < arm else arm
                while here < last and low[here] > stop and high[here] < trigger:
                    here += 1
            if here == last:
                break
            if high[here] > top:
                top = high[here]
            self._meet(here, cash, level, stop, moments)
            if book.quantity == 0:
                return Walk(fills, book.paid, moments, True, floor, top if top > best else best)
            if armed:
                best = max(best, close[here])
                stop = guarding.trailed(stop, entry, best, atr[here], params, self.market)
            elif high[here] >= arm:
                armed, best = True, max(close[index : here + 1])
                stop = guarding.trailed(stop, entry, best, atr[here], params, self.market)
            here += 1
        if last < len(low):
            self._end(leave, index)
            moments.append((last, AT_OPEN, book.cash - cash, 0, len(fills)))
        return Walk(fills, book.paid, moments, last < len(low), floor, top if top > best else best)

    def _trail(
        self, start: int, last: int, stop: float, best: float, level: float, entry: float
    ) -> tuple[int, float, float]:
        """(first candle that touches something or `last`, stop, best close) of an armed trade."""
        low, high, close, atr = self.tape.low, self.tape.high, self.tape.close, self.cues.atr
        params, market = self.params, self.market
        distance = params.trailing_atr
        for here in range(start, last):
            if low[here] <= stop or high[here] > level:
                return here, stop, best
            if close[here] > best:
                best = close[here]
            if best - distance * atr[here] > stop:
                stop = guarding.trailed(stop, entry, best, atr[here], params, market)
        return last, stop, best

    def _meet(self, here: int, cash: int, level: float, stop: float, moments: list[Moment]) -> None:
        """A candle that is not quiet; the entry's own has met its open already. `cash` was before the trade."""
        tape, book = self.tape, self.book
        fills, opened = book.fills, tape.open[here]
        book.time_ms = tape.time_ms[here]
        filled = len(fills)
        if (opened <= stop or opened > level) and here > moments[0][0]:
            book.at_open(opened)
            if len(fills) > filled:
                filled = len(fills)
                moments.append((here, AT_OPEN, book.cash - cash, book.quantity, filled))
        book.path(opened, tape.high[here], tape.low[here], tape.close[here])
        if len(fills) > filled:
            moments.append((here, INSIDE, book.cash - cash, book.quantity, len(fills)))

    def _end(self, leave: int, index: int) -> None:
        """The open behind a close that decided to leave: the stop and the levels still come first."""
        times, leaves, book = self.tape.time_ms, self.cues.leaves, self.book
        number = bisect_left(leaves, leave)
        signalled = number < len(leaves) and leaves[number] == leave
        opposite = signalled and bool(self.cues.opposite[leave])
        held_ms = times[leave] - times[index]
        reason = guarding.exit_reason(opposite, signalled and not opposite, held_ms, self.params)
        if reason is None:
            raise ValueError(f"nothing ends the trade at candle {leave}")
        opened = self.tape.open[leave + 1]
        book.time_ms = times[leave + 1]
        book.at_open(opened)
        if book.quantity:
            book.sold("exit", reason, opened)
