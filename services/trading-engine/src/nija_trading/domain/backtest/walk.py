"""One trade from its entry to its last exit, over one symbol's tape.

Once it is open, a trade depends on its symbol's candles alone, so it is walked at once, however many symbols
share the account; `apex_run.py` books its fills when their steps come. A quiet candle is two comparisons; on
every other the stop and the levels sell as on the paper broker (`matching/guarded.py`), and `guarding.py` says
where the stop goes.
"""

from __future__ import annotations

from bisect import bisect_left
from math import inf

import numpy as np

from nija_trading.domain.apex import guarding
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.result import Exit, TradeRecord
from nija_trading.domain.backtest.tape import Cues, Tape
from nija_trading.domain.matching.guarded import STOP, Sale, along_path, at_open, bought, sold
from nija_trading.domain.matching.money import rate_units
from nija_trading.domain.matching.orders import Reason, first_stops, levels_prices
from nija_trading.domain.matching.position import paid_for

AT_OPEN, INSIDE = 0, 1
"""When a candle's fills come: all opens of a step come before what happens inside its candles."""

_STOP_LOSS, _TAKE_PROFIT, _TRAILING = Reason.STOP_LOSS, Reason.TAKE_PROFIT, Reason.TRAILING_STOP
_new = tuple.__new__
"""Named tuples made by the thousand: their own constructors take three times as long."""


ENTRY = -2
"""Takes the place of a level's number in an entry's fill; its quantity and value are negative."""


class Walk:
    """A trade as it will go: its `record`, and its `fills`, the entry's first.

    A fill's `at` is twice its candle's place, and one more inside the candle. The first `booked` fills have come; they
    have moved the cash `flow`. `total` is the flow of all fills; `least` and `most` bound what the trade adds to the
    account's equity at any close, from before its entry on.
    """

    __slots__ = ("booked", "fills", "flow", "least", "most", "record", "total")

    def __init__(self, record: TradeRecord, fills: list[Sale], total: int, least: int, most: int) -> None:
        self.record = record
        self.fills = fills
        self.total = total
        self.booked = self.flow = 0
        self.least = least
        self.most = most


class Walker:
    """Walks the trades of one symbol under one rulebook."""

    def __init__(self, tape: Tape, cues: Cues, rules: Rulebook) -> None:
        self.tape = tape
        self.cues = cues
        self.params = params = rules.params
        self.fees = fees = rules.venue.fees
        self.market = market = rules.venue.rules(tape.symbol)
        self.shares = tuple(rate_units(share) for share in params.level_shares)
        # Of every candidate, whether it will be traded or not: columns are cheaper than a call for each trade.
        opened = tape.candles.open[np.minimum(np.array(cues.entries, dtype=np.int64) + 1, len(tape) - 1)]
        entries = opened * (1 + market.market_cost)
        atrs = np.asarray(cues.atr)[cues.entries]
        stops = first_stops(entries, atrs, params.stop_atr, params.stop_minimum, params.stop_maximum)
        levels = levels_prices(entries, params.level_gains, fees, params.gross_levels)
        self.stops: list[float] = stops.tolist()
        self.levels: list[list[float]] = levels.tolist()
        if market.tick is not None:
            self.stops = [market.price_down(stop) for stop in self.stops]
            self.levels = [[market.price_up(level) for level in row] for row in self.levels]

    def walk(self, value: int, candidate: int, cash: int) -> Walk | None:
        """The trade that an entry of `value` opens behind the signal of `entries[candidate]`; None where it is not filled.

        `cash` is that before it.
        """
        tape, params, fees, market = self.tape, self.params, self.fees, self.market
        opens, high, low, close, shares = tape.open, tape.high, tape.low, tape.close, self.shares
        index = self.cues.entries[candidate] + 1
        entry, quantity, cost, fee = bought(value, opens[index], market, fees.taker)
        whole = cost + fee
        if whole > cash or market.refuses(quantity, cost):
            return None
        stop, levels = self.stops[candidate], self.levels[candidate]
        floor = stop if stop < low[index] else low[index]
        arm = top = guarding.armed_from(entry, params)
        armed, best, reason = False, -inf, _STOP_LOSS
        leave = self.cues.ends[candidate]
        last = leave + 1 if leave < len(low) else leave
        fills: list[Sale] = [(index * 2, ENTRY, entry, -quantity, -cost, fee)]
        here, left, number, level = index, quantity, 0, levels[0] if levels else inf
        while True:
            if armed:
                here, stop, best = self._trail(here, last, stop, best, level, entry)
            else:
                trigger = level if level < arm else arm
                for place in range(here, last):
                    if low[place] <= stop or high[place] >= trigger:
                        here = place
                        break
                else:
                    here = last
            if here == last:
                break
            least, most, opened = low[here], high[here], opens[here]
            if most > top:
                top = most
            if (opened <= stop or opened > level) and here > index:
                left = at_open(here * 2, stop, levels, shares, number, left, opened, market, fees, fills)
                if left == 0:
                    break
                number = len(fills) - 1
                level = levels[number] if number < len(levels) else inf
            if least <= stop or most > level:
                at, ended = here * 2 + INSIDE, close[here]
                left = along_path(
                    at, stop, levels, shares, number, left, opened, most, least, ended, market, fees, fills
                )
                if left == 0:
                    break
                number = len(fills) - 1
                level = levels[number] if number < len(levels) else inf
            if armed:
                if close[here] > best:
                    best = close[here]
                stop = guarding.trailed(stop, entry, best, self.cues.atr[here], params, market)
            elif most >= arm:
                armed, best, reason = True, max(close[index : here + 1]), _TRAILING
                stop = guarding.trailed(stop, entry, best, self.cues.atr[here], params, market)
            here += 1
        if left and last < len(low):
            left = at_open(last * 2, stop, levels, shares, number, left, opens[last], market, fees, fills)
            if left:
                reason = self._why(leave, index)
                fills.append(sold(last * 2, STOP, left, opens[last], market, fees.taker))
                left = 0

        times = tape.time_ms
        exits = [
            _new(Exit, (times[at >> 1], price, share, cut, _TAKE_PROFIT if number >= 0 else reason))
            for at, number, price, share, _, cut in fills[1:]
            if share
        ]
        _, _, _, _, values, cuts = zip(*fills, strict=True)
        earned, paid = sum(values), sum(cuts)
        lowest = floor
        ended_ms: int | None = None
        why: Reason | None = None
        if exits:
            ended_ms, lowest, _, _, why = exits[-1]
        if left:
            ended_ms = why = None
        profit = earned - paid + whole - paid_for(quantity - left, quantity, whole)
        record = _new(
            TradeRecord,
            (tape.symbol, times[index], ended_ms, entry, quantity, cost, paid, profit, why, tuple(exits)),
        )
        if lowest < floor:
            floor = lowest
        elif lowest > top:
            top = lowest
        if best > top:
            top = best
        slack = len(fills) + 1
        least, most = int(floor * quantity) - cost - paid - slack, int(top * quantity) - cost + slack
        return Walk(record, fills, earned - paid, least, most)

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

    def _why(self, leave: int, index: int) -> Reason:
        """Why the close of candle `leave` ends a trade whose entry candle is `index`."""
        times, leaves = self.tape.time_ms, self.cues.leaves
        number = bisect_left(leaves, leave)
        signalled = number < len(leaves) and leaves[number] == leave
        opposite = signalled and bool(self.cues.opposite[leave])
        held_ms = times[leave] - times[index]
        reason = guarding.exit_reason(opposite, signalled and not opposite, held_ms, self.params)
        if reason is None:
            raise ValueError(f"nothing ends the trade at candle {leave}")
        return reason
