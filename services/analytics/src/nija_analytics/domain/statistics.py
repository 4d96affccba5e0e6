"""The formulas of trading performance, once: live accounts and backtests use the same functions.

They work on one result a UTC day, so that their cost does not grow with the number of trades. A trade belongs
to the day of its last exit. Amounts are integers of 1e-8 USD, profits are net of fees, days are counted from
1970-01-01. Equity here is realised: money put in plus the profit of closed trades.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from nija_common.values.money import Units
from nija_common.values.times import DAY_MS

DAYS_A_YEAR = 365
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class DayResult:
    """What one day brought. `gross_win` >= 0 and `gross_loss` <= 0 are sums of net profits of won and lost trades.

    A trade is won above zero and lost below it; one that ends at exactly zero is neither. `deposits`: money
    that the account began with that day.
    """

    day: int
    trades: int = 0
    wins: int = 0
    losses: int = 0
    gross_win: Units = 0
    gross_loss: Units = 0
    largest_win: Units | None = None
    largest_loss: Units | None = None
    fees: Units = 0
    duration_ms: int = 0
    deposits: Units = 0

    @property
    def net(self) -> Units:
        """The day's profit, net of fees."""
        return self.gross_win + self.gross_loss


class ClosedTrade(NamedTuple):
    """What the figures need of a trade: when its last exit was, its profit net of `fees`, how long it was held."""

    closed_ms: int
    pnl: Units
    fees: Units
    duration_ms: int


class EquityPoint(NamedTuple):
    """The close of one day: the day's net profit, and the equity after it."""

    day: int
    pnl: Units
    equity: Units


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of closing equity below its highest close before: USD and per cent, both <= 0.

    Each is the worst of its own kind, so they may stem from different falls. `recovery_days`: from the lowest
    close of the fall that was deepest in USD to the first close at or above the height it fell from; None
    without a fall, or while it lasts.
    """

    usd: Units
    pct: float
    recovery_days: int | None


@dataclass(frozen=True, slots=True)
class Performance:
    """Every figure of a period. Ratios, averages and extremes are None where nothing was traded that they rest on."""

    total_trades: int
    winning_trades: int
    losing_trades: int
    win_rate: float | None
    total_pnl: Units
    total_pnl_pct: float
    avg_win: float | None
    avg_loss: float | None
    largest_win: Units | None
    largest_loss: Units | None
    profit_factor: float | None
    sharpe_ratio: float | None
    drawdown: Drawdown
    avg_duration_minutes: float | None
    total_fees: Units
    net_pnl: Units
    curve: tuple[EquityPoint, ...]


def with_trade(result: DayResult, *, pnl: Units, fees: Units, duration_ms: int) -> DayResult:
    """The day with one more closed trade; `pnl` is net of `fees`."""
    return _day_after(result.day, result, [ClosedTrade(0, pnl, fees, duration_ms)])


def results_by_day(trades: Iterable[ClosedTrade]) -> list[DayResult]:
    """The days on which trades were closed, in order."""
    days: dict[int, list[ClosedTrade]] = {}
    for trade in trades:
        days.setdefault(trade.closed_ms // DAY_MS, []).append(trade)
    return [_day_after(day, _NO_TRADES, days[day]) for day in sorted(days)]


_NO_TRADES = DayResult(0)


def _day_after(day: int, result: DayResult, trades: Iterable[ClosedTrade]) -> DayResult:
    """A day that begins with the sums of `result` and goes on with these trades."""
    count, wins, losses = result.trades, result.wins, result.losses
    gross_win, gross_loss = result.gross_win, result.gross_loss
    largest_win, largest_loss = result.largest_win, result.largest_loss
    all_fees, held_ms = result.fees, result.duration_ms
    for _, pnl, fees, duration_ms in trades:
        count += 1
        all_fees += fees
        held_ms += duration_ms
        if pnl > 0:
            wins += 1
            gross_win += pnl
            largest_win = max(pnl, largest_win or 0)
        elif pnl < 0:
            losses += 1
            gross_loss += pnl
            largest_loss = min(pnl, largest_loss or 0)
    return DayResult(
        day=day,
        trades=count,
        wins=wins,
        losses=losses,
        gross_win=gross_win,
        gross_loss=gross_loss,
        largest_win=largest_win,
        largest_loss=largest_loss,
        fees=all_fees,
        duration_ms=held_ms,
        deposits=result.deposits,
    )


def total(days: Sequence[DayResult], field: str) -> int:
    """The sum of one of the days' whole numbers."""
    return sum(map(attrgetter(field), days))


def every_day(results: Sequence[DayResult], first: int, last: int) -> list[DayResult]:
    """One result for each day from `first` to `last`, both included; a day without any is empty."""
    known = {result.day: result for result in results}
    return [known.get(day) or DayResult(day) for day in range(first, last + 1)]


def equity_curve(start: Units, days: Sequence[DayResult]) -> tuple[EquityPoint, ...]:
    """Closing equity of each day: the one before, plus money put in, plus the day's net profit."""
    nets = [result.gross_win + result.gross_loss for result in days]
    closes = accumulate((result.deposits + net for result, net in zip(days, nets, strict=True)), initial=start)
    next(closes)
    return tuple(map(EquityPoint._make, zip([result.day for result in days], nets, closes, strict=True)))


def daily_returns(start: Units, days: Sequence[DayResult]) -> list[float]:
    """Net profit of each day as a fraction of the equity it began with, money put in that day included.

    Days that began with nothing have no return and are left out.
    """
    returns, equity = [], start
    for result in days:
        equity += result.deposits
        net = result.gross_win + result.gross_loss
        if equity > 0:
            returns.append(net / equity)
        equity += net
    return returns


def sharpe_ratio(returns: Sequence[float]) -> float | None:
    """Mean daily return over its sample standard deviation (n - 1), x sqrt(365); the risk-free rate is 0.

    Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21 (1994). None below two days, or where all
    returns are the same.
    """
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1)
    deviation = math.sqrt(variance)
    if deviation <= 1e-15 * max(1.0, abs(mean)):
        return None
    return mean / deviation * math.sqrt(DAYS_A_YEAR)


def drawdown(start: Units, days: Sequence[DayResult]) -> Drawdown:
    """The deepest fall of closing equity; the equity at the start counts as a height.

    Money put in is neither a gain nor a recovery: falls are measured on profit alone, and per cent are of the
    height with all money put in by then.
    """
    profit = height = deposits = 0
    deepest, deepest_pct = 0, 0.0
    fallen_from, trough = 0, 0
    recovered: int | None = None
    for result in days:
        deposits += result.deposits
        profit += result.gross_win + result.gross_loss
        if profit >= height:
            height = profit
            if deepest < 0 and recovered is None and profit >= fallen_from:
                recovered = result.day
            continue
        fall, peak = profit - height, start + deposits + height
        if fall < deepest:
            deepest, fallen_from, trough, recovered = fall, height, result.day, None
        if peak > 0:
            deepest_pct = min(deepest_pct, 100 * fall / peak)
    return Drawdown(deepest, deepest_pct, None if recovered is None else recovered - trough)


def performance(start: Units, days: Sequence[DayResult]) -> Performance:
    """All figures of consecutive days that began with the equity `start`.

    `total_pnl` = net profit + fees; its per cent are of the equity at the start, money put in later included.
    `win_rate` = won / all; `profit_factor` = sum of wins / sum of losses (None without a loss).
    """
    trades, wins, losses = (total(days, name) for name in ("trades", "wins", "losses"))
    gross_win, gross_loss = total(days, "gross_win"), total(days, "gross_loss")
    fees, net = total(days, "fees"), gross_win + gross_loss
    base = start + total(days, "deposits")
    return Performance(
        total_trades=trades,
        winning_trades=wins,
        losing_trades=losses,
        win_rate=wins / trades if trades else None,
        total_pnl=net + fees,
        total_pnl_pct=100 * (net + fees) / base if base > 0 else 0.0,
        avg_win=gross_win / wins if wins else None,
        avg_loss=gross_loss / losses if losses else None,
        largest_win=max((d.largest_win for d in days if d.largest_win is not None), default=None),
        largest_loss=min((d.largest_loss for d in days if d.largest_loss is not None), default=None),
        profit_factor=gross_win / -gross_loss if gross_loss else None,
        sharpe_ratio=sharpe_ratio(daily_returns(start, days)) if trades else None,
        drawdown=drawdown(start, days),
        avg_duration_minutes=total(days, "duration_ms") / trades / MINUTE_MS if trades else None,
        total_fees=fees,
        net_pnl=net,
        curve=equity_curve(start, days),
    )
