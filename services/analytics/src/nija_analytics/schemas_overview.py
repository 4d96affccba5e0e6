"""Answers of `/account/stats`, `/analytics/dashboard` and `/analytics/trades`, field for field as the API reference
has them: USD to 2 places, ratios and per cents to 4. Null: nothing to tell.

Plain dictionaries, as in `schemas.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from nija_analytics.domain.aggregates import Ledger
from nija_analytics.domain.figures import SPOT_LEVERAGE, Group, Row, Stretch, TradesOfPeriod
from nija_analytics.domain.results import OneTrade
from nija_analytics.handlers.overview import Dashboard, Stats
from nija_common.events.preferences import RiskLevel
from nija_common.values.money import usd
from nija_common.values.tiers import Tier
from nija_common.values.times import iso


class AccountPart(TypedDict):
    """`total_deposits`: what the ledger's accounts began with. Balance, high and low are realised equity: without
    the profit or loss of what is still open. Money moved at a broker is not seen, so withdrawals are 0."""

    user_id: str
    subscription_tier: Tier
    account_age_days: int
    total_deposits: float
    total_withdrawals: float
    current_balance: float
    all_time_high: float
    all_time_low: float


class BestMonthPart(TypedDict):
    month: str
    pnl: float
    pnl_pct: float


class StreakPart(TypedDict):
    type: Literal["winning", "losing"]
    count: int
    started: str


class TradingPart(TypedDict):
    """Closed trades; volume is their entry value."""

    total_trades_all_time: int
    total_volume_usd: float
    total_fees_paid: float
    best_month: BestMonthPart | None
    current_streak: StreakPart | None


class RiskPart(TypedDict):
    """Limits in force (the lower of setting and tier). Leverage: entry value of what is open / realised equity, and
    what spot trading allows."""

    current_risk_level: RiskLevel
    max_position_size_usd: float
    max_positions: int
    current_leverage: float
    available_leverage: float


class StatsAnswer(TypedDict):
    """`GET /account/stats`."""

    account: AccountPart
    trading: TradingPart
    risk: RiskPart


class StretchPart(TypedDict):
    pnl: float
    pnl_pct: float
    trades: int
    win_rate: float | None


class TopPart(TypedDict):
    symbol: str
    pnl: float
    pnl_pct: float


class DashboardAnswer(TypedDict):
    """`GET /analytics/dashboard`: today, the last 7 and the last 30 UTC days. `balance` is realised equity;
    `top_performer` the symbol of the 30 days with the highest profit."""

    today: StretchPart
    week: StretchPart
    month: StretchPart
    active_positions: int
    balance: float
    top_performer: TopPart | None


class OutcomePart(TypedDict):
    wins: int
    losses: int
    win_rate: float | None


class SymbolPart(TypedDict):
    symbol: str
    trades: int
    pnl: float


class HourPart(TypedDict):
    hour: int
    trades: int
    avg_pnl: float


class DayPart(TypedDict):
    day: str
    trades: int
    avg_pnl: float


class WeekPart(TypedDict):
    week: str
    trades: int
    avg_pnl: float


class MonthPart(TypedDict):
    month: str
    trades: int
    avg_pnl: float


class _Groups(TypedDict, total=False):
    by_day: list[DayPart]
    by_week: list[WeekPart]
    by_month: list[MonthPart]


class TradePart(TypedDict):
    trade_id: str
    symbol: str
    pnl: float
    pnl_pct: float


class TradesAnswer(TypedDict):
    """`GET /analytics/trades`. Hours are of the last exit, UTC; rows only where there are trades. One of `by_day`,
    `by_week` (ISO weeks, `2026-W05`) and `by_month` is there where `group_by` asks for it."""

    period: str
    total_trades: int
    by_outcome: OutcomePart
    by_symbol: list[SymbolPart]
    by_hour: list[HourPart]
    by_day: NotRequired[list[DayPart]]
    by_week: NotRequired[list[WeekPart]]
    by_month: NotRequired[list[MonthPart]]
    avg_hold_time_minutes: float | None
    best_trade: TradePart | None
    worst_trade: TradePart | None


def stats_answer(stats: Stats) -> StatsAnswer:
    """The figures as their owner sees them."""
    ledger = stats.ledger
    best = stats.best_month
    return StatsAnswer(
        account=AccountPart(
            user_id=stats.user_id,
            subscription_tier=stats.stored_tier,
            account_age_days=stats.age_days,
            total_deposits=usd(0 if ledger is None else ledger.deposits),
            total_withdrawals=0.0,
            current_balance=usd(0 if ledger is None else ledger.equity),
            all_time_high=usd(0 if ledger is None else ledger.highest or 0),
            all_time_low=usd(0 if ledger is None else ledger.lowest or 0),
        ),
        trading=TradingPart(
            total_trades_all_time=0 if ledger is None else ledger.trades,
            total_volume_usd=usd(0 if ledger is None else ledger.volume),
            total_fees_paid=usd(0 if ledger is None else ledger.fees),
            best_month=None
            if best is None
            else BestMonthPart(month=best.month, pnl=usd(best.pnl), pnl_pct=round(best.pct, 4)),
            current_streak=_streak(ledger),
        ),
        risk=RiskPart(
            current_risk_level=stats.preferences.risk_level,
            max_position_size_usd=stats.preferences.max_position_size_usd(stats.tier),
            max_positions=stats.preferences.max_positions(stats.tier),
            current_leverage=round(stats.leverage, 4),
            available_leverage=SPOT_LEVERAGE,
        ),
    )


def dashboard_answer(figures: Dashboard) -> DashboardAnswer:
    """The dashboard as its owner sees it."""
    top = figures.top
    return DashboardAnswer(
        today=_stretch(figures.today),
        week=_stretch(figures.week),
        month=_stretch(figures.month),
        active_positions=figures.active_positions,
        balance=usd(figures.balance),
        top_performer=None
        if top is None
        else TopPart(symbol=top.symbol, pnl=usd(top.pnl), pnl_pct=round(figures.top_pct, 4)),
    )


def trades_answer(period: str, group: Group | None, figures: TradesOfPeriod) -> TradesAnswer:
    """The trades of a period as their owner sees them."""
    win_rate = figures.wins / figures.trades if figures.trades else None
    return TradesAnswer(
        period=period,
        total_trades=figures.trades,
        by_outcome=OutcomePart(wins=figures.wins, losses=figures.losses, win_rate=_rounded(win_rate, 4)),
        by_symbol=[SymbolPart(symbol=r.symbol, trades=r.trades, pnl=usd(r.pnl)) for r in figures.by_symbol],
        by_hour=[{"hour": int(r.label), "trades": r.trades, "avg_pnl": _average(r)} for r in figures.by_hour],
        **_groups(group, figures.groups or ()),
        avg_hold_time_minutes=_rounded(figures.avg_hold_minutes, 2),
        best_trade=_trade(figures.best),
        worst_trade=_trade(figures.worst),
    )


def _groups(group: Group | None, rows: Sequence[Row]) -> _Groups:
    """The one field that was asked for: the others stay unset and are left out of the answer."""
    if group == "day":
        return {"by_day": [{"day": r.label, "trades": r.trades, "avg_pnl": _average(r)} for r in rows]}
    if group == "week":
        return {"by_week": [{"week": r.label, "trades": r.trades, "avg_pnl": _average(r)} for r in rows]}
    if group == "month":
        return {"by_month": [{"month": r.label, "trades": r.trades, "avg_pnl": _average(r)} for r in rows]}
    return {}


def _streak(ledger: Ledger | None) -> StreakPart | None:
    if ledger is None or ledger.streak is None:
        return None
    return StreakPart(type=ledger.streak.type, count=ledger.streak.count, started=iso(ledger.streak.started_ms))


def _stretch(figures: Stretch) -> StretchPart:
    return StretchPart(
        pnl=usd(figures.pnl),
        pnl_pct=round(figures.pnl_pct, 4),
        trades=figures.trades,
        win_rate=_rounded(figures.win_rate, 4),
    )


def _trade(one: OneTrade | None) -> TradePart | None:
    if one is None:
        return None
    return TradePart(trade_id=one.trade_id, symbol=one.symbol, pnl=usd(one.pnl), pnl_pct=round(one.pnl_pct, 4))


def _average(row: Row) -> float:
    return usd(round(row.avg_pnl))


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)
