"""Answers of analytics, field for field as the API reference has them: USD to 2 places, ratios and per cents to 4.

Plain dictionaries: years of days are thousands of rows, and objects of a class cost a multiple.
"""

from __future__ import annotations

from typing_extensions import TypedDict

from nija_analytics.domain.statistics import Performance
from nija_common.values.money import Units, usd
from nija_common.values.times import date_text


class Metrics(TypedDict):
    """`net_pnl` = `total_pnl` - `total_fees` = the sum of the trades' `realized_pnl`. Null: nothing to tell."""

    total_trades: int
    winning_trades: int
    losing_trades: int
    win_rate: float | None
    total_pnl: float
    total_pnl_pct: float
    avg_win: float | None
    avg_loss: float | None
    largest_win: float | None
    largest_loss: float | None
    profit_factor: float | None
    sharpe_ratio: float | None
    max_drawdown: float
    max_drawdown_pct: float
    recovery_time_days: float | None
    avg_trade_duration_minutes: float | None
    total_fees: float
    net_pnl: float


class DailyPnl(TypedDict):
    date: str
    pnl: float


class DailyEquity(TypedDict):
    date: str
    equity: float


class PerformanceAnswer(TypedDict):
    """`GET /account/performance`: one row for each UTC day, days without a trade included."""

    period: str
    metrics: Metrics
    daily_pnl: list[DailyPnl]
    equity_curve: list[DailyEquity]


def performance_answer(period: str, figures: Performance) -> PerformanceAnswer:
    """The figures as their owner sees them."""
    recovery = figures.drawdown.recovery_days
    dates = [date_text(point.day) for point in figures.curve]
    return PerformanceAnswer(
        period=period,
        metrics=Metrics(
            total_trades=figures.total_trades,
            winning_trades=figures.winning_trades,
            losing_trades=figures.losing_trades,
            win_rate=_rounded(figures.win_rate, 4),
            total_pnl=usd(figures.total_pnl),
            total_pnl_pct=round(figures.total_pnl_pct, 4),
            avg_win=_usd(figures.avg_win),
            avg_loss=_usd(figures.avg_loss),
            largest_win=_usd(figures.largest_win),
            largest_loss=_usd(figures.largest_loss),
            profit_factor=_rounded(figures.profit_factor, 4),
            sharpe_ratio=_rounded(figures.sharpe_ratio, 4),
            max_drawdown=usd(figures.drawdown.usd),
            max_drawdown_pct=round(figures.drawdown.pct, 4),
            recovery_time_days=None if recovery is None else float(recovery),
            avg_trade_duration_minutes=_rounded(figures.avg_duration_minutes, 2),
            total_fees=usd(figures.total_fees),
            net_pnl=usd(figures.net_pnl),
        ),
        daily_pnl=[{"date": date, "pnl": usd(p.pnl)} for date, p in zip(dates, figures.curve, strict=True)],
        equity_curve=[{"date": date, "equity": usd(p.equity)} for date, p in zip(dates, figures.curve, strict=True)],
    )


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)


def _usd(value: Units | float | None) -> float | None:
    return None if value is None else usd(round(value))
