"""The account of a fast run: cash, what is held, its journal, and the protections that look at its closes.

Cash and quantities are written down only where they change; equity at any close, and the whole curve, follow
from that. Protections ask for every close, but a close can only bind where equity may have come near a limit:
bounds of the trades since the last look settle nearly all of them, and only where they do not, `at_close` of
the live engine goes over each close.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from nija_trading.domain.apex.protections import (
    Protections,
    at_close,
    day_of,
    streak_after,
)
from nija_trading.domain.apex.step import Rulebook
from nija_trading.domain.backtest.tape import Steps, Tape
from nija_trading.domain.backtest.walk import Walk
from nija_trading.domain.market.candles import DAY_MS, Ints
from nija_trading.domain.matching.money import value_of

_NEAR = 1 + 1e-9
"""Bounds are floats: what is as near as this is looked at exactly."""


class Journal:
    """What one symbol's holding was: `quantities[n]` from the close of candle `candles[n]` on."""

    __slots__ = ("candles", "quantities", "tape")

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.candles: list[int] = [0]
        self.quantities: list[int] = [0]

    def value_at(self, step: int) -> int:
        """Worth at a step, at the symbol's last close."""
        places = self.tape.step_of
        last = step if isinstance(places, range) else bisect_right(places, step) - 1
        if last < 0:
            return 0
        quantity = self.quantities[bisect_right(self.candles, last) - 1]
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
        worth = np.rint(tape.candles.close[begin:end] * quantity).astype(np.int64)
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
        self.cash_steps: list[int] = [-1]
        self.cash_after: list[int] = [cash]
        self.journals = [Journal(tape) for tape in tapes]
        self.settled = steps.first - 1
        self.equity = cash
        self.day: int | None = None
        self.day_base = 0
        self.day_begins: int | None = None
        """The day's first step, while `day_base` is only a bound of its base from above."""
        self.week: int | None = None
        self.week_base = 0
        self.drawdown_reached = False
        self.loss_day: int | None = None
        self.streak = 0
        self.streak_day: int | None = None
        self.stopped_week: int | None = None
        self.trades_day: int | None = None
        self.trades = 0
        self.peak = cash
        """At least the highest equity at a close; exactly that of all closes up to `exact`."""
        self.exact = self.settled
        self.exact_peak = cash
        profile = rules.profile
        self.kept_day, self.kept_week, self.kept_peak = (
            1 - rate for rate in (profile.daily_loss, rules.params.week_stop, profile.drawdown)
        )
        """Of its base, what a limit leaves."""
        self.daily_loss = rules.limits.daily_loss
        self.bare = cash
        """Equity without the trades of `lately`."""
        self.lately: list[Walk] = []

    # -- booking -----------------------------------------------------------------------------------------

    def entered(self, walk: Walk, time_ms: int) -> None:
        """A trade begins: it counts for its day."""
        day = day_of(time_ms)
        self.trades = self.trades + 1 if self.trades_day == day else 1
        self.trades_day = day
        self.lately.append(walk)

    def book(self, number: int, walk: Walk, until: int) -> None:
        """The moments of a trade in symbol number `number` up to before `until`: cash, and what is held after each."""
        journal = self.journals[number]
        places, cash = journal.tape.step_of, self.cash - walk.flow
        flow = walk.flow
        for candle, _, flow, quantity, _ in walk.moments[walk.booked : until]:
            self.cash_steps.append(places[candle])
            self.cash_after.append(cash + flow)
            journal.candles.append(candle)
            journal.quantities.append(quantity)
        self.cash = cash + flow
        walk.flow, walk.booked = flow, until

    def lost_or_won(self, profit: int, time_ms: int) -> None:
        """A trade has ended."""
        self.streak, pauses = streak_after(self.streak, profit, self.rules.params)
        if pauses:
            self.streak_day = day_of(time_ms)

    def trades_on(self, day: int) -> int:
        """Filled entries of a day."""
        return self.trades if self.trades_day == day else 0

    # -- equity ------------------------------------------------------------------------------------------

    def equity_at(self, step: int) -> int:
        """Equity at the closes of a step whose fills are booked."""
        if step >= self.cash_steps[-1] and not self.journals[0].quantities[-1] and len(self.journals) == 1:
            return self.cash
        equity = self.cash_after[bisect_right(self.cash_steps, step) - 1]
        for journal in self.journals:
            equity += journal.value_at(step)
        return equity

    def curve(self, first: int, last: int) -> Ints:
        """Equity at each step from `first` to `last`, both included."""
        number = bisect_right(self.cash_steps, first) - 1
        equity = _filled(self.cash_steps[number:], self.cash_after[number:], first, last + 1)
        for journal in self.journals:
            worth = journal.values(first, last)
            if worth is not None:
                equity = equity + worth
        return equity

    # -- protections -------------------------------------------------------------------------------------

    def settle(self, step: int, held: Mapping[int, Walk]) -> None:
        """Bring the protections up to the closes of `step`; `held` are the trades still open then, by symbol."""
        if step == self.settled:
            return
        least = most = self.bare
        for walk in self.lately:
            least += walk.least
            most += walk.most
        if self._may_bind(least, most):
            self._settle_exactly(step)
        else:
            day = self.steps.opens_ms[step] // DAY_MS
            if day != self.day:
                self._new_day(day, step, most)
            if most > self.peak:
                self.peak = most
            self.equity = self.cash
            for number in held:
                self.equity += self.journals[number].value_at(step)
        self.settled = step
        self.lately = list(held.values())
        self.bare = self.cash
        for walk in self.lately:
            self.bare -= walk.flow

    def _may_bind(self, least: int, most: int) -> bool:
        """Whether equity between these bounds can have reached a limit at a close since the last look.

        A base that came up since then is an equity of these closes, or that of the last look.
        """
        if self.day is None:
            return True
        new = most if most > self.equity else self.equity
        day_base = new if new > self.day_base else self.day_base
        near = least / _NEAR
        if self.daily_loss is not None and near <= day_base - self.daily_loss:
            return True
        return (
            near <= day_base * self.kept_day
            or near <= (new if new > self.week_base else self.week_base) * self.kept_week
            or near <= (most if most > self.peak else self.peak) * self.kept_peak
        )

    def _new_day(self, day: int, step: int, most: int) -> None:
        """A day begins since the last look: its base is between the bounds; that of a week, which sizes need, is known."""
        self.day, self.day_base, self.day_begins = day, max(self.equity, most), self.steps.day_begins[step]
        week = (day + 3) // 7
        if week != self.week:
            begins_ms = (week * 7 - 3) * DAY_MS
            self.week, self.week_base = week, self._base(bisect_left(self.steps.opens_ms, begins_ms, 0, step))

    def _base(self, begins: int) -> int:
        """Equity at the last close before a day or week whose first step this is, at first the starting cash."""
        if begins <= self.steps.first:
            return self.cash_after[0]
        return self.equity_at(begins - 1)

    def _settle_exactly(self, step: int) -> None:
        """Every close since the last look, by the live engine's rule; those that change nothing are left out."""
        since = self.settled
        if self.day_begins is not None:
            self.day_base, self.day_begins = self._base(self.day_begins), None
        equity = self.curve(self.exact + 1, step)
        known = since - self.exact
        peak = max(self.exact_peak, int(equity[:known].max())) if known else self.exact_peak
        state = Protections(
            self.equity,
            self.day,
            self.day_base,
            self.week,
            self.week_base,
            peak,
            self.drawdown_reached,
            self.loss_day,
            stopped_week=self.stopped_week,
        )
        rules, opens_ms = self.rules, self.steps.opens_ms
        for place, value in enumerate(equity[known:].tolist(), since + 1):
            opened_ms = opens_ms[place]
            if value != state.equity or day_of(opened_ms) != state.day or place == since + 1:
                state = at_close(state, value, opened_ms, rules.params, rules.profile, rules.limits)
        self.equity = state.equity
        self.day, self.day_base, self.week, self.week_base = state.day, state.day_base, state.week, state.week_base
        self.drawdown_reached, self.loss_day = state.drawdown_reached, state.loss_day
        self.stopped_week = state.stopped_week
        self.peak = self.exact_peak = peak if state.peak is None else state.peak
        self.exact = step


def _filled(starts: Sequence[int], values: Sequence[int], first: int, stop: int) -> Ints:
    """`values[n]` at each place from `starts[n]` on, from `first` to before `stop`."""
    edges = np.clip(np.array([*starts, stop], dtype=np.int64), first, stop)
    return np.repeat(np.array(values, dtype=np.int64), np.diff(edges))
