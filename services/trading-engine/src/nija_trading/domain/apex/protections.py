"""Protections: what the account's own results forbid, as a small state and pure transitions.

They look at equity at closes and block decisions, never fills and never exits. A candle belongs to the day
(UTC) and the week (from Monday) of its opening. Equity in units of 1e-8, times market UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nija_trading.domain.apex.parameters import Limits, Parameters, RiskProfile
from nija_trading.domain.apex.reasons import Denial
from nija_trading.domain.market.candles import DAY_MS
from nija_trading.domain.matching.money import reaches


def day_of(time_ms: int) -> int:
    """Number of the UTC day, from 1 January 1970."""
    return time_ms // DAY_MS


def week_of(time_ms: int) -> int:
    """Number of the week that begins on a Monday; day 0 was a Thursday."""
    return (day_of(time_ms) + 3) // 7


@dataclass(frozen=True, slots=True)
class Protections:
    """Bases, peak and latches of one account. `equity` is that of the last close, at first the starting cash.

    `loss_day` and `streak_day` are the days paused by a daily loss and by losing trades, `stopped_week` the
    week that closed too low; None where there is none. `peak` None takes the next close's equity.
    """

    equity: int
    day: int | None = None
    day_base: int = 0
    week: int | None = None
    week_base: int = 0
    peak: int | None = None
    drawdown_reached: bool = False
    loss_day: int | None = None
    streak: int = 0
    streak_day: int | None = None
    stopped_week: int | None = None
    trades_day: int | None = None
    trades: int = 0

    @classmethod
    def start(cls, cash: int) -> Protections:
        """The state of an account that begins with `cash`; it is the first peak too."""
        return cls(equity=cash, peak=cash)

    @property
    def day_result(self) -> int:
        """Equity at the last close against the day's base."""
        return self.equity - self.day_base if self.day is not None else 0

    def trades_on(self, day: int) -> int:
        """Filled entries of a day."""
        return self.trades if self.trades_day == day else 0

    def to_dict(self) -> dict[str, Any]:
        """The state as plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Protections:
        """The state that `to_dict` wrote."""
        return cls(**data)


def at_close(
    state: Protections, equity: int, open_ms: int, params: Parameters, profile: RiskProfile, limits: Limits
) -> Protections:
    """The state after a candle that opened at `open_ms` closed with this equity. Fills of it come before."""
    day, week = day_of(open_ms), week_of(open_ms)
    day_base = state.day_base if state.day == day else state.equity
    week_base = state.week_base if state.week == week else state.equity
    peak = equity if state.peak is None else max(state.peak, equity)
    lost = day_base - equity
    daily_loss = reaches(lost, day_base, profile.daily_loss)
    if limits.daily_loss is not None and lost >= limits.daily_loss:
        daily_loss = True
    return replace(
        state,
        equity=equity,
        day=day,
        day_base=day_base,
        week=week,
        week_base=week_base,
        peak=peak,
        drawdown_reached=state.drawdown_reached or reaches(peak - equity, peak, profile.drawdown),
        loss_day=day if daily_loss else state.loss_day,
        stopped_week=week if reaches(week_base - equity, week_base, params.week_stop) else state.stopped_week,
    )


def entry_filled(state: Protections, time_ms: int) -> Protections:
    """The state after an entry was filled: it counts for the day of its candle."""
    day = day_of(time_ms)
    return replace(state, trades_day=day, trades=state.trades_on(day) + 1)


def trade_closed(state: Protections, profit: int, time_ms: int, params: Parameters) -> Protections:
    """The state after a trade's last exit in a candle that opened at `time_ms`; `profit` net of its fees.

    Enough losses in a row pause the rest of that day; the count then starts anew.
    """
    streak, pauses = streak_after(state.streak, profit, params)
    return replace(state, streak=streak, streak_day=day_of(time_ms) if pauses else state.streak_day)


def streak_after(streak: int, profit: int, params: Parameters) -> tuple[int, bool]:
    """(count of losses after a trade, whether it pauses the rest of the day)."""
    if profit >= 0:
        return 0, False
    if streak + 1 < params.losing_streak:
        return streak + 1, False
    return 0, True


def restarted(state: Protections) -> Protections:
    """The state for a later start of a bot: the equity of its first close is the new peak."""
    return replace(state, peak=None, drawdown_reached=False)


def moved(state: Protections, change: int) -> Protections:
    """The state after cash came or went without a fill: no gain and no loss, so all that equity is compared with moves."""
    return replace(
        state,
        equity=max(state.equity + change, 0),
        day_base=max(state.day_base + change, 0),
        week_base=max(state.week_base + change, 0),
        peak=None if state.peak is None else max(state.peak + change, 0),
    )


class Latches(Protocol):
    """What pauses entries, of whoever keeps it."""

    @property
    def drawdown_reached(self) -> bool: ...
    @property
    def loss_day(self) -> int | None: ...
    @property
    def streak_day(self) -> int | None: ...
    @property
    def stopped_week(self) -> int | None: ...


def entries_paused(state: Latches, day: int, week: int) -> Denial | None:
    """Why no entry may be decided on that day, or None. Counts of trades and positions are not asked here."""
    if state.drawdown_reached:
        return Denial.DRAWDOWN
    if state.loss_day == day:
        return Denial.DAILY_LOSS
    if state.streak_day == day:
        return Denial.LOSING_STREAK
    if state.stopped_week == week:
        return Denial.WEEK_LOSS
    return None


def size_factor(state: Protections, params: Parameters) -> float:
    """Factor on an entry's fraction: half while the week stands low."""
    return 1.0 if state.week is None else week_factor(state.week_base, state.equity, params)


def week_factor(week_base: int, equity: int, params: Parameters) -> float:
    """Factor on an entry's fraction, of a week's base and the equity of the last close."""
    return params.week_factor if reaches(week_base - equity, week_base, params.week_half) else 1.0
