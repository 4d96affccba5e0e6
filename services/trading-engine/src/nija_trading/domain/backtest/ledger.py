"""The account of a fast run: cash, what is held, its journal, and the protections that look at its closes.

Cash and quantities are written down only where they change; equity at any close, and the whole curve, follow
from that. Protections ask for every close, but a close can only bind where equity may have come near a limit:
bounds of the trades since the last look settle nearly all of them, and only where they do not, `at_close` of
the live engine goes over each close.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from operator import neg, sub

import numpy as np

from nija_trading.domain.apex.protections import (
    Protections,
    at_close,
    day_of,
    streak_after,
    week_of,
)
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.tape import Steps, Tape
from nija_trading.domain.backtest.walk import Walk
from nija_trading.domain.market.candles import DAY_MS, Ints
from nija_trading.domain.matching.guarded import Sale
from nija_trading.domain.matching.money import value_of

_NEAR = 1 + 1e-9
"""Bounds are floats: what is as near as this is looked at exactly."""

_ROOM = 64
"""A look holds until equity has risen by one part in so many: more, and limits come near; less, and looks are frequent."""


class Journal:
    """What one symbol's holding was: `quantities[n]` from the close of candle `candles[n]` on."""

    __slots__ = ("candles", "quantities", "tape")

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.candles: list[int] = [0]
        self.quantities: list[int] = [0]

    def value_at(self, step: int) -> int:
        """Worth at a step, at the symbol's last close."""
        last = self.tape.last_at(step)
        quantity = self.quantities[bisect_right(self.candles, last) - 1] if last >= 0 else 0
        return value_of(self.tape.close[last], quantity) if quantity else 0

    def values(self, first: int, last: int) -> Ints | None:
        """Worth at each step from `first` to `last`, both included; None where nothing was held."""
        tape = self.tape
        begin = max(bisect_right(tape.step_of, first) - 1, 0)
        end = bisect_right(tape.step_of, last)
        number = bisect_right(self.candles, begin) - 1
        if begin >= end or not any(self.quantities[number:]):
            return None
        quantity = _filled(self.candles[number:], self.quantities[number:], begin, end)
        moved = tape.candles.close[begin:end] * quantity
        worth = np.rint(moved, out=moved).astype(np.int64)
        if isinstance(tape.step_of, range):
            return worth
        places = np.searchsorted(np.asarray(tape.step_of)[begin:end], np.arange(first, last + 1), side="right") - 1
        return np.where(places >= 0, worth[places], 0)


class Ledger:
    """One account along the steps. Fills are booked in their order; `settle` brings protections up to a step.

    It has the names that `Protections` gives its latches, so that the same functions read them.
    """

    def __init__(self, cash: int, steps: Steps, tapes: Sequence[Tape], rules: Rulebook) -> None:
        self.steps = steps
        self.rules = rules
        self.cash = cash
        self.orders = 0
        self.journals = [Journal(tape) for tape in tapes]
        self.cash_steps: list[int] = [-1]
        self.cash_after: list[int] = [cash]
        self.unwritten: list[tuple[Journal, list[Sale]]] = []
        """Booked fills that are not in the journals, nor in `cash_after`, yet."""
        self.settled = steps.first - 1
        self.equity = cash
        self.drawdown_reached = False
        self.loss_day: int | None = None
        self.streak = 0
        self.streak_day: int | None = None
        self.stopped_week: int | None = None
        self.latched = False
        """Whether one of the above may hold now."""
        self.trades_day: int | None = None
        self.trades = 0
        self.peak = cash
        """At least the highest equity at a close; exactly that of all closes up to `exact`."""
        self.exact = self.settled
        self.exact_peak = cash
        profile = rules.profile
        self.kept_day, self.kept_half, self.kept_week, self.kept_peak = (
            1 - rate for rate in (profile.daily_loss, rules.params.week_half, rules.params.week_stop, profile.drawdown)
        )
        """Of its base, what a limit leaves."""
        self.bare = cash
        """Equity without the trades of `lately`."""
        self.lately: list[Walk] = []
        self.calm_above, self.calm_until = cash, 0
        """While equity stays above the one and not above the other, no limit can be reached."""
        self.calm = False
        """Whether that was so at the last look."""

    # -- booking -----------------------------------------------------------------------------------------

    def entered(self, walk: Walk) -> None:
        """A trade begins: it counts for its day."""
        self.lately.append(walk)
        if self.rules.limits.daily_trades is not None:
            day = day_of(walk.record.opened_ms)
            self.trades = self.trades + 1 if self.trades_day == day else 1
            self.trades_day = day

    def book(self, number: int, walk: Walk, until: int) -> None:
        """The fills of a trade in symbol number `number` up to before `until`: cash, and what is held after them."""
        fills = walk.fills
        last = until == len(fills)
        if walk.booked or not last:
            fills = fills[walk.booked : until]
        moved = walk.total - walk.flow if last else sum([fill[4] - fill[5] for fill in fills])
        self.cash += moved
        walk.flow += moved
        walk.booked = until
        self.unwritten.append((self.journals[number], fills))

    def lost_or_won(self, profit: int, time_ms: int) -> None:
        """A trade has ended."""
        self.streak, pauses = streak_after(self.streak, profit, self.rules.params)
        if pauses:
            self.streak_day = day_of(time_ms)
            self.latched = True

    def trades_on(self, day: int) -> int:
        """Filled entries of a day; they are counted where the account's limits ask for them."""
        return self.trades if self.trades_day == day else 0

    def _write(self) -> None:
        """Bring `cash_after` and the journals up to what is booked."""
        unwritten = self.unwritten
        if len(self.journals) == 1 and unwritten:
            unwritten = [(unwritten[0][0], [fill for _, fills in unwritten for fill in fills])]
        for journal, fills in unwritten:
            places = journal.tape.step_of
            moments, _, _, sold, values, fees = zip(*fills, strict=True)
            candles = [at >> 1 for at in moments]
            self.cash_steps += candles if isinstance(places, range) else [places[candle] for candle in candles]
            self.cash_after += _added(self.cash_after[-1], map(sub, values, fees))
            journal.candles += candles
            journal.quantities += _added(journal.quantities[-1], map(neg, sold))
        self.unwritten.clear()

    # -- equity ------------------------------------------------------------------------------------------

    def worth(self, number: int, walk: Walk, step: int) -> int:
        """What the fills of a trade that are booked have left, at a step that comes after them."""
        tape = self.journals[number].tape
        held = -sum([fill[3] for fill in walk.fills[: walk.booked]])
        return value_of(tape.close[tape.last_at(step)], held)

    def equity_at(self, step: int) -> int:
        """Equity at the closes of a step whose fills are booked."""
        self._write()
        equity = self.cash_after[bisect_right(self.cash_steps, step) - 1]
        for journal in self.journals:
            equity += journal.value_at(step)
        return equity

    def curve(self, first: int, last: int) -> Ints:
        """Equity at each step from `first` to `last`, both included."""
        self._write()
        number = bisect_right(self.cash_steps, first) - 1
        equity = _filled(self.cash_steps[number:], self.cash_after[number:], first, last + 1)
        for journal in self.journals:
            worth = journal.values(first, last)
            if worth is not None:
                equity = equity + worth
        return equity

    def week_base(self, step: int) -> int:
        """Equity at the last close before the week of a step, at first the starting cash."""
        opens_ms = self.steps.opens_ms
        begins_ms = (week_of(opens_ms[step]) * 7 - 3) * DAY_MS
        return self._base(bisect_left(opens_ms, begins_ms, 0, step))

    def day_base(self, step: int) -> int:
        """The same of its day."""
        return self._base(self.steps.day_begins[step])

    def _base(self, begins: int) -> int:
        """Equity at the last close before a day or week whose first step this is, at first the starting cash."""
        if begins <= self.steps.first:
            return self.cash_after[0]
        return self.equity_at(begins - 1)

    # -- protections -------------------------------------------------------------------------------------

    def settle(self, step: int, held: Mapping[int, Walk]) -> None:
        """Bring the protections up to the closes of `step`; `held` are the trades still open then, by symbol."""
        if step == self.settled:
            return
        least = most = self.bare
        for walk in self.lately:
            if walk.least < 0:
                least += walk.least
            if walk.most > 0:
                most += walk.most
        before = self.equity
        self.equity = self.bare = self.cash
        for number, walk in held.items():
            self.equity += self.worth(number, walk, step)
            self.bare -= walk.flow
        self.lately = list(held.values()) if held else []
        if most > self.peak:
            self.peak = most
        self.calm = least > self.calm_above and most <= self.calm_until
        if not self.calm:
            self._look(step, least, max(most, before), before)
        self.settled = step

    def _look(self, step: int, least: int, most: int, before: int) -> None:
        """Whether equity between these bounds can have reached a limit at a close since the last look; if so, exactly.

        A base that came up since then is an equity of these closes, or `before`, that of the last look.
        """
        since = self.settled
        day = week = self.cash_after[0]
        if since >= self.steps.first:
            day, week = self.day_base(since), self.week_base(since)
        if least / _NEAR <= self._highest_limit(max(day, most), max(week, most), max(self.peak, most)):
            self._settle_exactly(step, before, day, week)
            day, week = self.day_base(step), self.week_base(step)
        # Bases and peak that come up while equity stays below this are below it too.
        roof = most + most // _ROOM
        day, week = max(day, roof), max(week, roof)
        highest = max(self._highest_limit(day, week, max(self.peak, roof)), week * self.kept_half)
        self.calm_above, self.calm_until = int(highest * _NEAR) + 1, roof

    def _highest_limit(self, day: float, week: float, peak: float) -> float:
        """The highest equity at which these bases and this peak stop something."""
        highest = max(day * self.kept_day, week * self.kept_week, peak * self.kept_peak)
        own = self.rules.limits.daily_loss
        return highest if own is None else max(highest, day - own)

    def _settle_exactly(self, step: int, before: int, day_base: int, week_base: int) -> None:
        """Every close since the last look, by the live engine's rule; those that change nothing are left out."""
        since, opens_ms, rules = self.settled, self.steps.opens_ms, self.rules
        equity = self.curve(self.exact + 1, step)
        known = since - self.exact
        peak = max(self.exact_peak, int(equity[:known].max())) if known else self.exact_peak
        begun = since >= self.steps.first
        state = Protections(
            before,
            day_of(opens_ms[since]) if begun else None,
            day_base,
            week_of(opens_ms[since]) if begun else None,
            week_base,
            peak,
            self.drawdown_reached,
            self.loss_day,
            stopped_week=self.stopped_week,
        )
        for place, value in enumerate(equity[known:].tolist(), since + 1):
            opened_ms = opens_ms[place]
            if value != state.equity or day_of(opened_ms) != state.day or place == since + 1:
                state = at_close(state, value, opened_ms, rules.params, rules.profile, rules.limits)
        self.drawdown_reached, self.loss_day = state.drawdown_reached, state.loss_day
        self.stopped_week = state.stopped_week
        self.latched = True
        self.peak = self.exact_peak = peak if state.peak is None else state.peak
        self.exact = step


def _added(start: int, changes: Iterable[int]) -> list[int]:
    """What each change leaves, one after another."""
    return list(accumulate(changes, initial=start))[1:]


def _filled(starts: Sequence[int], values: Sequence[int], first: int, stop: int) -> Ints:
    """`values[n]` at each place from `starts[n]` on, from `first` to before `stop`."""
    edges = np.clip(np.array([*starts, stop], dtype=np.int64), first, stop)
    return np.repeat(np.array(values, dtype=np.int64), np.diff(edges))
