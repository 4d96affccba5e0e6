"""The events of a fast run in their order: decisions, entries, and the fills of trades that are walked already."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from nija_trading.domain.apex.protections import day_of, entries_paused, week_factor, week_of
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.apex.signals import MAXIMUM_SCORE
from nija_trading.domain.apex.sizing import Room, Sizer, fraction_of
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.ledger import Ledger
from nija_trading.domain.backtest.result import TradeRecord
from nija_trading.domain.backtest.tape import Cues, Steps, Tape
from nija_trading.domain.backtest.walk import AT_OPEN, Walk, Walker
from nija_trading.domain.market.candles import DAY_MS
from nija_trading.domain.matching.money import fee_of, portion

_AT_CLOSE, _PHASES = 2, 3
"""Behind a candle's `AT_OPEN` and `INSIDE` comes what its close decides."""


_PAUSES = frozenset({Denial.DAILY_LOSS, Denial.LOSING_STREAK, Denial.WEEK_LOSS})
"""Once they are there they hold for the rest of the day, at least."""


class _Seat:
    """One symbol of the account: free with its next candidate, waiting with an order, or in a trade."""

    __slots__ = ("candidate", "cues", "number", "sizer", "tape", "value", "walk", "walker")

    def __init__(self, number: int, tape: Tape, cues: Cues, rules: Rulebook) -> None:
        self.number = number
        self.tape = tape
        self.cues = cues
        self.walker = Walker(tape, cues, rules)
        self.sizer = Sizer(tape.symbol, rules.params, rules.profile, rules.limits, rules.venue)
        self.candidate = 0
        """Place in `cues.entries` of the next candle that wants an entry."""
        self.value: int | None = None
        """Of the entry that is decided and waits for its open."""
        self.walk: Walk | None = None


class AccountRun:
    """One account from its first step to its last. `trades` are the closed ones in the order of their last exits."""

    def __init__(self, steps: Steps, tapes: Sequence[Tape], cues: Sequence[Cues], rules: Rulebook, cash: int) -> None:
        self.rules = rules
        self.steps = steps
        self.ledger = Ledger(cash, steps, tapes, rules)
        self.seats = [
            _Seat(number, tape, cue, rules) for number, (tape, cue) in enumerate(zip(tapes, cues, strict=True))
        ]
        self.pending: dict[int, int] = {}
        """Values of entries that are decided and not filled, by seat."""
        self.held: dict[int, Walk] = {}
        self.trades: list[TradeRecord] = []
        self.fractions = [fraction_of(score, rules.params, rules.profile, 1.0) for score in range(MAXIMUM_SCORE + 1)]
        """By score, while the week does not stand low."""
        self.events: list[int] = []
        """(step, phase, seat) as one number each, so that they sort fast."""

    def go(self) -> None:
        """Every event in its order."""
        events, seats = self.events, self.seats
        if len(seats) == 1:
            self._alone(seats[0])
            return
        for seat in seats:
            self._seek(seat, 0)
        heapify(events)
        count = len(seats)
        while events:
            key = heappop(events)
            seat = seats[key % count]
            moment = key // count
            if moment % _PHASES == _AT_CLOSE:
                self._decide(seat, moment // _PHASES)
            elif seat.value is not None:
                self._enter(seat, seat.value)
            elif seat.walk is not None:
                self._book(seat, seat.walk)

    def _alone(self, seat: _Seat) -> None:
        """The events of one symbol: its trades follow each other, and nothing else comes in between."""
        ledger, tape, walker, entries = self.ledger, seat.tape, seat.walker, seat.cues.entries
        places, count = tape.step_of, len(entries)
        candidate, index, last = 0, 0, len(tape) - 1
        while True:
            candidate = bisect_left(entries, index, candidate)
            if candidate == count or ledger.drawdown_reached:
                return
            index = entries[candidate]
            step = places[index]
            ledger.settle(step, self.held)
            value = self._sized(seat, index, step)
            if isinstance(value, Denial):
                index = self._next_chance(seat, index) if value in _PAUSES else index + 1
                continue
            if index == last:
                return
            index += 1
            walk = walker.walk(value, candidate, ledger.cash)
            if walk is None:
                continue
            ledger.entered(walk)
            ledger.book(0, walk, len(walk.fills))
            ledger.orders += 1 + len(walk.record.exits)
            record = walk.record
            if record.closed_ms is None:
                self.held[0] = walk
                return
            self.trades.append(record)
            ledger.lost_or_won(record.realized_pnl, record.closed_ms)
            index = walk.fills[-1][0] >> 1

    def open_trades(self) -> tuple[TradeRecord, ...]:
        """Trades that the candles ended before."""
        return tuple(walk.record for walk in self.held.values())

    def _key(self, seat: _Seat, index: int, phase: int) -> int:
        """The place of an event among all others."""
        return (seat.tape.step_of[index] * _PHASES + phase) * len(self.seats) + seat.number

    def _seek(self, seat: _Seat, index: int) -> None:
        """Wait for the next candle from `index` on that wants an entry."""
        entries = seat.cues.entries
        seat.candidate = bisect_left(entries, index, seat.candidate)
        if seat.candidate < len(entries) and not self.ledger.drawdown_reached:
            heappush(self.events, self._key(seat, entries[seat.candidate], _AT_CLOSE))

    def _decide(self, seat: _Seat, step: int) -> None:
        """At a close that wants an entry: protections, limits, size; as `decide` in `apex/step.py`."""
        self.ledger.settle(step, self.held)
        index = seat.cues.entries[seat.candidate]
        value = self._sized(seat, index, step)
        if isinstance(value, Denial):
            self._seek(seat, self._next_chance(seat, index) if value in _PAUSES else index + 1)
            return
        self.pending[seat.number] = value
        if index + 1 == len(seat.tape.close):
            return
        key = self._key(seat, index + 1, AT_OPEN)
        if self.events and self.events[0] < key:
            seat.value = value
            heappush(self.events, key)
        else:
            self._enter(seat, value)

    def _next_chance(self, seat: _Seat, index: int) -> int:
        """The symbol's first candle of another day."""
        times = seat.tape.time_ms
        return bisect_left(times, (times[index] // DAY_MS + 1) * DAY_MS, index)

    def _sized(self, seat: _Seat, index: int, step: int) -> int | Denial:
        ledger, rules, limits = self.ledger, self.rules, self.rules.limits
        if ledger.latched:
            opened_ms = self.steps.opens_ms[step]
            paused = entries_paused(ledger, day_of(opened_ms), week_of(opened_ms))
            if paused is not None:
                return paused
            ledger.latched = False
        coming = len(self.pending)
        if limits.daily_trades is not None and coming + ledger.trades_on(day_of(self.steps.opens_ms[step])) >= (
            limits.daily_trades
        ):
            return Denial.DAILY_TRADES
        if limits.positions is not None and len(self.held) + coming >= limits.positions:
            return Denial.POSITIONS
        cues, equity = seat.cues, ledger.equity
        score, price, atr = cues.score[index], seat.tape.close[index], cues.atr[index]
        fraction = self.fractions[score]
        if not ledger.calm:
            week = week_factor(ledger.week_base(step), equity, rules.params)
            fraction = fraction_of(score, rules.params, rules.profile, week)
        if not self.held and not coming:
            return seat.sizer.flat(fraction, equity, price, atr)
        return seat.sizer.value(portion(equity, fraction), self._room(step), price, atr)

    def _room(self, step: int) -> Room:
        """What is left beside positions and entries that are on their way."""
        ledger = self.ledger
        exposure = 0
        for number, walk in self.held.items():
            exposure += ledger.worth(number, walk, step)
        cash, taker = ledger.cash, self.rules.venue.fees.taker
        for value in self.pending.values():
            exposure += value
            cash -= value + fee_of(value, taker)
        return Room(ledger.equity, exposure, cash)

    def _enter(self, seat: _Seat, value: int) -> None:
        """The open behind a decision: the trade is walked to its end, and its entry booked."""
        index = seat.cues.entries[seat.candidate] + 1
        seat.value = None
        del self.pending[seat.number]
        walk = seat.walker.walk(value, seat.candidate, self.ledger.cash)
        if walk is None:
            self._seek(seat, index)
            return
        seat.walk = self.held[seat.number] = walk
        self.ledger.entered(walk)
        self._book(seat, walk)

    def _book(self, seat: _Seat, walk: Walk) -> None:
        """Moments of a trade, the one that is due and those behind it, as long as nothing else comes before."""
        events, fills = self.events, walk.fills
        if events:
            for until in range(walk.booked + 1, len(fills)):
                at = fills[until][0]
                key = self._key(seat, at >> 1, at & 1)
                if events[0] < key:
                    self.ledger.book(seat.number, walk, until)
                    heappush(events, key)
                    return
        self.ledger.book(seat.number, walk, len(fills))
        self.ledger.orders += 1 + len(walk.record.exits)
        if walk.record.closed_ms is not None:
            self._close(seat, walk)

    def _close(self, seat: _Seat, walk: Walk) -> None:
        """The trade has ended; its symbol may enter again at the close of the same candle."""
        record = walk.record
        self.trades.append(record)
        self.ledger.lost_or_won(record.realized_pnl, record.exits[-1].at_ms)
        seat.walk = None
        del self.held[seat.number]
        self._seek(seat, walk.fills[-1][0] >> 1)
